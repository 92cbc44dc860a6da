"""What is measured, and the limits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.read.recordings import Shape


@dataclass(frozen=True)
class Limit:
    """A figure of the case must be at most this; ``of`` names another column whose figure it is divided by."""

    figure: str
    most: float
    of: str = ""


@dataclass(frozen=True)
class Case:
    """One case: its ``kind`` is a function of ``session``, or ``shell``, which has one result for each of its runs."""

    name: str
    kind: str
    shape: Shape
    job: dict[str, Any] = field(default_factory=dict)
    limits: Sequence[Limit] = ()


_LARGE = (
    Limit("wall_s", 1.6, of="plain"),
    Limit("bytes", 1.1, of="plain"),
    Limit("heap_mb", 1024),
    Limit("worker_mb", 220),
)
_SMALL = (Limit("wall_s", 2.0), Limit("cpu_s", 3.0))
# The limits of the three runs of the shell, by the run's name.
SHELL_LIMITS = {"news": (Limit("wall_s", 15.0),), "nothing new": (Limit("wall_s", 8.0),)}


def cases(*, quick: bool, rounds: int) -> list[Case]:
    """All cases, or all of them with small amounts."""
    tags = 100 if quick else 1000
    scale = 10 if quick else 1
    loaded = {"rounds": rounds}
    few = {"stored": 1_000_000 // scale // scale, "rows": 100, "batches": 3 if quick else 7}
    # A hundred events of each tag in the two hours of the overlap.
    edited = Shape(tags, 1200)
    one_tag = [Limit("cpu_s", 1.5, of="alone")]
    return [
        Case("first load of 1 M", "load", Shape(tags, 1000 // scale), loaded, _LARGE[2:]),
        Case("first load of 10 M", "load", Shape(tags, 10_000 // scale), loaded, _LARGE),
        Case("100 rows more", "increment", Shape(tags, 10_000 // scale), few, _SMALL),
        Case(
            "100,000 rows more", "increment", Shape(tags, 10_000 // scale), {**few, "rows": 100_000 // scale}
        ),
        Case("backfill of 10 M", "fill", Shape(tags, 11_000 // scale), loaded, _LARGE),
        Case(
            "backfill of one tag",
            "fill_tag",
            Shape(tags, 1000 // scale),
            {"batches": few["batches"]},
            one_tag,
        ),
        Case(
            "overlap of 2 h",
            "increment",
            edited,
            {"stored": 250_000 // scale, "rows": 1000, "batches": few["batches"], "overlap": True},
            [Limit("wall_s", 5.0)],
        ),
        Case("shell", "shell", Shape(tags, 10_000 // scale), {"news": 100_000 // scale}),
    ]
