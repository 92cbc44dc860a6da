"""The cases to measure: one entry is one row of the results."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from benchmarks.read.recordings import Shape

ENGINES = {
    "pi-datasource": "this project",
    "baseline": "plain reader: requests, json, a tuple per row",
    "pyspark-pi": "pyspark-pi 0.3.0",
}

FORMATS = {"pi-datasource": "pi", "baseline": "baseline", "pyspark-pi": "pi"}
# What each reader calls the tag's name, the time, the value and the good flag.
COLUMNS = {
    "pi-datasource": ("tag_name", "timestamp", "value", "good"),
    "baseline": ("tag_name", "timestamp", "value", "good"),
    "pyspark-pi": ("point", "timestamp", "value", "good"),
}


@dataclass(frozen=True)
class Case:
    """One reader, one amount of data, one sink. ``sink`` is noop, parquet or delta; ``mode`` batch or stream."""

    name: str
    shape: Shape
    engine: str = "pi-datasource"
    mode: str = "batch"
    sink: str = "noop"
    master: str = "local[2]"
    server: str = "static"
    schema: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    latency_ms: int = 0  # that the static server waits before each answer, as a network would
    repeats: int | None = None  # fewer than asked for, where one run takes long

    @property
    def full_name(self) -> str:
        """The reader and the case."""
        return f"{self.engine}: {self.name}"

    @property
    def job(self) -> str:
        """The job of the Spark session that runs it."""
        return "stream" if self.mode == "stream" else "noop" if self.sink == "noop" else "files"


THREE_COLUMNS = "tag_name string, timestamp timestamp, value double"
WIDE, MANY, LONG = Shape(1000, 1000), Shape(10_000, 100), Shape(100, 10_000)
FIVE, TEN, HUNDRED = Shape(1000, 5000), Shape(1000, 10_000), Shape(10_000, 10_000)
SIMULATED = Shape(1000, 0)  # the simulator's signals decide how many events its tags have

_OURS = [
    Case("1,000 x 1,000", WIDE),
    Case("10,000 x 100", MANY),
    Case("100 x 10,000", LONG),
    Case("5 million", FIVE, repeats=3),
    Case("10 million", TEN, repeats=3),
    Case("100 million", HUNDRED, repeats=1),
    Case("mixed types", Shape(1000, 1000, "mixed")),
    Case("1 % system states", Shape(1000, 1000, "states")),
    Case("three columns", WIDE, schema=THREE_COLUMNS),
    Case("20 ms away", WIDE, latency_ms=20),
    Case("single streams, 1,000 x 1,000", WIDE, options={"read_mode": "streams"}),
    Case("single streams, 10,000 x 100", MANY, options={"read_mode": "streams"}),
    Case("Parquet", WIDE, sink="parquet"),
    Case("Parquet, 100 x 10,000", LONG, sink="parquet"),
    Case("Delta", WIDE, sink="delta"),
    Case("stream", WIDE, mode="stream"),
    Case("stream to Parquet", WIDE, mode="stream", sink="parquet"),
    Case("stream to Delta", WIDE, mode="stream", sink="delta"),
    Case("simulator", SIMULATED, server="simulator"),
    Case("one core", WIDE, master="local[1]"),
    Case("one core, 100 x 10,000", LONG, master="local[1]"),
    Case("one core, Parquet", WIDE, master="local[1]", sink="parquet"),
]
_BASELINE = [
    Case("baseline, 1,000 x 1,000", WIDE),
    Case("baseline, 10,000 x 100", MANY),
    Case("baseline, 100 x 10,000", LONG),
    Case("baseline, mixed types", Shape(1000, 1000, "mixed")),
    Case("baseline, three columns", WIDE, schema=THREE_COLUMNS),
    Case("baseline, Parquet", WIDE, sink="parquet"),
    Case("baseline, simulator", SIMULATED, server="simulator"),
    Case("baseline, one core", WIDE, master="local[1]"),
]
# The peer sends up to 1,000 tags in one call and one task: with fewer per call it can use both cores.
_QUARTERS = {"rateLimitMaxRequests": "250"}
_PEER = [
    Case("pyspark-pi, 1,000 x 1,000", WIDE),
    Case("pyspark-pi, four tasks", WIDE, options=_QUARTERS),
    Case("pyspark-pi, 10,000 x 100", MANY),
    Case("pyspark-pi, 100 x 10,000", LONG),
    Case("pyspark-pi, 1 % system states", Shape(1000, 1000, "states")),
    Case("pyspark-pi, Parquet", WIDE, sink="parquet"),
    Case("pyspark-pi, simulator", SIMULATED, server="simulator"),
    Case("pyspark-pi, one core", WIDE, master="local[1]"),
]

FULL = [
    *_OURS,
    *(replace(case, engine="baseline", repeats=2) for case in _BASELINE),
    *(replace(case, engine="pyspark-pi", repeats=2) for case in _PEER),
]

_SMALL = Shape(200, 500)
QUICK = [
    Case("200 x 500", _SMALL),
    Case("mixed types", Shape(200, 500, "mixed")),
    Case("three columns", _SMALL, schema=THREE_COLUMNS),
    Case("Delta", _SMALL, sink="delta"),
    Case("stream to Parquet", _SMALL, mode="stream", sink="parquet"),
    Case("simulator", Shape(64, 0), server="simulator"),
    Case("baseline, 200 x 500", _SMALL, engine="baseline"),
    Case("pyspark-pi, 200 x 500", _SMALL, engine="pyspark-pi"),
]

PURE_SHAPES = {
    "1,000 x 1,000": WIDE,
    "10,000 x 100": MANY,
    "100 x 10,000": LONG,
    "mixed types": Shape(1000, 1000, "mixed"),
    "1 % system states": Shape(1000, 1000, "states"),
}
QUICK_PURE_SHAPES = {"200 x 500": _SMALL}
POINTS, QUICK_POINTS = 1_000_000, 20_000
