"""The error tree: complete, documented, picklable."""

import copy
import pickle
import re

import pytest

from pi_datasource import errors
from pi_datasource.errors import Call, PIError, PointFailure, ReadFailed, ServerError, ServerFailed

CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PIError)),
    key=lambda kind: kind.__name__,
)
FAILURES = tuple(PointFailure(f"TAG{i}", f"W{i}", 404 if i % 2 else None, f"gone {i}") for i in range(22))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_survives_the_way_between_processes(kind: type[PIError]) -> None:
    back = pickle.loads(pickle.dumps(kind("what happened")))
    assert type(back) is kind
    assert str(back) == "what happened"
    assert str(copy.copy(back)) == "what happened"


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, ServerError)], ids=lambda kind: kind.__name__
)
def test_every_server_error_keeps_its_fields_between_processes(kind: type[ServerError]) -> None:
    error = kind("HTTP 503", 503, ("busy",), call=Call("POST", "batch"))
    error.attempt = 3
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (kind, "POST batch: HTTP 503")
    assert vars(back) == {"status": 503, "errors": ("busy",), "method": "POST", "path": "batch", "attempt": 3}


def test_a_longer_message_keeps_class_and_fields() -> None:
    error = ServerFailed("HTTP 503", 503, ("busy",), call=Call("GET", "system"))
    longer = error.extended(" (while reading A)")
    assert (type(longer), str(longer)) == (ServerFailed, "GET system: HTTP 503 (while reading A)")
    assert vars(longer) == vars(error)


def test_an_error_without_a_call_has_its_message_alone() -> None:
    error = ServerFailed("no call", 503)
    assert (str(error), error.method, error.path, error.errors) == ("no call", None, None, ())


def test_the_purpose_of_a_call_stands_before_it() -> None:
    assert str(Call("POST", "https://id/token", "signing in")) == "signing in: POST https://id/token"


def test_a_read_failure_keeps_its_points_between_processes() -> None:
    back = pickle.loads(pickle.dumps(ReadFailed.of(list(FAILURES), "[a, b)")))
    assert back.failures == FAILURES


def test_a_read_failure_shows_the_first_points_and_counts_the_others() -> None:
    shown = "; ".join(
        f"TAG{i} ({'HTTP 404' if i % 2 else 'no status'}): gone {i}" for i in range(errors.SHOWN_FAILURES)
    )
    assert str(ReadFailed.of(list(FAILURES), "[a, b)")) == (
        f"22 point(s) could not be read in [a, b): {shown}; and 2 more. Nothing of this window counts as read; "
        'set on_error="report" to get such points as rows instead.'
    )


def test_a_read_failure_of_one_point_counts_no_others() -> None:
    assert str(ReadFailed.of([FAILURES[1]], "[a, b)")) == (
        "1 point(s) could not be read in [a, b): TAG1 (HTTP 404): gone 1. Nothing of this window counts as read; "
        'set on_error="report" to get such points as rows instead.'
    )


def test_the_tree_in_the_docstring_is_the_tree_of_the_code() -> None:
    drawn: dict[str, str] = {}
    parents = ["PIError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^ {4}( {2}x| {4}-) (\w+)", line):
            depth = 1 if "x" in match[1] else 2
            parents[depth:] = [match[2]]
            drawn[match[2]] = parents[depth - 1]
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not PIError}


def test_all_names_every_public_error() -> None:
    assert errors.__all__ == sorted([kind.__name__ for kind in CLASSES] + ["PointFailure"])


def test_a_server_error_without_an_answer_has_no_status() -> None:
    assert ServerError("x").status is None
