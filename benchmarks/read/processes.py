"""CPU seconds and peak memory of a Spark program by role, read from Linux's /proc.

Roles: ``driver`` (the program itself), ``jvm``, ``worker`` (the Python processes that run tasks), ``planner`` (the
Python processes in which Spark asks a data source for its schema and partitions) and ``server``. A process that has
exited counts through the parent that waited for it. The clock ticks 100 times a second.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

ROLES = ("worker", "planner", "jvm", "driver", "server")
_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_SAMPLE_EVERY_S = 0.5


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    name: str
    own_s: float
    waited_s: float  # of children that have exited


def tree(*roots: int) -> dict[int, str]:
    """The role of every living process of the program, by pid: ``roots`` are the driver and perhaps a server."""
    return _roles(_snapshot(), *roots)


def cpu_s(driver: int, server: int | None = None) -> dict[str, float]:
    """CPU seconds that each role has used since it began."""
    processes = _snapshot()
    used = dict.fromkeys(ROLES, 0.0)
    for pid, role in _roles(processes, *(pid for pid in (driver, server) if pid)).items():
        process = processes[pid]
        used[role] += process.own_s
        # What a JVM has waited for are Python processes of the planning kind; daemons of workers live on.
        used["planner" if role == "jvm" else role] += process.waited_s
    return used


def own_cpu_s() -> float:
    """CPU seconds that this program and all its processes have used."""
    return sum(cpu_s(os.getpid()).values())


class PeakMemory:
    """The largest resident size of any process of each role while the block runs, in MB."""

    def __init__(self, driver: int, server: int | None = None) -> None:
        self._roots = [pid for pid in (driver, server) if pid]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peaks: dict[str, float] = {}

    def __enter__(self) -> PeakMemory:
        for pid in tree(*self._roots):
            _forget_peak(pid)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_EVERY_S):
            self._sample()

    def _sample(self) -> None:
        for pid, role in tree(*self._roots).items():
            self.peaks[role] = max(self.peaks.get(role, 0.0), peak_mb(pid))


def peak_mb(pid: int) -> float:
    """The peak resident size of a process since its start or since it was reset; 0 when it has gone."""
    return _status_mb(pid, "VmHWM")


def resident_mb(pid: int) -> float:
    """The resident size of a process now; 0 when it has gone."""
    return _status_mb(pid, "VmRSS")


def _status_mb(pid: int, name: str) -> float:
    for line in proc_text(_PROC / str(pid) / "status").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _forget_peak(pid: int) -> None:
    try:
        (_PROC / str(pid) / "clear_refs").write_text("5")
    except OSError:
        return  # gone, or a kernel that forbids it: the peak then includes what was before


def _roles(processes: dict[int, _Process], driver: int, server: int | None = None) -> dict[int, str]:
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    roles = {}
    waiting = [(driver, "driver")] + ([(server, "server")] if server else [])
    while waiting:
        pid, role = waiting.pop()
        if pid not in processes:
            continue
        roles[pid] = role
        waiting += [(child, _role(processes[child], role)) for child in children.get(pid, [])]
    return roles


def _role(process: _Process, of_parent: str) -> str:
    # A Python process that the JVM starts is for a moment a copy of the JVM.
    if of_parent in ("driver", "jvm") and process.name == "java":
        return "jvm"
    if of_parent == "jvm":
        words = proc_text(_PROC / str(process.pid) / "cmdline").split("\0")
        return "worker" if "pyspark.worker" in words else "planner"
    return of_parent


def _snapshot() -> dict[int, _Process]:
    found = {}
    for name in os.listdir(_PROC):  # noqa: PTH208 - called twice a second; paths would cost more
        if name.isdigit() and (process := _process(int(name))):
            found[process.pid] = process
    return found


def _process(pid: int) -> _Process | None:
    text = proc_text(_PROC / str(pid) / "stat")
    name, _, rest = text.rpartition(")")
    fields = rest.split()
    if len(fields) < 15:
        return None
    own, waited = (int(fields[i]) + int(fields[i + 1]) for i in (11, 13))
    return _Process(pid, int(fields[1]), name.partition("(")[2], own * _TICK_S, waited * _TICK_S)


def proc_text(path: Path) -> str:
    """The text of a file of /proc; nothing when its process has ended meanwhile."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
