"""The whole path once: a PI server, three ingestions into Delta, a query, and the proof that nothing is missing."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mock_server import TAG_PATTERN, Plant
from oracle_check import Comparison, compare, read_delta
from pi_datasource.cli.lakehouse import show_progress
from pi_datasource.delta import BatchReport, Lakehouse, audit, follow, local_spark, start

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_LAKEHOUSE = ROOT / "build" / "demo" / "lakehouse"
NEW_EVENTS_S = 5  # until the server has some
PAUSE_S = 15  # between ingestions
NEW_TAGS = 16

QUERY = """
SELECT plant, sensor_type, COUNT(*) AS events, COUNT(DISTINCT tag_name) AS tags,
       ROUND(AVG(value), 2) AS mean, MAX(timestamp) AS newest
FROM bronze.pi_timeseries
GROUP BY plant, sensor_type
ORDER BY plant, sensor_type
"""

console = Console(width=None if sys.stdout.isatty() else 110, soft_wrap=False)


@dataclass(frozen=True)
class Demo:
    """What all steps need: locations, options, and a copy of the server's plant as the oracle."""

    spark: Any
    options: dict[str, str]
    lakehouse: Lakehouse
    plant: Plant
    site: str


def main() -> int:
    """Runs the demo; 0 only if the bronze table equals the oracle after every ingestion."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lake = _empty_folder(arguments.lakehouse)
    try:
        with _simulator(arguments, lake) as site:
            demo = Demo(
                spark=_spark(),
                options={
                    "url": f"{site}/piwebapi",
                    "start_time": f"*-{arguments.hours}h",
                    "tag_pattern": TAG_PATTERN,
                    "max_window_per_trigger": "12h",
                    "settle": "2s",
                },
                lakehouse=Lakehouse.in_directory(lake),
                plant=Plant(seed=arguments.seed, tags=arguments.tags, plants=arguments.plants),
                site=site,
            )
            equal = _show(demo)
            if equal and sys.stdin.isatty() and sys.stdout.isatty() and not arguments.once:
                equal = _keep_going(demo)
            return 0 if equal else 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130


def _show(demo: Demo) -> bool:
    began = time.monotonic()
    _ingest(demo, f"1. The last {demo.options['start_time'][2:]} of {len(demo.plant.points)} tags")
    _wait("New events arrive at the server", NEW_EVENTS_S)
    _ingest(demo, "2. Once more: only what is new")
    _add_tags(demo)
    _wait("Their first events arrive", NEW_EVENTS_S)
    _ingest(demo, f"3. The {NEW_TAGS} new tags come by themselves")
    _print_tables(demo)
    comparison = _check(demo)
    console.rule()
    console.print(str(comparison), style="bold green" if comparison.equal else "bold red", markup=False)
    console.print(f"The whole demo took {time.monotonic() - began:.0f} s. Tables: {demo.lakehouse.directory}")
    return comparison.equal


def _keep_going(demo: Demo) -> bool:
    console.rule("Staying up: ingesting every 15 s until Ctrl-C")
    console.print(
        f"PI Web API   {demo.site}/piwebapi\nServer page  {demo.site}/\nDashboard    {demo.site}/ingestion\n"
        f"Tables       {demo.lakehouse.directory}"
    )
    try:
        while True:
            _wait("Next ingestion", PAUSE_S)
            _ingest(demo, f"{datetime.now(timezone.utc):%H:%M:%S} UTC")
            comparison = _check(demo)
            console.print(str(comparison), style="green" if comparison.equal else "red", markup=False)
            if not comparison.equal:
                return False
    except KeyboardInterrupt:
        console.print("\nStopping.")
        return True


def _ingest(demo: Demo, title: str) -> None:
    console.rule(f"[bold]{title}", align="left")
    began = time.monotonic()
    query = start(demo.spark, demo.options, demo.lakehouse)
    before = datetime.now(timezone.utc)
    show_progress(console, follow(query), "  reading")
    new = [r for r in audit.reports(demo.spark, demo.lakehouse, str(query.id)) if r.created_at >= before]
    seconds = time.monotonic() - began
    rows = sum(report.rows_inserted for report in new)
    console.print(
        f"  {rows:,} new rows in {len(new)} micro-batch(es), {seconds:.1f} s ({rows / seconds:,.0f} rows/s)"
    )


def _add_tags(demo: Demo) -> None:
    request = urllib.request.Request(
        f"{demo.site}/admin/points",
        json.dumps({"count": NEW_TAGS}).encode(),
        {"Content-Type": "application/json", "X-Requested-With": "demo"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        created = json.load(response)["created"]
    at = datetime.fromisoformat(created[0]["created"].replace("Z", "+00:00"))
    demo.plant.add_points(NEW_TAGS, at)
    console.print(f"  {len(created)} tags added to the running server, such as {created[0]['name']}")


def _check(demo: Demo) -> Comparison:
    reports = _reports(demo)
    with console.status("Comparing the bronze table with the oracle, row by row …"):
        bronze = read_delta(f"{demo.lakehouse.directory}/bronze/pi_timeseries")
        return compare(demo.plant, bronze, reports[0].window_start, reports[-1].window_end)


def _reports(demo: Demo) -> list[BatchReport]:
    rows = demo.spark.read.table(demo.lakehouse.audit).select("stream_id").distinct().collect()
    return audit.reports(demo.spark, demo.lakehouse, rows[0][0])


def _print_tables(demo: Demo) -> None:
    console.rule("[bold]4. What the tables hold", align="left")
    bronze, gold, checkpoints = demo.lakehouse.bronze, demo.lakehouse.gold, demo.lakehouse.audit
    _print_rows(demo, QUERY.strip(), "")
    _print_rows(
        demo,
        "SELECT tag_name, timestamp, sequence AS seq, value, value_string, value_kind, good, units "
        f"FROM {bronze} WHERE value_kind <> 'number' OR sequence > 0 ORDER BY timestamp DESC, tag_name LIMIT 6",
        "bronze.pi_timeseries: states, texts and events that share a timestamp",
    )
    _print_rows(
        demo,
        "SELECT tag_name, hour, event_count AS events, ROUND(good_share, 3) AS good, ROUND(min_value, 2) AS min, "
        "ROUND(mean_value, 2) AS mean, ROUND(max_value, 2) AS max, ROUND(last_value, 2) AS last "
        f"FROM {gold} WHERE mean_value IS NOT NULL ORDER BY hour DESC, tag_name LIMIT 5",
        "gold.pi_metrics_hourly",
    )
    _print_rows(
        demo,
        "SELECT batch_id AS batch, window_start, window_end, tags, rows_read, rows_inserted AS inserted, "
        "rows_updated AS updated, read_failures AS failures, ROUND(seconds, 1) AS seconds "
        f"FROM {checkpoints} ORDER BY created_at",
        "checkpoints.pi_ingestion_checkpoint",
    )


def _print_rows(demo: Demo, sql: str, title: str) -> None:
    if title:
        console.print(f"\n  [bold]{title}")
    else:
        console.print(sql, style="cyan", highlight=False)
    frame = demo.spark.sql(sql)
    table = Table(*frame.columns, header_style="bold")
    for row in frame.collect():
        table.add_row(*(_text(value) for value in row))
    console.print(table)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(timezone.utc):%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def _wait(what: str, seconds: int) -> None:
    with console.status(f"{what} …"):
        time.sleep(seconds)


def _spark() -> Any:
    began = time.monotonic()
    with console.status("Starting Spark with Delta Lake …"):
        spark = local_spark("pi-datasource demo")
    console.print(f"Spark {spark.version} with Delta Lake started in {time.monotonic() - began:.1f} s")
    return spark


@contextmanager
def _simulator(arguments: argparse.Namespace, lake: Path) -> Iterator[str]:
    """Runs the simulator and the dashboard in a process of their own; yields their address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", arguments.port))
        except OSError:
            console.print(
                f"Port {arguments.port} is in use. Try another: ./scripts/demo --port {arguments.port + 1}"
            )
            sys.exit(1)
    command = [sys.executable, str(ROOT / "scripts" / "demo_site.py"), "--lakehouse", str(lake)]
    command += ["--port", str(arguments.port)]
    command += [
        "--tags",
        str(arguments.tags),
        "--plants",
        str(arguments.plants),
        "--seed",
        str(arguments.seed),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        ready = process.stdout.readline().strip() if process.stdout else ""
        if not ready:
            console.print("The simulator did not start; its own words are above.")
            sys.exit(1)
        console.print(ready, highlight=False)
        console.print(process.stdout.readline().strip() if process.stdout else "", highlight=False)
        yield f"http://127.0.0.1:{arguments.port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _empty_folder(given: Path | None) -> Path:
    """The folder for the tables: one of an earlier demo is replaced, any other must be empty."""
    if given is None:
        shutil.rmtree(DEFAULT_LAKEHOUSE, ignore_errors=True)
        return DEFAULT_LAKEHOUSE
    if given.exists() and (not given.is_dir() or any(given.iterdir())):
        console.print(f"{given} is not empty. The demo needs an empty one: name a new folder.")
        sys.exit(1)
    return given.absolute()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the check (as without a terminal)")
    parser.add_argument(
        "--port", type=int, default=8010, help="port of the simulated PI server (default 8010)"
    )
    parser.add_argument("--hours", type=int, default=24, help="hours of history to read first (default 24)")
    parser.add_argument("--tags", type=int, default=128, help="number of tags (default 128)")
    parser.add_argument("--plants", type=int, default=4, help="number of plants (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="what the simulated plants are like (default 1)")
    parser.add_argument(
        "--lakehouse", type=Path, help="new folder for the tables (default build/demo/lakehouse)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
