"""Formats results: progress lines and the Markdown page, with minimum and median of the repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Any, NamedTuple

from benchmarks.read.cases import ENGINES
from benchmarks.read.plot import Bar, bars

_US = 1_000_000


class Summary(NamedTuple):
    """A case in figures: rows per second of wall time, and CPU microseconds per row by role (minimum of repeats)."""

    rows_per_s: float
    best_rows_per_s: float
    python_us: float
    driver_us: float
    jvm_us: float
    server_us: float
    total_us: float  # of the cheapest run, which need not be the sum of the minima
    total_median_us: float


def summary(result: dict[str, Any]) -> Summary:
    """The figures of a case that did not fail."""
    runs, rows = result["runs"], result["rows"]
    walls = [run["wall_s"] for run in runs]
    totals = [sum(run["cpu_s"].values()) * _US / rows for run in runs]

    def least(*roles: str) -> float:
        used = (sum(run["cpu_s"][role] for role in roles) for run in runs)
        return float(min(used) * _US / rows)

    return Summary(
        rows / median(walls),
        rows / min(walls),
        least("worker"),
        least("planner", "driver"),
        least("jvm"),
        least("server"),
        min(totals),
        median(totals),
    )


def one_line(result: dict[str, Any]) -> str:
    """A case as one line of progress."""
    figures = summary(result)
    return (
        f"{figures.rows_per_s:,.0f} rows/s (best {figures.best_rows_per_s:,.0f}); us/row: Python {figures.python_us:.2f}, "
        f"JVM {figures.jvm_us:.2f}, server {figures.server_us:.2f}, driver {figures.driver_us:.2f}"
    )


def pure_line(result: dict[str, Any]) -> str:
    """The reading without Spark as one line of progress."""
    least, middle = _pure_us(result)
    return f"{least:.2f} us CPU per row (median {middle:.2f}), peak {result['peak_mb']} MB"


def planning_line(result: dict[str, Any]) -> str:
    """Discovery and planning as one line of progress."""
    run = min(result["runs"], key=lambda run: float(run["wall_s"]))
    return (
        f"{run['wall_s']:.1f} s, {run['cpu_s']:.1f} s CPU, peak {run['peak_mb']} MB, {run['tasks']} tasks, the largest "
        f"{run['largest_task_bytes']:,} bytes"
    )


def markdown(results: dict[str, Any]) -> str:
    """The page."""
    parts = [
        "# Reading events: figures\n",
        _about(results),
        "![CPU per row by case](reading.svg)\n",
        _section("This project", _case_table, _of(results, lambda case: case["engine"] == "pi-datasource")),
        _section("Other readers", _case_table, _of(results, lambda case: case["engine"] != "pi-datasource")),
        _comparison(results),
        _section("Without Spark", _pure_table, [each for each in results["pure"] if "failed" not in each]),
        _planning(results["planning"]),
        _failures(results),
        _METHOD.format(
            warmups=results["warmups"], first=results["warmups"] + results.get("first_warmups", 0)
        ),
    ]
    return "\n".join(part for part in parts if part)


def plot(results: dict[str, Any]) -> str:
    """The chart: CPU per row of every case, split by process."""
    found = []
    for case in _of(results, lambda _: True):
        figures = summary(case)
        parts = (figures.python_us, figures.jvm_us, figures.driver_us, figures.server_us)
        found.append(Bar(case["name"], parts, f"{sum(parts):.2f} µs · {figures.rows_per_s:,.0f} rows/s"))
    return bars(
        "CPU per row in microseconds (rows per second of wall time beside it)",
        ("Python workers", "JVM", "driver and planning", "server"),
        found,
    )


def _about(results: dict[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    java = {case["versions"]["java"] for case in _of(results, lambda _: True)}
    warning = (
        "**A quick run of small amounts: it shows that the benchmark works and says nothing of speed.**\n\n"
    )
    tried = f" Options tried: {results['options']}." if results["options"] else ""
    kept = results.get("kept_from")
    earlier = f" What was not measured anew stands as measured before: {', '.join(kept)}." if kept else ""
    return (
        (warning if results["quick"] else "")
        + f"Measured {results['measured_at']} on {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gb']} GB, {machine['system']}; Python {machine['python']}, Java {', '.join(sorted(java)) or 'not started'}, "
        f"{versions}. Load average before {machine['load_before']}, after {machine['load_after']}.{tried}{earlier} "
        "Made by `scripts/bench reading`.\n"
    )


def _of(results: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    return [case for case in results["spark"] if "failed" not in case and wanted(case)]


def _section(
    title: str, table: Callable[[list[dict[str, Any]]], list[list[str]]], rows: list[dict[str, Any]]
) -> str:
    return f"## {title}\n\n" + _table(table(rows)) if rows else ""


def _case_table(cases: list[dict[str, Any]]) -> list[list[str]]:
    head = [
        "case", "rows", "rows/s (best)", "Python", "JVM", "driver", "server", "CPU us/row: all (median)",
        "peak MB worker / JVM / planner", "calls / sub-requests", "MB received",
    ]  # fmt: skip
    return [head, *(_case_row(case) for case in cases)]


def _case_row(case: dict[str, Any]) -> list[str]:
    figures = summary(case)
    peaks = [
        max(run["peak_mb"].get(role, 0) for run in case["runs"]) for role in ("worker", "jvm", "planner")
    ]
    asked = case["runs"][-1]["asked"]
    return [
        f"{case['name']} ({case['mode']}, {case['sink']}, {case['master']})",
        f"{case['rows']:,}",
        f"{figures.rows_per_s:,.0f} ({figures.best_rows_per_s:,.0f})",
        *(
            f"{each:.2f}"
            for each in (figures.python_us, figures.jvm_us, figures.driver_us, figures.server_us)
        ),
        f"{figures.total_us:.2f} ({figures.total_median_us:.2f})",
        " / ".join(str(peak) for peak in peaks),
        f"{asked['calls']:,} / {asked['sub_requests']:,}" if asked else "not counted",
        f"{asked['bytes'] / 1e6:,.0f}" if asked else "not counted",
    ]


def _comparison(results: dict[str, Any]) -> str:
    """Each other reader beside this project's with its defaults: on the same data, sink and cores, and in one run."""
    defaults = _of(results, lambda case: case["engine"] == "pi-datasource" and not case["options"])
    ours = {_alike(case): case for case in defaults}
    rows = [["reader", "case", "rows/s, here : there", "Python CPU, there : here", "all CPU, there : here"]]
    for case in _of(results, lambda case: case["engine"] != "pi-datasource"):
        own = ours.get(_alike(case))
        if own is None or own["rows"] != case["rows"] or "measured_at" not in case:
            continue
        here, there = summary(own), summary(case)
        rows.append(
            [
                ENGINES[case["engine"]],
                case["name"],
                _ratio(here.rows_per_s, there.rows_per_s),
                _ratio(there.python_us, here.python_us),
                _ratio(there.total_us, here.total_us),
            ]
        )
    return "## Times as much as this project\n\n" + _table(rows) if len(rows) > 1 else ""


def _ratio(more: float, less: float) -> str:
    return f"{more / less:.1f}" if less else "-"


def _alike(case: dict[str, Any]) -> tuple[str, ...]:
    run = case.get("measured_at", "")
    return run, *(
        str(case[key]) for key in ("shape", "server", "mode", "sink", "master", "schema", "latency_ms")
    )


def _pure_table(pure: list[dict[str, Any]]) -> list[list[str]]:
    rows = [["case", "rows", "CPU us/row (median)", "rows/s, one process", "peak MB"]]
    for each in pure:
        least, middle = _pure_us(each)
        speed = each["rows"] / median(run["wall_s"] for run in each["runs"])
        rows.append(
            [
                each["name"],
                f"{each['rows']:,}",
                f"{least:.2f} ({middle:.2f})",
                f"{speed:,.0f}",
                str(each["peak_mb"]),
            ]
        )
    return rows


def _pure_us(result: dict[str, Any]) -> tuple[float, float]:
    spent = [run["cpu_s"] * _US / result["rows"] for run in result["runs"]]
    return min(spent), median(spent)


def _planning(planning: dict[str, Any]) -> str:
    if not planning:
        return ""
    rows = [["", "seconds", "CPU seconds", "peak MB", "tasks", "largest task, bytes", "all tasks, MB"]]
    run = min(planning["runs"], key=lambda run: float(run["wall_s"]))
    rows.append(
        [
            f"{planning['points']:,} points, one process",
            f"{run['wall_s']:.1f}",
            f"{run['cpu_s']:.1f} (+ {run['pickle_cpu_s']:.1f} to pickle)",
            f"{run['peak_mb']} ({run['peak_before_mb']} before)",
            str(run["tasks"]),
            f"{run['largest_task_bytes']:,}",
            f"{run['all_tasks_bytes'] / 1e6:,.1f}",
        ]
    )
    if spark := planning.get("spark"):
        peaks = ", ".join(f"{role} {spark['peak_mb'].get(role, 0)}" for role in ("planner", "jvm"))
        cpu = sum(seconds for role, seconds in spark["cpu_s"].items() if role != "server")
        rows.append(
            [
                "the same through Spark",
                f"{spark['wall_s']:.1f}",
                f"{cpu:.1f}",
                peaks,
                str(spark["tasks"]),
                "",
                "",
            ]
        )
    return "## Finding and planning\n\n" + _table(rows)


def _failures(results: dict[str, Any]) -> str:
    every = [*results["spark"], *results["pure"], results["planning"]]
    lines = [f"- {case['name']}: {case['failed']}" for case in every if "failed" in case]
    return "## Failed\n\n" + "\n".join(lines) + "\n" if lines else ""


def _table(rows: Iterable[Iterable[str]]) -> str:
    first, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [first, ["---", *("---:" for _ in first[1:])], *rest]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


_METHOD = """\
## How

Each reader runs in a Spark of its own, one after the other, with the same settings (1 GB heap, Spark's default). The
static server sends prepared bytes, so that the client is what is measured; the simulator makes its events while it
answers. Before a case is measured the reader's rows are added up (rows, tags, good flags, times in microseconds,
values) and compared with what the server holds; after every run the rows are counted again, by Spark's own metric of
the scan, or in the files that were written. CPU is user and system time from /proc, of exited processes as well,
with a resolution of 10 ms; it is the minimum of the repeats unless it says median. Each case has run {warmups}
times before it is measured, and the first one of a Spark, whose JVM is cold, {first} times. Wall time includes the discovery
of points, the planning and, for streams, the start and end of the query. Server, driver, workers and JVM share the
cores.
"""
