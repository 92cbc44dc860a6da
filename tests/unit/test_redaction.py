"""No text, error or log record holds a registered secret, in whatever form it comes back."""

from __future__ import annotations

import base64
import html
import http.client
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.exceptions import InvalidHeader
from urllib3.exceptions import InvalidChunkLength, ProtocolError

from pi_datasource import redaction
from pi_datasource.errors import InvalidOption, PointFailure, ReadFailed, ServerFailed

SECRET = 'Zq7"x\\Kw9/Vb3+Tn5 mRä-8sD'
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper": str.upper,
    "lower": str.lower,
    "JSON": json.dumps,
    "JSON of letters": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "Python": repr,
    "Python's bytes": lambda text: repr(text.encode()),
    "HTML": html.escape,
    "URL": lambda text: quote(text, safe=""),
    "URL in small letters": lambda text: quote(text, safe="").lower(),
    "path": quote,
    "form": quote_plus,
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "header": lambda text: text.encode().decode("latin-1"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a pair": lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
    "base64 in the middle": lambda text: base64.b64encode(f"DOMAIN\\a:{text}!!".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"usr:{text}".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
}


def pieces(text: str) -> set[str]:
    low = text.lower()
    return {low[at : at + 8] for at in range(len(low) - 7)}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_hidden_in_every_form_with_what_is_around_it_left(form: str) -> None:
    redaction.register(SECRET)
    text = redaction.redact(f"before the secret {FORMS[form](SECRET)} after the secret")
    assert text.startswith("before the secret ")
    assert text.endswith(" after the secret")
    assert redaction.MASK in text
    assert len(text) < 60


@pytest.mark.parametrize("form", FORMS)
@given(secret=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=8, max_size=40),
       cut=st.integers(0, 60), filler=st.integers(0, 600))  # fmt: skip
def test_no_eight_characters_of_any_secret_are_left_wherever_a_text_is_cut(
    form: str, secret: str, cut: int, filler: int
) -> None:
    redaction.forget()
    redaction.register(secret)
    shown = FORMS[form](secret)
    for text in (redaction.shorten("\n" * filler + shown + "\n" * 200), redaction.redact(shown[cut:])):
        assert not pieces(text) & pieces(secret)


def test_a_secret_that_straddles_a_cut_leaves_nothing_of_its_beginning() -> None:
    redaction.register(SECRET)
    for before in range(470, 541):
        text = redaction.shorten("." * before + SECRET + "." * 500)
        assert text.strip(".*…") == f" ({before + len(SECRET) + 500} characters)" or text.endswith(
            "characters)"
        )
        assert "Zq" not in text


@pytest.mark.parametrize(("secret", "text", "wanted"), [
    ("ab", "a table of abbreviations", "a table of abbreviations"),  # too short to be told from words
    ("abc", "abc", "abc"),
    ("abcd", "xabcdx abc abcd", "x***x abc ***"),
    ("hunter7", "hunter7 hunter hunter77", "*** hunter ***7"),
    ("", "nothing", "nothing"),
])  # fmt: skip
def test_short_secrets_are_hidden_whole_or_not_at_all(secret: str, text: str, wanted: str) -> None:
    redaction.register(secret)
    assert redaction.redact(text) == wanted


def test_what_is_public_of_a_secret_is_shown_but_not_the_secret() -> None:
    redaction.register("piwebapi-2024!", public=["https://HOST/piwebapi"])
    assert redaction.redact("GET /piwebapi/x with piwebapi-2024!") == "GET /piwebapi/x with ***"
    assert "ebapi-20" not in redaction.redact("xpiwebapi-20")


@pytest.mark.parametrize("scheme", ["Basic", "bearer", "NEGOTIATE", "NTLM", "Kerberos"])
def test_credentials_that_nobody_registered_are_hidden_behind_their_scheme(scheme: str) -> None:
    ticket = "YIIGhgYJKoZIhvcSAQICAQBuggZ1"
    assert redaction.redact(f"sent '{scheme} {ticket}'") == f"sent '{scheme} ***'"
    plain = "Basic sign-in; Bearer tokens; it offers Negotiate, NTLM"
    assert redaction.redact(plain) == plain


def test_a_text_is_bounded_and_says_how_long_it_was() -> None:
    cut = redaction.shorten("x" * 2_000_000)
    assert cut == "x" * 500 + "… (2000000 characters)"
    assert redaction.shorten(cut) == cut
    assert len(str(ServerFailed("x" * 2_000_000))) < redaction.LONGEST_MESSAGE + 50
    assert len(PointFailure("T", "W", 500, "x" * 2_000_000).message) < 1100


def test_only_the_last_granted_tokens_are_kept_and_every_secret_of_an_option() -> None:
    redaction.register("option-secret-1")
    for number in range(200):
        redaction.register(f"{number:08d}", expires=True)
    assert redaction.redact("option-secret-1 00000000 00000199") == "*** 00000000 ***"
    assert len(redaction._secrets) <= redaction.MOST_TOKENS + 1


def test_an_error_holds_no_secret_when_it_is_made_nor_after_its_way_between_processes() -> None:
    redaction.register(SECRET)
    made = ReadFailed.of([PointFailure("T", "W", 500, f"no {SECRET}")], "[a, b)")
    assert "T (HTTP 500): no ***" in str(made)
    redaction.forget()
    there = pickle.loads(pickle.dumps(made))
    assert (str(there), there.failures[0].message) == (str(made), "no ***")


def _causes() -> Iterator[BaseException]:
    header = f"Bearer {SECRET}\n"
    yield InvalidHeader(f"Invalid return character in header value: {header!r}")
    yield ProtocolError("Connection aborted.", http.client.BadStatusLine(SECRET))
    chunk = InvalidChunkLength(
        type("Answer", (), {"tell": lambda _: 0, "length_remaining": 0})(), SECRET.encode()
    )  # type: ignore[arg-type]
    yield ProtocolError(f"Connection broken: {chunk!r}", chunk)
    yield OSError(5, f"cannot use {SECRET}", f"/{SECRET}")
    yield ValueError(SECRET.encode(), [SECRET, (SECRET, 1)], {"key": SECRET})
    yield KeyError(SECRET)
    noted = ValueError("x")
    noted.add_note(SECRET) if hasattr(noted, "add_note") else None
    yield noted
    inner = RuntimeError("outer")
    inner.__cause__ = LookupError(SECRET)
    yield inner


@pytest.mark.parametrize("cause", list(_causes()), ids=lambda cause: type(cause).__name__)
def test_the_errors_behind_an_error_are_redacted_too(cause: BaseException) -> None:
    redaction.register(SECRET)

    def fail() -> None:
        try:
            raise cause
        except Exception as found:
            message = f"wrong: {found}"
            raise InvalidOption(message) from found

    with pytest.raises(InvalidOption) as caught:
        fail()
    told = "".join(traceback.format_exception(caught.value)) + repr(cause.args)
    assert not pieces(told) & pieces(SECRET)
    assert type(cause).__name__ in told


def test_an_error_without_secrets_is_left_as_it_is() -> None:
    redaction.register(SECRET)
    error = KeyError(("a", [1, b"x"]), object())
    args = error.args
    redaction.redact_error(error)
    redaction.redact_error(None)
    assert all(new is old for new, old in zip(error.args, args, strict=True))


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root.addHandler(handler)
    yield stream.getvalue
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "name", ["pi_datasource.webapi.client", "urllib3.connection", "an.application", "root"]
)
def test_a_log_record_of_any_logger_is_redacted_with_its_traceback(
    logged: Callable[[], str], name: str
) -> None:
    logging.getLogger("urllib3").setLevel(logging.NOTSET)  # a command line that ran before has raised it
    redaction.register(SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger(name).warning("sent %s to %s", SECRET, "h", exc_info=True)
    told = logged()
    assert told.startswith(f"{name} sent *** to h\n")
    assert "ValueError: ***" in told
    assert not pieces(told) & pieces(SECRET)


def test_a_record_without_secrets_keeps_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    redaction.register(SECRET)
    logging.getLogger("x").warning("%s of %d", "a", 2)
    assert caplog.records[0].args == ("a", 2)
    assert caplog.records[0].msg == "%s of %d"


def test_a_record_that_cannot_be_formatted_tells_no_secret(
    logged: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    redaction.register(SECRET)
    logging.getLogger("x").warning("%d", SECRET)
    told: Any = logged() + "".join(capsys.readouterr())
    assert "x '%d' with arguments" in told
    assert not pieces(told) & pieces(SECRET)


def test_log_records_are_made_by_one_factory_however_many_secrets_there_are() -> None:
    redaction.register(SECRET)
    first = logging.getLogRecordFactory()
    redaction.register("another-secret")
    assert logging.getLogRecordFactory() is first
