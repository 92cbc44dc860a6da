"""An ingestion and the simulator that it reads, each in a process that can be killed and started again."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("ingesting.py")
# As in scripts/lib/common.sh, with the collector that two cores do best with.
_QUICK = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"


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
        self.now = now
        self._log = folder / "simulator.log"
        self._flags = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
        self._chance = chance
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Simulator:
        self.start(self.now)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, now: datetime, *, faults: bool = True) -> None:
        """Starts anew at ``now``, with another schedule of faults or none."""
        self.kill()
        self.now = now
        trouble = ["--faults", f"{self._chance.randrange(10**6)}:flaky"] if self._chance and faults else []
        clock = ["--now", now.isoformat()]
        command = [sys.executable, "-m", "mock_server", "--port", str(self.port), *self._flags, *clock]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *trouble], cwd=ROOT, stdout=log, stderr=log)
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
    """A process that ingests whenever it is told; one that was killed is started anew for the next run."""

    def __init__(self, folder: Path, lake: Path, options: dict[str, str]) -> None:
        self._folder, self._said = folder, folder / "words"
        self._command = [sys.executable, str(CHILD), str(lake), json.dumps(options)]
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Ingestion:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def begin(self) -> None:
        """A run begins, or will as soon as Spark has started."""
        self._child = child = self._child or self._started()
        assert child.stdin is not None
        child.stdin.write(b"again\n")
        child.stdin.flush()

    def ending(self, within_s: float) -> str | None:
        """How the run has ended, ``done`` or ``failed``; None while it runs.

        Raises:
            AssertionError: the process has ended though nobody killed it.
        """
        assert self._child is not None
        assert self._child.stdout is not None
        if not select.select([self._child.stdout], [], [], within_s)[0]:
            return None
        word = self._child.stdout.readline().decode().strip()
        assert word, f"the ingestion ended by itself: {self.words()}"
        return word

    def kill(self) -> None:
        """Ends the process and all its children at once."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.communicate()
            self._child = None

    def kill_workers(self) -> None:
        """Kills the Python workers of the process group: what an executor is where all runs in one JVM."""
        assert self._child is not None
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                group = int((entry / "stat").read_text().rpartition(")")[2].split()[2])
                words = (entry / "cmdline").read_text()
            except OSError:
                continue  # it has ended meanwhile
            if group == self._child.pid and "pyspark.daemon" in words:
                os.kill(int(entry.name), signal.SIGKILL)

    def words(self) -> str:
        """The last that it said on stderr."""
        return self._said.read_text()[-3000:]

    def _started(self) -> subprocess.Popen[bytes]:
        with self._said.open("w") as words:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
                cwd=self._folder,
                env={**os.environ, "SPARK_SUBMIT_OPTS": _QUICK},
            )
