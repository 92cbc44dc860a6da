"""The simulator's resident memory over many requests of every kind."""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "soak_simulator.md"
_FLAGS = ("--port", "0", "--tags", "256", "--faults", "3:500=0.02,member.503=0.02", "--stale", "60", "--gzip")
_JSON = {"X-Requested-With": "soak", "Content-Type": "application/json"}


@dataclass
class Soak:
    """What was measured: resident kilobytes at equal distances (the first after warming up), and the statuses."""

    sizes_kb: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def growth_kb(self) -> int:
        """How much larger the server was at the end than at its largest in the first half."""
        half = len(self.sizes_kb) // 2
        return max(self.sizes_kb[half:]) - max(self.sizes_kb[:half])


def soak(requests: int, warm_up: int, measurements: int = 10) -> Soak:
    """Send so many requests, after others to warm up, to a server of its own."""
    result = Soak()
    with _server() as (process, address):
        connection = http.client.HTTPConnection(address, timeout=60)
        asked = _requests(connection, address)
        for _ in range(warm_up):
            _send(connection, *next(asked))
        begun = time.monotonic()
        result.sizes_kb.append(_size_kb(process.pid))
        for part in range(measurements):
            for _ in range(requests * part // measurements, requests * (part + 1) // measurements):
                result.statuses[_send(connection, *next(asked))] += 1
            result.sizes_kb.append(_size_kb(process.pid))
        result.seconds = time.monotonic() - begun
        connection.close()
    return result


def _requests(connection: http.client.HTTPConnection, address: str) -> Iterator[tuple[str, str, str]]:
    """Method, path and body of one request after another, no two of them the same."""
    server = json.loads(_body(connection, "/piwebapi/dataservers"))["Items"][0]
    listed = json.loads(_body(connection, f"/piwebapi/dataservers/{server['WebId']}/points?maxCount=256"))
    points = [item["WebId"] for item in listed["Items"]]
    number = 0
    while True:
        point, other = points[number % len(points)], points[(number * 7 + 1) % len(points)]
        window = f"startTime=*-{number % 900 + 60}s&maxCount=200&n={number}"
        member = {"Method": "GET", "Resource": f"http://{address}/piwebapi/streams/{point}/recorded?{window}"}
        yield "GET", f"/piwebapi/streams/{point}/recorded?{window}", ""
        yield "GET", f"/piwebapi/streamsets/value?webId={point}&webId={other}&n={number}", ""
        yield "POST", "/piwebapi/batch", json.dumps({str(each): member for each in range(3)})
        yield "GET", f"/piwebapi/dataservers/{server['WebId']}/points?maxCount=5&n={number}", ""
        yield "GET", f"/piwebapi/points/{number}", ""  # no WebID: a refusal
        number += 1


def _body(connection: http.client.HTTPConnection, path: str) -> bytes:
    for _ in range(5):  # a fault may be met, and passes
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status == 200:
            return body
    message = f"{path} is answered with {response.status}"
    raise RuntimeError(message)


def _send(connection: http.client.HTTPConnection, method: str, path: str, body: str) -> int:
    connection.request(method, path, body.encode() or None, {**_JSON, "Accept-Encoding": "gzip"})
    response = connection.getresponse()
    response.read()
    return response.status


@contextmanager
def _server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "mock_server", *_FLAGS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield process, urlsplit(next(word for word in line.split() if word.startswith("http"))).netloc
        finally:
            process.terminate()


def _size_kb(pid: int) -> int:
    """The resident size of a process."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout)


def main() -> int:
    """Measure and report; the exit code is 1 when memory grew by more than `--bound` MB."""
    parser = argparse.ArgumentParser(prog="soak_simulator", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--warm-up", type=int, default=2_000, help="how many before measuring (default 2000)")
    parser.add_argument("--bound", type=int, default=20, help="most MB that the server may grow (default 20)")
    options = parser.parse_args()
    result = soak(options.requests, options.warm_up)
    text = report(result, options.requests, options.warm_up, options.bound)
    sys.stdout.write(text)
    RESULTS.write_text(text)
    return 0 if result.growth_kb <= options.bound * 1024 else 1


def report(result: Soak, requests: int, warm_up: int, bound: int) -> str:
    """The result as a page."""
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(result.statuses.items()))
    parts = len(result.sizes_kb) - 1
    lines = [
        "# The simulator's memory",
        "",
        f"Measured by `scripts/bench soak_simulator`: {requests:,} requests of every kind, no two of them the same, "
        f"after {warm_up:,} to warm up, from one connection; flags `{' '.join(_FLAGS)}`.",
        "",
        "| requests | resident MB |",
        "|---|---|",
        *(
            f"| {part * requests // parts:,} | {size / 1024:.1f} |"
            for part, size in enumerate(result.sizes_kb)
        ),
        "",
        f"Growth from the largest of the first half to the largest of the second: {result.growth_kb / 1024:.1f} MB "
        f"(bound {bound}). {requests / result.seconds:.0f} requests a second; statuses {statuses}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
