"""The results of `benchmarks.pipeline` as a Markdown page, with the limits beside the figures."""

from __future__ import annotations

import statistics
from typing import Any

_WAYS = ("pipeline", "alone", "plain")


def problem(case: dict[str, Any]) -> str:
    """Why the case is no result: it failed, or a table holds other rows than the server; empty if it is one."""
    if case.get("failed"):
        return str(case["failed"])
    for found in case["rounds"]:
        failed = [found[way]["failed"] for way in _WAYS if way in found and "failed" in found[way]]
        if failed or found.get("wrong"):
            return str(failed[0] if failed else found["wrong"])
    return ""


def figures(case: dict[str, Any], way: str) -> dict[str, float]:
    """The case's figures for the pipeline, or for what it is compared with.

    Micro-batches of one stream: those of the last one, as the first ones compile code. Loads: the medians of all rounds.
    """
    rounds = [found for found in case["rounds"] if way in found]
    if not rounds:
        return {}
    warm = [found for found in case["rounds"] if "stored" not in found]
    chosen = rounds[-1:] if len(warm) > 1 else rounds

    def middle(of: Any) -> float:
        return statistics.median(of(found[way]) for found in chosen)

    found = {
        "wall_s": middle(lambda cost: cost["wall_s"]),
        "cpu_s": middle(lambda cost: sum(cost["cpu_s"].values())),
        "rows": float(chosen[-1]["rows"]),
        **{
            f"{role}_cpu_s": middle(lambda cost, role=role: cost["cpu_s"][role]) for role in ("jvm", "worker")
        },
        **{
            f"{role}_mb": max(each[way]["peak_mb"][role] for each in chosen)
            for role in ("jvm", "worker", "driver")
        },
    }
    for name in ("jobs", "stages"):
        if name in chosen[-1][way]:
            found[name] = middle(lambda cost, name=name: cost[name])
    if "commits" in chosen[-1][way]:
        found["commits"] = middle(lambda cost: sum(cost["commits"].values()))
    stored = [each["stored"][way] for each in case["rounds"] if way in each.get("stored", {})]
    if stored:
        found |= {name: float(stored[-1][name]) for name in ("files", "bytes")}
    if way == "pipeline" and "heap_mb" in case:
        found["heap_mb"] = float(case["heap_mb"])
    return found


def checked(case: dict[str, Any]) -> list[tuple[dict[str, Any], float | None]]:
    """The limits of a case and the figure for each; None if it was not measured."""
    found = []
    own = figures(case, "pipeline")
    for limit in case["limits"]:
        value = own.get(limit["figure"])
        if value is not None and limit["of"]:
            other = figures(case, limit["of"]).get(limit["figure"])
            value = value / other if other else None
        found.append((limit, value))
    return found


def one_line(name: str, case: dict[str, Any]) -> str:
    """The result in short."""
    if wrong := problem(case):
        return f"{name}: FAILED: {wrong}"
    own, plain = figures(case, "pipeline"), figures(case, "plain")
    beside = f"; plain append {plain['wall_s']:.1f} s, {plain['cpu_s']:.1f} CPU s" if plain else ""
    return f"{name}: {own['rows']:,.0f} rows in {own['wall_s']:.1f} s, {own['cpu_s']:.1f} CPU s{beside}"


def markdown(results: dict[str, Any], before: dict[str, Any]) -> str:
    """The page; ``before`` are the cases of another run."""
    about = results["machine"]
    lines = [
        "# The pipeline beside a plain append",
        "",
        f"Measured {results['measured_at'][:10]} by `scripts/bench pipeline` with Spark {about['versions']['pyspark']}, Delta "
        f"{about['versions']['delta-spark']} on {about['cores']} cores ({about['processor']}); load {about['load_before']} "
        f"before and {about['load_after']} after" + (", in the quick form" if results["quick"] else "") + ".",
        "",
        'Each case reads from a server of prepared bytes. A plain append is `spark.read.format("pi")` written to a Delta '
        "table; both run in one session in turn, those from the shell as a program of their own. Loads are medians of all "
        "rounds in a warm session; micro-batches are the last ones of a stream that keeps running.",
        "",
        "| case | way | rows | wall s | CPU s | µs of CPU per row | of it JVM | jobs | stages | commits | files | MB on disk |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    memory = [
        "",
        "| case | heap, MB | JVM, MB | Python worker, MB | driver, MB | load |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, case in results["cases"].items():
        if problem(case):
            continue
        lines += _rows(name, case, before.get(name))
        own = figures(case, "pipeline")
        sizes = " | ".join(_number(own.get(f"{what}_mb")) for what in ("heap", "jvm", "worker", "driver"))
        memory.append(f"| {name} | {sizes} | {case['load']} |")
    lines += [
        "",
        "Largest resident sizes of one process of the pipeline, and the load average after the case:",
        *memory,
    ]
    lines += [
        "",
        "## Limits",
        "",
        "| case | figure | limit | measured | before | |",
        "|---|---|---:|---:|---:|---|",
    ]
    for name, case in results["cases"].items():
        lines += _limits(name, case, before.get(name), judged=not results["quick"])
    failed = [f"- {name}: {problem(case)}" for name, case in results["cases"].items() if problem(case)]
    if failed:
        lines += ["", "## Failed", "", *failed]
    return "\n".join([*lines, ""])


def _rows(name: str, case: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    ways = [(way, figures(case, way)) for way in _WAYS]
    if before and not problem(before):
        ways.insert(0, ("pipeline before", figures(before, "pipeline")))
    return [_row(name, way, found) for way, found in ways if found]


def _row(name: str, way: str, found: dict[str, float]) -> str:
    rows = found["rows"]
    cells = [
        _number(rows),
        f"{found['wall_s']:.1f}",
        f"{found['cpu_s']:.1f}",
        f"{found['cpu_s'] / rows * 1e6:,.1f}" if rows else "–",
        f"{found['jvm_cpu_s']:.1f}",
        *(_number(found.get(what)) for what in ("jobs", "stages", "commits", "files")),
        f"{found['bytes'] / 1e6:,.1f}" if "bytes" in found else "–",
    ]
    return f"| {name} | {way} | " + " | ".join(cells) + " |"


def _limits(name: str, case: dict[str, Any], before: dict[str, Any] | None, *, judged: bool) -> list[str]:
    if problem(case):
        return [
            f"| {name} | {each['figure']} | {each['most']:g} | – | – | **failed** |"
            for each in case["limits"]
        ]
    old = dict.fromkeys(range(len(case["limits"])))
    if before and not problem(before):
        old = dict(enumerate(value for _, value in checked({**before, "limits": case["limits"]})))
    lines = []
    for number, (limit, value) in enumerate(checked(case)):
        what = limit["figure"] + (f" by that of {limit['of']}" if limit["of"] else "")
        verdict = "not measured" if value is None else "met" if value <= limit["most"] else "**missed**"
        if not judged:
            verdict = "small amounts"  # the limits are those of the full ones
        measured = " | ".join("–" if each is None else f"{each:,.2f}" for each in (value, old[number]))
        lines.append(f"| {name} | {what} | {limit['most']:g} | {measured} | {verdict} |")
    return lines


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
