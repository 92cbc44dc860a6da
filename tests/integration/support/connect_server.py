"""A Spark Connect server in a process of its own: the tests' process has no JVM then, as on serverless compute."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyspark

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.connect.grpc.binding.address": "127.0.0.1",
}


@contextmanager
def connect_server(submit_arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a server that listens, ``sc://HOST:PORT``.

    Its workers import this repository's tests and the simulator.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    confs = {**SETTINGS, **(settings or {}), "spark.connect.grpc.binding.port": str(port)}
    command = [
        str(Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent, "bin", "spark-submit")),
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--master", "local[2]"),
        *(argument for item in confs.items() for argument in ("--conf", "=".join(item))),
        *shlex.split(submit_arguments),
        "spark-internal",
    ]
    paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYSPARK_PYTHON": sys.executable,
    }
    server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait_for(server, port)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Spark's client would wait as well, but with pauses that double."""
    while server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    message = f"the Spark Connect server ended with code {server.returncode}"
    raise RuntimeError(message)
