"""Bodies that no parser reads: the tag to blame is found, and no other."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pi_datasource.errors import ReadFailed, UnexpectedReply
from pi_datasource.recorded import fetch
from tests.unit.damage import FOREVER, MODES, SCHEMA, Mode, read, steady, task
from tests.unit.fakes import SECOND, FakePI, expected_rows


class Unparsable(FakePI):
    """Writes a value of some tags as no JSON parser reads it, the first ``times`` times."""

    def __init__(self, names: list[str], bad: list[str], times: int = 10_000, token: str = "1..2") -> None:
        super().__init__({f"W_{name}": steady() for name in names})
        self.bad, self.times, self.token = bad, times, token

    def _content(self, web_id: str, asked: dict[str, str]) -> tuple[int, Any]:
        status, content = super()._content(web_id, asked)
        if web_id[2:] in self.bad and self.times > 0:
            self.times -= 1
            content["Items"][3]["Value"] = "@@@"
        return status, content

    def _body(self, replies: dict[str, Any]) -> bytes:
        return super()._body(replies).replace(b'"@@@"', self.token.encode())


NAMES = [f"T{i:03}" for i in range(200)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "bad", [["T000"], ["T150"], ["T199"], ["T010", "T011", "T120"], NAMES[40:52]], ids=len
)
def test_tags_that_make_whole_bodies_unreadable_are_found_by_halving(bad: list[str], mode: Mode) -> None:
    server = Unparsable(NAMES, bad)
    rows, failures = read(server, task(NAMES, mode))
    wanted = expected_rows(steady(), 0, FOREVER)
    assert rows == {name: wanted for name in NAMES if name not in bad}
    assert sorted(failures) == bad
    assert all("JSON is malformed" in text for text in failures.values())
    assert len(server.calls) <= 12 + 22 * len(bad)
    assert sum(2.0**attempt for attempt in server.pauses) <= 10 * len(bad)  # seconds


def test_the_tag_that_makes_a_body_unreadable_is_named_under_fail() -> None:
    with pytest.raises(ReadFailed) as caught:
        read(Unparsable(NAMES, ["T077"]), task(NAMES, "auto", "fail"))
    assert [failure.point for failure in caught.value.failures] == ["T077"]


def test_a_body_that_is_unreadable_once_is_asked_for_again_as_a_whole() -> None:
    server = Unparsable(NAMES[:20], ["T003"], times=1)
    rows, failures = read(server, task(NAMES[:20], "streams"))
    assert (len(rows), failures) == (20, {})
    assert [len(call) for call in server.calls] == [10, 10, 10]
    assert server.pauses == [0]


def test_a_server_whose_every_answer_is_unreadable_is_given_up_soon() -> None:
    server = Unparsable(NAMES, NAMES)
    with pytest.raises(UnexpectedReply, match=r"not a batch reply.*while reading"):
        read(server, task(NAMES, "streams"))
    assert len(server.calls) < 45


def test_a_proxys_page_in_place_of_all_answers_is_blamed_on_no_tag() -> None:
    class Portal(FakePI):
        """Shows its sign-in page."""

        def batch(self, _urls: dict[str, str], _attempts: Any = None) -> bytes:
            self.calls.append([])
            message = "POST batch: no JSON"
            raise UnexpectedReply(message)

    for names, most in ((["A"], 0), (NAMES, 10)):
        server = Portal()
        with pytest.raises(UnexpectedReply, match="no JSON"):
            read(server, task(names, "streams"))
        assert len(server.calls) <= 2 + server.max_retries + most
        assert server.pauses == [0, 1]


def test_a_proxys_page_in_place_of_one_tags_answers_is_blamed_on_that_tag() -> None:
    class Filter(FakePI):
        """Lets no answer with this tag pass."""

        def batch(self, urls: dict[str, str], _attempts: Any = None) -> bytes:
            body = super().batch(urls)
            if any(web_id == "W_T005" for web_id, _, _ in self.calls[-1]):
                message = "POST batch: no JSON"
                raise UnexpectedReply(message)
            return body

    rows, failures = read(Filter({f"W_{name}": steady() for name in NAMES}), task(NAMES, "streams"))
    assert (len(rows), failures) == (199, {"T005": "POST batch: no JSON"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_a_bare_nan_or_infinity_is_that_number(token: str, mode: Mode) -> None:
    server = Unparsable(["A", "B", "C"], ["B"], token=token)
    rows, failures = read(server, task(["A", "B", "C"], mode))
    wanted = expected_rows(steady(), 0, FOREVER)
    assert (rows["A"], rows["C"], failures) == (wanted, wanted, {})
    values = [value for *_, value in rows["B"]]
    assert repr(values[3]) == repr(float(token))
    assert values[:3] + values[4:] == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert len(server.calls) == 1


def test_text_that_spells_nan_beside_a_bare_one_is_left_alone() -> None:
    server = Unparsable(["A", "B"], ["B"], token="NaN")
    server.events["W_A"] = [(0, ' "NaN", Infinity:NaN,'), (SECOND, "x\\")]
    batches = list(fetch.run(server, task(["A", "B"], "streams"), SCHEMA))  # type: ignore[arg-type]
    texts = pa.Table.from_batches(batches).column("value_string").to_pylist()
    assert texts[:2] == [' "NaN", Infinity:NaN,', "x\\"]


def test_a_wrong_byte_in_a_name_is_not_passed_over() -> None:
    class Garbled(FakePI):
        """One value of B has a garbled name."""

        def _body(self, replies: dict[str, Any]) -> bytes:
            return super()._body(replies).replace(b'"Value":1003.0', b'"Val\xffue":1003.0')

    server = Garbled({"W_A": steady(), "W_B": [(ticks, 1000 + value) for ticks, value in steady()]})
    rows, failures = read(server, task(["A", "B"], "streams"))
    assert rows == {"A": expected_rows(steady(), 0, FOREVER)}
    assert list(failures) == ["B"]
