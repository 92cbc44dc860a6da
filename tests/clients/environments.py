"""Clients of PI Web API that others wrote, each in a virtual environment of its own, unchanged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "build" / "clients"
CONSTRAINTS = ROOT / "constraints.txt"
PROGRAMS = Path(__file__).with_name("programs")

_HTTP = ("requests", "certifi", "charset-normalizer", "idna", "urllib3")
_HTTPX = ("httpx", "httpcore", "h11", "anyio", "certifi", "idna", "typing_extensions", "exceptiongroup")
_PANDAS = ("numpy", "pandas", "python-dateutil", "pytz", "six", "tzdata")
_SIGN_IN = ("requests-kerberos", "requests-ntlm", "pyspnego", "cryptography", "cffi", "pycparser")
# Every distribution by name, because some that the clients name themselves cannot be had everywhere: Kerberos in
# requests-kerberos needs a compiler and the system's headers. Versions are in constraints.txt.
CLIENTS: dict[str, tuple[str, ...]] = {
    "kukur": ("kukur", "numpy", "pyarrow", "python-dateutil", "pytz", "six", "toml", *_HTTP),
    "osisoft": (
        "osisoft-pidevclub-piwebapi",
        "flatdict",
        *_PANDAS,
        *_SIGN_IN,
        *_HTTP,
    ),
    "piwebapiconnect": (
        "piwebapiconnect",
        *(
            "pydantic",
            "pydantic_core",
            "annotated-types",
            "typing-inspection",
            "pydantic-settings",
            "python-dotenv",
        ),
        *_HTTPX,
    ),
    "piwebx": (
        "piwebx",
        *("dateparser", "orjson", "pendulum", "python-dateutil", "pytz", "regex", "six", "tzdata", "tzlocal"),
        *("httpx-ws", "wsproto"),
        *_HTTPX,
    ),
    "tagreader": (
        "tagreader",
        *("diskcache", "msal-bearer", "platformdirs", "pycryptodome"),
        *_PANDAS,
        *_SIGN_IN,
        *_HTTP,
    ),
    "pyspark-pi": ("pyspark-pi",),  # the rest, Spark above all, comes from this environment
}


def environment(name: str) -> Path:
    """The virtual environment of that client, made when it is missing or was made from other pins."""
    folder = ENVIRONMENTS / name
    wanted = hashlib.sha256(
        "\n".join([sys.version, *CLIENTS[name], CONSTRAINTS.read_text(encoding="utf-8")]).encode()
    ).hexdigest()
    made = folder / "made-from"
    if made.exists() and made.read_text(encoding="utf-8") == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    # This environment's pip installs into the new one: making one with a pip of its own takes longer than the rest.
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin" / "python"),
        "--disable-pip-version-check",
    ]
    options = ["--quiet", "--no-compile", "--no-deps", "--constraint", str(CONSTRAINTS)]
    _run([*pip, "install", *options, *CLIENTS[name]])
    made.write_text(wanted, encoding="utf-8")
    return folder


def ask(client: str, program: str, folder: Path, **settings: Any) -> Any:
    """What a program of `programs` prints as JSON when it is run with that client, in `folder`."""
    python = environment(client) / "bin" / "python"
    return _answer([str(python), str(PROGRAMS / program), json.dumps(settings)], folder, {})


def ask_with_spark(client: str, program: str, folder: Path, **settings: Any) -> Any:
    """The same for a client that needs Spark, which is taken from this environment."""
    place = next((environment(client) / "lib").glob("python3*/site-packages"))
    more = {
        "PYTHONPATH": str(place),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    return _answer([sys.executable, str(PROGRAMS / program), json.dumps(settings)], folder, more)


def _answer(command: list[str], folder: Path, environment: dict[str, str]) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = _run(command, cwd=folder, env={**clean, **environment})
    return json.loads(result.splitlines()[-1])


def _run(command: list[str], **settings: Any) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=540, **settings)
    assert result.returncode == 0, (
        f"{' '.join(command[:2])} …\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    )
    return result.stdout
