"""Time of each panel of the dashboard over a bronze table of 100 million rows."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import deltalake
import duckdb

from benchmarks.dashboard_page import measure_pages
from benchmarks.dashboard_tables import DAYS, END, FILES, TAGS, make
from pi_datasource.dashboard import LocalBackend
from pi_datasource.dashboard.panels import PANELS, Panel, evaluate
from pi_datasource.dashboard.panels.tag import search
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import Selection
from pi_datasource.errors import TablesUnavailable

ROOT = Path(__file__).resolve().parents[1]
LAKEHOUSE = ROOT / "build" / "bench" / "dashboard"
RESULTS = ROOT / "benchmarks" / "results"
NOW = END + timedelta(seconds=40)
RANGES = ("1h", "24h", "7d", "30d")
TAG = f"I1DPbench{17:012d}"
BYTES_PER_ROW = 40
LIMIT_S = 2.0
PAINT_LIMIT_S = 1.0


def main() -> int:
    """Creates missing tables, measures, writes the results; 1 if something is above its limit."""
    parser = argparse.ArgumentParser(prog="scripts/bench dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000, help="rows of bronze (default 100 million)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each panel is asked (default 3)")
    given = parser.parse_args()
    lakehouse = LAKEHOUSE.with_name(f"dashboard-{given.rows}") if given.rows != 100_000_000 else LAKEHOUSE
    lakehouse.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(lakehouse).free < given.rows * BYTES_PER_ROW * 2 and not list(lakehouse.iterdir()):
        sys.stderr.write(f"Not enough room for the tables below {lakehouse}\n")
        return 1
    make(lakehouse, given.rows)
    measured = _measure(lakehouse, given.repeats)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "dashboard.json").write_text(json.dumps(measured, indent=1) + "\n")
    (RESULTS / "dashboard.md").write_text(_report(measured))
    sys.stdout.write(_report(measured))
    slow = [row for row in measured["panels"] if row["best_s"] > LIMIT_S]
    slow += [row for row in measured["pages"] if row["panel_s"] > LIMIT_S or row["paint_s"] > PAINT_LIMIT_S]
    return int(bool(slow))


def _measure(lakehouse: Path, repeats: int) -> dict[str, Any]:
    began = time.perf_counter()
    with closing(LocalBackend(lakehouse)) as backend:
        sizes = dict(backend.sizes())
    opened = time.perf_counter() - began
    measured = {"panels": _panels(lakehouse, repeats)}
    measured["pages"] = measure_pages(lakehouse, RANGES, TAG, NOW, repeats)
    return {
        "rows": sizes["bronze"],
        "gold_rows": sizes["gold"],
        "files": FILES,
        "tags": TAGS,
        "days": DAYS,
        "bytes": sum(file.stat().st_size for file in (lakehouse / "bronze").rglob("*.parquet")),
        "open_s": round(opened, 3),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "priority": os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO),
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "deltalake": deltalake.__version__,
        "repeats": repeats,
        **measured,
    }


def _panels(lakehouse: Path, repeats: int) -> list[dict[str, Any]]:
    rows = []
    for name in RANGES:
        selection = Selection.parse([("range", name)], NOW)
        queries: dict[str, Callable[[LocalBackend], Any]] = {
            panel.name: partial(_answer, panel, selection)
            for panel in PANELS.values()
            if panel.name != "completeness"
        }
        queries["tag search"] = lambda backend, chosen=selection: search(
            QueryContext(backend, chosen, NOW), "FLOW_00"
        )
        for panel, query in queries.items():
            rows.append({"range": name, "panel": panel, **_time(lakehouse, query, repeats)})
            sys.stderr.write(
                f"  {name:>4} {panel:14} {rows[-1]['best_s']:.2f} s, processor {rows[-1]['cpu_s']:.2f} s\n"
            )
    return rows


def _answer(panel: Panel, selection: Selection, backend: LocalBackend) -> Any:
    return evaluate(panel, QueryContext(backend, selection, NOW, TAG))


def _time(lakehouse: Path, query: Callable[[LocalBackend], Any], repeats: int) -> dict[str, float]:
    """Wall time of the best and the median run, and the processor time of the cheapest one.

    Every run has a back end of its own, which has kept nothing, with its tables opened.
    """
    walls, cpus = [], []
    size = 0
    for _ in range(repeats):
        with closing(LocalBackend(lakehouse)) as backend:
            backend.sizes()
            wall, cpu = time.perf_counter(), time.process_time()
            with suppress(TablesUnavailable):  # timed out after a minute: then that minute is its time
                size = len(json.dumps(query(backend)))
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    return {
        "best_s": round(min(walls), 3),
        "median_s": round(statistics.median(walls), 3),
        "cpu_s": round(min(cpus), 3),
        "bytes": size,
    }


def _report(measured: dict[str, Any]) -> str:
    names = list(dict.fromkeys(row["panel"] for row in measured["panels"]))
    by = {(row["panel"], row["range"]): row for row in measured["panels"]}
    worst = max(measured["panels"], key=lambda row: row["best_s"])
    lines = [
        "# Dashboard: time of each panel",
        "",
        f"`scripts/bench dashboard` · bronze {measured['rows']:,} rows in {measured['files']} files "
        f"({measured['bytes'] / 1e9:.1f} GB, in the order of time), {measured['tags']:,} tags, {measured['days']} days · "
        f"gold {measured['gold_rows']:,} rows · {measured['cores']} cores, load {measured['load']:.1f} while measuring"
        f"{', which had real-time priority over the rest' if measured['priority'] else ''} · "
        f"Python {measured['python']}, duckdb {measured['duckdb']}, deltalake {measured['deltalake']}",
        "",
        "Seconds until a panel's figures are there, nothing cached by the dashboard: best of "
        f"{measured['repeats']} runs, and in brackets the processor seconds of the cheapest run, which the load of the "
        "machine does not lengthen. Opening the tables (Delta's logs) takes "
        f"{measured['open_s']:.2f} s once.",
        "",
        "| panel | " + " | ".join(RANGES) + " |",
        "|---|" + "---:|" * len(RANGES),
    ]
    for name in names:
        cells = [f"{by[name, span]['best_s']:.2f} ({by[name, span]['cpu_s']:.2f})" for span in RANGES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Both pages in chromium, all panels at once over a program that has just been started and holds nothing: seconds "
        "until the first paint / until the slowest panel has its figures / until all is drawn.",
        "",
        "| page | " + " | ".join(RANGES) + " |",
        "|---|" + "---:|" * len(RANGES),
    ]
    for page in ("overview", "tag"):
        visits = [row for row in measured["pages"] if row["page"] == page]
        cells = [f"{row['paint_s']:.2f} / {row['panel_s']:.2f} / {row['all_s']:.2f}" for row in visits]
        lines.append(f"| {page} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Slowest panel by itself: {worst['panel']} over {worst['range']}, {worst['best_s']:.2f} s.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
