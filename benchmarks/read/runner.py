"""Runs cases: starts Spark sessions and servers, proves that all rows arrive, measures repeats."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.read import environments, processes, recordings, servers, written
from benchmarks.read.cases import COLUMNS, Case
from benchmarks.read.environments import ROOT, Unavailable
from benchmarks.read.recordings import Truth
from benchmarks.read.servers import Target

SCRATCH = ROOT / "build" / "bench-reading"
_PYTHON_ERROR = re.compile(r"(?!java\.|org\.apache|scala\.)[A-Za-z_][\w.]*: \S")
_STOP_TIMEOUT_S = 60
_JOB_TIMEOUT_S = 1800
_MOST_TRIES = 3


class Failed(Exception):
    """A reader raised an error, or not the right rows came out."""


@dataclass(frozen=True)
class Plan:
    """How often each case runs, and options of this project's reader to try out.

    The first case of a Spark is run ``first_warmups`` times more before it is measured: its JVM is cold.
    """

    warmups: int
    repeats: int
    options: dict[str, str]
    first_warmups: int = 0


class Session:
    """A Spark program of its own that runs one job after the other."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        self.versions = self._answer()

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """What the job gave.

        Raises:
            Failed: the reader raised, or Spark ended.
        """
        if self.process.stdin is None:
            raise Failed(self._last_words())
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except OSError as cause:
            raise Failed(self._last_words()) from cause
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        watchdog = threading.Timer(_JOB_TIMEOUT_S, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline() if self.process.stdout else ""
        finally:
            watchdog.cancel()
        if not line:
            raise Failed(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(_short(answer["error"]))
        return answer

    def _last_words(self) -> str:
        return "Spark ended; its last words: " + " / ".join(self.log.read_text().splitlines()[-3:])


@contextmanager
def session(engine: str, master: str) -> Iterator[Session]:
    """A running Spark session of a reader; everything it wrote is gone afterwards but its log.

    Raises:
        Unavailable: the reader cannot be installed here.
    """
    python = environments.python_of(engine)
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    log = ROOT / "build" / "logs" / f"bench-reading-{engine}-{''.join(filter(str.isalnum, master))}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    java = ROOT / ".venv" / "java"
    # Another reader's environment must not see this project's sources, which Spark would find by themselves.
    path = os.environ.get("PYTHONPATH", "") if engine == "pi-datasource" else ""
    environment = {**os.environ, "PYTHONPATH": path or str(ROOT)}
    if java.is_dir():
        environment["JAVA_HOME"] = str(java)
    command = [python, "-m", "benchmarks.read.session", "--engine", engine, "--master", master]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*command, "--folder", str(SCRATCH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process,
    ):
        try:
            yield Session(process, log)
            if process.stdin:
                process.stdin.close()
            process.wait(_STOP_TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.kill()
            shutil.rmtree(SCRATCH, ignore_errors=True)


def measure(spark: Session, case: Case, target: Target, plan: Plan) -> dict[str, Any]:
    """The runs of a case, after a proof that every row arrives and the other warm-ups.

    Raises:
        Failed: the reader raised, or rows are missing, too many or wrong.
    """
    job = _job(case, target, plan)
    truth = target.paths_truth if job.get("paths") else target.truth
    _prove(spark, case, job, truth)

    def once() -> dict[str, Any]:
        return _once(spark, case, job, truth)

    for _ in range(max(0, plan.warmups - 1)):
        once()
    repeats = min(plan.repeats, case.repeats or plan.repeats)
    runs = [_measured(spark, target, once) for _ in range(repeats)]
    return {"name": case.name, **described(case), "rows": truth.rows, "tags": truth.tags, "runs": runs}


def planned(spark: Session, target: Target, options: dict[str, str]) -> dict[str, Any]:
    """Finding and planning through Spark, once for a warm start and once measured."""
    job = {"job": "plan", "options": options}
    spark.run(job)
    return _measured(spark, target, lambda: spark.run(job))


def described(case: Case) -> dict[str, Any]:
    """What sets the case apart from others, for the results."""
    about = asdict(case)
    return {
        key: about[key]
        for key in ("engine", "server", "mode", "sink", "master", "schema", "options", "latency_ms")
    } | {"shape": asdict(case.shape)}


def _measured(spark: Session, target: Target, once: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """One run with what it has cost.

    Where Spark has ended an idle process of an earlier run meanwhile, whose CPU is then nobody's any more, the run says
    nothing and is done again.

    Raises:
        Failed: that happens every time.
    """
    for _ in range(_MOST_TRIES):
        run = _measured_once(spark, target, once)
        if min(run["cpu_s"].values()) >= 0.0:
            return run
    message = "the CPU of processes that have ended could not be told"
    raise Failed(message)


def _measured_once(spark: Session, target: Target, once: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    driver = spark.process.pid
    with processes.PeakMemory(driver, target.pid) as memory:
        asked = target.counters()
        before = processes.cpu_s(driver, target.pid)
        answer = once()
        after = processes.cpu_s(driver, target.pid)
        asked_after = target.counters()
    return {
        **answer,
        "cpu_s": {role: round(after[role] - before[role], 3) for role in processes.ROLES},
        "peak_mb": {role: round(size) for role, size in memory.peaks.items()},
        "asked": {name: count - asked[name] for name, count in asked_after.items()},
    }


def _once(spark: Session, case: Case, job: dict[str, Any], truth: Truth) -> dict[str, Any]:
    out = SCRATCH / "out" / "table"
    answer = spark.run({**job, "job": case.job, "sink": case.sink, "out": str(out)})
    if answer.get("rows", truth.rows) != truth.rows:
        message = f"Spark counted {answer['rows']} rows, not {truth.rows}"
        raise Failed(message)
    if case.sink != "noop":
        found = written.sums(case.sink, out, COLUMNS[case.engine], job["origin_us"])
        answer["bytes_written"] = found["bytes"]
        _check(case, found, truth)
    shutil.rmtree(out.parent, ignore_errors=True)  # the checkpoint of a stream as well
    return answer


def _prove(spark: Session, case: Case, job: dict[str, Any], truth: Truth) -> None:
    _check(case, spark.run({**job, "job": "prove"}), truth)


def _check(case: Case, found: dict[str, Any], truth: Truth) -> None:
    tolerance = 1e-6 if case.engine == "pyspark-pi" else 1e-9  # its numbers are single precision
    if wrong := recordings.differences(found, truth, tolerance):
        message = f"the rows are not those of the server: {wrong}"
        raise Failed(message)


def _job(case: Case, target: Target, plan: Plan) -> dict[str, Any]:
    start, end = (moment.isoformat() for moment in (target.start, target.end))
    job: dict[str, Any] = {"schema": case.schema, "origin_us": int(target.start.timestamp()) * 1_000_000}
    if case.engine == "pyspark-pi":
        job["paths"] = list(target.paths)
        job["options"] = {
            "host": target.url.removesuffix("/piwebapi"),
            "authMethod": "anonymous",
            "requestType": "recorded",
            "startTime": start.replace("+00:00", "Z"),
            "endTime": end.replace("+00:00", "Z"),
            "rowLevelErrorHandling": "nullify",
            **case.options,
        }
        return job
    options = {"url": target.url, "start_time": start, "end_time": end}
    own = plan.options if case.engine == "pi-datasource" else {}
    job["options"] = {**options, **own, **case.options}
    return job


def _short(text: str) -> str:
    """An error on one line: its first line, and what Python said at the end of a traceback inside."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines[1:] if _PYTHON_ERROR.match(line)]
    return " … ".join(line[:400] for line in [*lines[:1], *said[-1:]])


def run_group(
    cases: list[Case], plan: Plan, say: Callable[[Case, dict[str, Any] | str], None]
) -> Iterator[dict[str, Any]]:
    """The results of cases that share a reader and a master, in one warm Spark; a case that fails has ``failed``."""
    try:
        with session(cases[0].engine, cases[0].master) as spark:
            own = replace(plan, warmups=plan.warmups + plan.first_warmups)
            for case in cases:
                with servers.running(case.server, case.shape, case.latency_ms) as target:
                    yield _outcome(spark, case, target, own, say)
                own = plan
    except Unavailable as reason:
        for case in cases:
            yield _failure(case, str(reason), say)


def _outcome(
    spark: Session,
    case: Case,
    target: Target,
    plan: Plan,
    say: Callable[[Case, dict[str, Any] | str], None],
) -> dict[str, Any]:
    say(case, "running")
    try:
        result = measure(spark, case, target, plan)
    except Failed as failure:
        return _failure(case, str(failure), say)
    result["versions"] = spark.versions
    say(case, result)
    return result


def _failure(case: Case, reason: str, say: Callable[[Case, dict[str, Any] | str], None]) -> dict[str, Any]:
    say(case, f"FAILED: {reason}")
    return {"name": case.name, **described(case), "failed": reason}
