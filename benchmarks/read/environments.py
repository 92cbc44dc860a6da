"""The Python environments of the readers; a peer has its own, because of its pinned dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER_PINS = ("pyspark-pi==0.3.0", "requests==2.32.4")  # the peer asks for exactly this requests
# Imported by the peer, but missing in its requirements; in the versions that this project is measured with.
PEER_SHARED = ("pyspark", "pyarrow", "pandas", "numpy", "python-dateutil", "packaging")
PEER_OLDEST_PYTHON = (3, 11)


class Unavailable(Exception):
    """The reader cannot be measured here; the text says why."""


def python_of(engine: str) -> str:
    """The Python that has the reader, made if it is missing.

    Raises:
        Unavailable: it cannot be made here.
    """
    if engine != "pyspark-pi":
        return sys.executable
    if sys.version_info < PEER_OLDEST_PYTHON:
        message = "pyspark-pi 0.3.0 needs Python 3.11"
        raise Unavailable(message)
    folder = ROOT / "build" / "bench-venvs" / f"pyspark-pi-0.3.0-spark-{version('pyspark')}"
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if not done.exists():
        _make(folder, python)
        done.touch()
    return str(python)


def _make(folder: Path, python: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The project's pins for everything else, except where the peer has pins of its own.
    own = {re.split("[=<>]", pin)[0] for pin in PEER_PINS}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    constraints = folder.parent / f"{folder.name}.txt"
    constraints.write_text("\n".join(line for line in lines if line.split("==")[0] not in own))
    shared = [f"{name}=={version(name)}" for name in PEER_SHARED]
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*install, "-c", str(constraints), *PEER_PINS, *shared],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"its environment could not be made: {done.stderr.strip().splitlines()[-1:]}"
            raise Unavailable(message)
