"""Events that the simulator serves per CPU second over HTTP, and the time to list a million tags."""

import argparse
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from mock_server import Plant, State
from mock_server.plant import ticks

RESULTS = Path(__file__).parent / "results"
NOW = "2025-06-02T12:00:00Z"
SEED, TAGS = 1, 2_048
# Both are at work on every request, though neither hits one of these reads.
SWITCHED_ON = ("--faults", "1:member.503=0.05", "--rate-limit", "100000")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Read:
    """One way of reading recorded events; `target` is in events for each CPU second of the server."""

    name: str
    streams: int
    events: int
    calls: int
    target: int | None

    def path(self, web_ids: list[str]) -> str:
        """The call that reads these streams."""
        window = f"startTime=2020-01-01&endTime=*&maxCount={self.events}"
        if self.streams == 1:
            return f"/streams/{web_ids[0]}/recorded?{window}"
        chosen = "".join(f"&webId={each}" for each in web_ids[: self.streams])
        return f"/streamsets/recorded?{window}{chosen}"


READS = (
    Read("96 streams of all types, 1,000 events each", 96, 1_000, 12, 1_500_000),
    Read("400 streams of all types, 10 events each", 400, 10, 200, 800_000),
    Read("one stream, 1,000 events", 1, 1_000, 300, None),
    Read("one stream, 100,000 events", 1, 100_000, 12, None),
)


class Server:
    """A simulator in a process of its own, and what the system says of it."""

    def __init__(self, *arguments: str, tree: Path | None = None) -> None:
        """Starts the simulator of this repository, or that of the checkout ``tree``."""
        command = [
            sys.executable,
            "-m",
            "mock_server",
            "--port",
            "0",
            "--now",
            NOW,
            "--speed",
            "0",
            *arguments,
        ]
        started = time.monotonic()
        environment = os.environ if tree is None else {**os.environ, "PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=tree, env=environment
        )
        assert self._process.stdout is not None
        match = re.search(r"http://\S+", self._process.stdout.readline())
        if match is None:
            msg = "the simulator did not start"
            raise RuntimeError(msg)
        self.ready_s = time.monotonic() - started
        parts = urlsplit(match[0])
        self._base = parts.path
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)

    def get(self, path: str) -> bytes:
        """The body of an answer."""
        self._connection.request("GET", self._base + path)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            msg = f"{path[:80]}: {response.status} {body[:200]!r}"
            raise RuntimeError(msg)
        return body

    def reconnect(self) -> None:
        """Take a new connection for the next call: the server closes one that was idle for seconds."""
        self._connection.close()

    def cpu_s(self) -> float:
        """User and system seconds of the process so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def peak_mb(self) -> float:
        """The most memory the process ever held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.terminate()
        self._process.wait(20)


@contextmanager
def serving(*arguments: str, tree: Path | None = None) -> Iterator[Server]:
    """A simulator while the block runs."""
    server = Server(*arguments, tree=tree)
    try:
        yield server
    finally:
        server.stop()


def web_ids_of(plant: Plant) -> list[str]:
    """The WebIDs of all points."""
    return [point.web_id("IDOnly") for point in plant.points]


def measure_read(server: Server, read: Read, web_ids: list[str], repeats: int) -> dict[str, object]:
    """Events per CPU second, the median and the best of some repeats."""
    path = read.path(web_ids)
    server.reconnect()
    body = server.get(path)
    count = body.count(b'"Timestamp"')
    for _ in range(3):
        server.get(path)
    rates = []
    for _ in range(repeats):
        before = server.cpu_s()
        for _ in range(read.calls):
            server.get(path)
        rates.append(read.calls * count / (server.cpu_s() - before))
    return {
        **asdict(read),
        "events_per_call": count,
        "bytes_per_event": round(len(body) / count, 1),
        "median": round(statistics.median(rates)),
        "best": round(max(rates)),
        "repeats": repeats,
    }


def check(server: Server, read: Read, plant: Plant) -> None:
    """Stop unless the events served are those of the oracle, which uses neither HTTP nor JSON."""
    points = plant.points[: read.streams]
    server.reconnect()
    body = orjson.loads(server.get(read.path([point.web_id("IDOnly") for point in points])))
    for point, item in zip(points, body["Items"], strict=True):
        served = [(row["Timestamp"], _flat(row["Value"]), row["Good"]) for row in item["Items"]]
        last = _moment(served[-1][0]) + timedelta(microseconds=1)
        truth = plant.oracle(point.name, _moment(NOW).replace(year=2020, month=1, day=1, hour=0), last)
        known = [(ticks.to_iso(event.ticks), _flat(event.value), event.good) for event in truth]
        if served != known[: len(served)] or len(served) < min(read.events, len(known)):
            msg = f"{read.name}: what {point.name} is served with is not what the oracle knows"
            raise RuntimeError(msg)


def _flat(value: object) -> object:
    """A state as its name and code, anything else as it is."""
    if isinstance(value, dict):
        return value["Name"], value["Value"]
    return (value.name, value.code) if isinstance(value, State) else value


def _moment(text: str) -> datetime:
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc) + timedelta(
        microseconds=int(fraction.ljust(7, "0")[:6])
    )


def measure_million() -> dict[str, object]:
    """How soon a million tags are there, and how long it takes to list them all."""
    with serving("--tags", "1000000") as server:
        result: dict[str, object] = {"ready_s": round(server.ready_s, 2)}
        data_server = orjson.loads(server.get("/dataservers"))["Items"][0]["WebId"]
        for kind, fields in (
            ("selected", "&selectedFields=Items.WebId;Items.Name;Items.PointType"),
            ("full", ""),
        ):
            before, started, names = server.cpu_s(), time.monotonic(), set()
            for start in range(0, 1_000_000, 10_000):
                page = server.get(
                    f"/dataservers/{data_server}/points?startIndex={start}&maxCount=10000{fields}"
                )
                names.update(item["Name"] for item in orjson.loads(page)["Items"])
            if len(names) != 1_000_000:
                msg = f"{len(names)} different points were listed"
                raise RuntimeError(msg)
            result[f"list_{kind}_wall_s"] = round(time.monotonic() - started, 1)
            result[f"list_{kind}_cpu_s"] = round(server.cpu_s() - before, 1)
        return {**result, "peak_mb": round(server.peak_mb())}


def machine() -> str:
    """What it ran on, in a few words."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        found = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        model = f" ({found[0].strip()})" if found else ""
    return f"{os.cpu_count()} cores{model}, Python {platform.python_version()}"


def main() -> int:
    """Measure, print and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each read (default 5)")
    parser.add_argument("--no-million", action="store_true", help="leave the million tags out")
    options = parser.parse_args()
    plant = Plant(seed=SEED, tags=TAGS)
    web_ids = web_ids_of(plant)
    load_before = os.getloadavg()[0]
    with serving("--tags", str(TAGS), "--seed", str(SEED), *SWITCHED_ON) as server:
        for read in READS[:2]:
            check(server, read, plant)
        reads = [measure_read(server, read, web_ids, options.repeats) for read in READS]
        memory = round(server.peak_mb())
    seen: dict[str, object] = {
        "machine": machine(),
        "load_average": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        "reads": reads,
        "peak_mb": memory,
        "million_tags": None if options.no_million else measure_million(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "simulator.json").write_text(json.dumps(seen, indent=2) + "\n")
    text = report(seen)
    (RESULTS / "simulator.md").write_text(text)
    sys.stdout.write(text)
    return 0


def report(seen: dict[str, object]) -> str:
    """The result as a page."""
    reads, million = seen["reads"], seen["million_tags"]
    assert isinstance(reads, list)
    before, after = seen["load_average"]  # type: ignore[misc]
    lines = [
        "# The simulator's speed",
        "",
        "Measured by `scripts/bench simulator`: CPU seconds (user and system) of the server process, HTTP included,",
        f"on {seen['machine']}; load average {before} before and {after} after, so that other work shared the cores",
        "if it is above 1. Limits and a schedule of faults are switched on.",
        "",
        "| read | events per call | bytes per event | events per CPU second, median | best | goal |",
        "|---|---|---|---|---|---|",
    ]
    for read in reads:
        goal = f"{read['target']:,}" if read["target"] else "–"
        lines.append(
            f"| {read['name']} | {read['events_per_call']:,} | {read['bytes_per_event']} "
            f"| {read['median']:,} | {read['best']:,} | {goal} |"
        )
    lines += ["", f"Most memory held: {seen['peak_mb']} MB.", ""]
    if isinstance(million, dict):
        lines += [
            f"A million tags: ready in {million['ready_s']} s (goal 10); listed in pages of 10,000 in "
            f"{million['list_selected_wall_s']} s with three selected fields ({million['list_selected_cpu_s']} s CPU) "
            f"and in {million['list_full_wall_s']} s with all of them ({million['list_full_cpu_s']} s CPU; goal 15); "
            f"most memory held {million['peak_mb']} MB (goal 1,000).",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
