"""The servers that are read: fixed seeds, clocks that stand still until they are moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mock_server import Faults, Plant, running
from tests.unit import small_pi

NOW = datetime(2026, 3, 1, 6, 0, 0, 123456, tzinfo=timezone.utc)
_BEGIN = NOW - timedelta(hours=4)
_HERE = Path(__file__).parent
# Faults that damage an answer, and do not refuse it, have servers of their own: of a set of streams only one fault is met.
_REFUSALS = ("403", "404", "404-message", "409-text", "429", "500", "500-text", "503")


def plain() -> Plant:
    """Points of every kind of instrument, as every site has them of which nothing else is said."""
    return Plant(seed=1, tags=48, plants=3)


def _faulty(*faults: str) -> dict[str, Any]:
    """Every fourth point meets one of the faults, always, as long as there are any."""
    names = [point.name for point in plain().points]
    return {"faults": Faults(points=dict(zip(names[::4], faults, strict=False)))}


_SITES: dict[str, tuple[Callable[[], Plant], Callable[[], dict[str, Any]]]] = {
    "plain": (plain, dict),
    "2017": (plain, lambda: {"version": "2017"}),
    "2018": (plain, lambda: {"version": "2018"}),
    "compressing": (plain, lambda: {"gzip": True}),
    "narrow": (plain, lambda: {"max_items": 500, "max_collect": 20_000}),
    "faulty": (plain, lambda: _faulty(*_REFUSALS)),
    "cut_short": (plain, lambda: _faulty("web-exception")),
    "erring": (plain, lambda: _faulty("value-errors")),
    "dense": (lambda: Plant(seed=2, tags=4, plants=1, period_s=0.1), dict),
    "changing": (lambda: Plant(seed=3, tags=24, plants=2, period_s=5, changes=0.2), dict),
    "churning": (lambda: Plant(seed=4, tags=24, plants=2, history_start=_BEGIN, churn=96), dict),
    "young": (lambda: Plant(seed=5, tags=24, plants=2, history_start=_BEGIN), dict),
    "imported": (lambda: Plant(data=_HERE / "imported.csv"), dict),
}


class Site:
    """A server's address and clock."""

    def __init__(self) -> None:
        self.now, self.url = NOW, ""


@contextmanager
def served(name: str) -> Iterator[Site]:
    """The site of that name, served while the block runs; its clock shows ``now``."""
    site = Site()
    with ExitStack() as stack:
        if name == "odd":
            site.url = stack.enter_context(small_pi.serving(_odd_values()))
        else:
            plant, settings = _SITES[name]
            site.url = stack.enter_context(running(plant(), clock=lambda: site.now, **settings()))
        yield site


def _odd_values() -> small_pi.SmallPI:
    """Values of every JSON type that PI Web API may send, for each type of point, which the simulator has none of."""
    error = {"FieldName": "Value", "Message": ["[-11059] No Good Data For Calculation"]}
    state = {"Name": "Pt Created", "Value": 253, "IsSystem": True}
    values: list[tuple[Any, dict[str, Any]]] = [
        *((value, {}) for value in (1, 0.1, -0.0, 5e-324, 2**53, 2**53 + 1, 10**400, True, False, None)),
        *((value, {}) for value in ("NaN", "-Infinity", "Infinity", "text", "", "2026-03-01T05:00:00.1234567Z")),
        *((value, {}) for value in ([1, "two"], {}, {"Name": "Open", "Value": 1}, {"Name": "x", "Value": 2**40})),
        *((state, {"Good": good}) for good in (True, False, None)),
        *((value, {"Good": False}) for value in (1.5, "Bad Input", {"Name": "Shutdown", "Value": 254})),
        ({"Errors": [error]}, {"Good": False}),
        (None, {"Good": False, "Errors": [error]}),
        (7, {"Questionable": True, "Substituted": True, "Annotated": True, "UnitsAbbreviation": "°C"}),
        (8, {"Questionable": None, "Substituted": None, "Annotated": None, "UnitsAbbreviation": None}),
    ]  # fmt: skip
    events = [
        small_pi.event(f"2026-03-01T05:{number:02d}:00.000000{number % 10}Z", value, **more)
        for number, (value, more) in enumerate(values)
    ]
    kinds = ("Float64", "Float32", "Int32", "Digital", "String", "Timestamp", "Blob")
    pi = small_pi.SmallPI({f"{kind}.odd": (kind, events) for kind in kinds})
    pi.now = "2026-03-01T06:00:00.123456Z"
    return pi
