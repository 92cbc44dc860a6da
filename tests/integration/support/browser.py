"""A real browser for tests: the machine's chromium, which is installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-noto-color-emoji")
# Without a sandbox, as root has none; and without anything that calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_ATTEMPTS = 6  # another program may hold apt's lock
_PAUSE_S = 20


def chromium() -> str:
    """The path of a chromium; on Debian and its kin root installs one that is missing.

    Raises:
        RuntimeError: there is none and it cannot be installed; the message says what to do. Tests fail then: they are
            never skipped, so that a machine without a browser cannot pass for one where the pages work.
    """
    if given := os.environ.get("PI_CHROMIUM"):
        if not Path(given).exists():
            message = f"PI_CHROMIUM is {given}, which does not exist"
            raise RuntimeError(message)
        return given
    if found := _installed():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        said = _install()
        if found := _installed():
            return found
        message = f"chromium could not be installed; apt-get said:\n{said[-2000:]}"
        raise RuntimeError(message)
    message = (
        "no chromium on this machine, which the tests of the pages need. Install one (Debian: sudo apt-get install "
        "chromium) or set PI_CHROMIUM to the path of a Chrome or chromium"
    )
    raise RuntimeError(message)


def _installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _install() -> str:
    said = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        said = ""
        for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            run = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=300", *command],
                capture_output=True,
                text=True,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                timeout=900,
                check=False,
            )
            said += run.stdout + run.stderr
        if run.returncode == 0 or "lock" not in said.lower():
            break
    return said
