"""An ingestion and the simulator that it reads, each in a process that can be killed and started again."""

from __future__ import annotations

import json
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.kill.quick import SHORT_LIVED
from benchmarks.read.processes import proc_text

ROOT = Path(__file__).resolve().parents[2]
_CALLS_TOLD = 12
_CALL = re.compile(r"\s+at (?!java|jdk)")
_CAUSE = re.compile(r"^(Caused by: |: |\w+(\.\w+)+: )\S|^\w*(Error|Exception)\b")


class Simulator:
    """A simulator on one port. With ``chance`` each start has a schedule of faults of its own; ``flags`` are the program's."""

    def __init__(
        self,
        folder: Path,
        flags: Mapping[str, object],
        now: datetime,
        chance: random.Random | None = None,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/piwebapi"
        self._log = folder / "simulator.log"
        self._flags = dict(flags)
        self._chance = chance
        self._now, self._speed, self._started = now, 0.0, 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Simulator:
        self.start(self._now)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def now(self) -> datetime:
        """What its clock shows, or a little more: restarted at this moment, its time never goes back."""
        return self._now + timedelta(seconds=(time.monotonic() - self._started) * self._speed)

    def start(self, now: datetime, *, disturbed: bool = True) -> None:
        """Restarts at ``now`` with another schedule of faults; ``undisturbed`` without any, and with a stopped clock."""
        self.kill()
        flags = {**self._flags, "now": now.isoformat()}
        if not disturbed:
            flags["speed"] = 0
        elif self._chance:
            flags["faults"] = f"{self._chance.randrange(10**6)}:flaky"
        words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
        self._now, self._speed, self._started = now, float(str(flags["speed"])), time.monotonic()
        command = [sys.executable, "-m", "mock_server", "--port", str(self.port), *words]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self._wait()

    def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        message = f"the simulator does not start: see {self._log}"
        raise TimeoutError(message)


class Ingestion:
    """A process that ingests into a lakehouse on command; after a kill it is restarted for the next run.

    ``words`` has, by lakehouse, how far its last run is: ``told``, ``begun``, ``done`` or ``failed``.
    """

    def __init__(self, folder: Path, lakes: int, options: Mapping[str, str]) -> None:
        self.words: dict[int, str] = {}
        self._folder, self._stderr = folder, folder / "ingestion.log"
        told = [str(folder), str(lakes), json.dumps(options)]
        self._command = [sys.executable, "-m", "benchmarks.kill.ingesting", *told]
        self._child: subprocess.Popen[str] | None = None
        self._said: queue.Queue[str] = queue.Queue()
        self._hearing = threading.Thread()

    def __enter__(self) -> Ingestion:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def begin(self, lake: int, after_s: float) -> None:
        """Starts a run of the lakehouse after so many seconds, counted from when Spark has started."""
        self._child = child = self._child or self._started()
        assert child.stdin is not None
        self.words[lake] = "told"
        child.stdin.write(f"{lake} {after_s}\n")
        child.stdin.flush()

    def listen(self, within_s: float) -> None:
        """Processes the next message; returns when one has arrived or the time is over.

        Raises:
            AssertionError: the process has ended though nobody killed it.
        """
        with suppress(queue.Empty):
            said = self._said.get(timeout=within_s)
            assert said, f"the ingestion ended by itself: {self.last_words()}"
            lake, word = said.split()
            self.words[int(lake)] = word

    @property
    def under_way(self) -> list[int]:
        """The lakehouses whose run has begun and not ended."""
        return [lake for lake, word in self.words.items() if word == "begun"]

    def kill(self) -> None:
        """Ends the process and all its children at once."""
        self.words.clear()
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._hearing.join()
            with self._child:  # closes its pipes
                self._child = None

    def kill_workers(self) -> int:
        """Kills the Python processes of Spark, which are what an executor is where all runs in one JVM; how many it met.

        They have process groups of their own, in the session of the driver.
        """
        assert self._child is not None
        workers = []
        for entry in Path("/proc").glob("[0-9]*"):
            facts = proc_text(entry / "stat").rpartition(")")[2].split()
            if facts[3:4] == [str(self._child.pid)] and "pyspark.daemon" in proc_text(entry / "cmdline"):
                workers.append(int(entry.name))
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(workers)

    def last_words(self) -> str:
        """The end of what it said on stderr."""
        return self._stderr.read_text()[-3000:]

    def causes(self) -> str:
        """The causes of failed runs in its stderr: each once, with the innermost calls of Spark."""
        causes: list[list[str]] = []
        for line in self._stderr.read_text().splitlines():
            if _CAUSE.search(line):
                causes.append([line[:500]])
            elif causes and _CALL.match(line) and len(causes[-1]) <= _CALLS_TOLD:
                causes[-1].append(line)
        return "\n".join(dict.fromkeys("\n".join(cause) for cause in causes))

    def _started(self) -> subprocess.Popen[str]:
        with self._stderr.open("w") as stderr:
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PYSPARK_SUBMIT_ARGS": f"{SHORT_LIVED} pyspark-shell",
                },
            )
        self._said = queue.Queue()
        self._hearing = threading.Thread(target=_hear, args=(child, self._said), daemon=True)
        self._hearing.start()
        return child


def _hear(child: subprocess.Popen[str], said: queue.Queue[str]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        said.put(line)
    said.put("")  # it has ended
