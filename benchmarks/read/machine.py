"""The machine that was measured on, without its name."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("pyspark", "delta-spark", "pyarrow", "msgspec", "numpy", "requests", "pi-datasource")


def describe() -> dict[str, Any]:
    """Cores, memory, kernel, versions, and how busy the machine is now."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", info)
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": model[1].strip() if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory[1]) / 1024**2, 1) if memory else None,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "load_before": round(os.getloadavg()[0], 1),
    }
