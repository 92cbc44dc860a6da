"""One Spark session of the environment's own version, with Delta where a matching release is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

# Each environment takes minutes, so that these run by scripts/matrix only.
collect_ignore_glob = [] if os.environ.get("PI_MATRIX") else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Spark 4.0 and 4.1 leave the sockets open over which they fetch rows from the JVM."""
    if pyspark.__version__.startswith(("4.0.", "4.1.")):
        config.addinivalue_line("filterwarnings", "ignore:unclosed .socket:ResourceWarning")


@pytest.fixture(scope="session")
def sink() -> str:
    """The format that streams append to: Delta, else Parquet."""
    return "delta" if find_spec("delta") else "parquet"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory, sink: str) -> Iterator[SparkSession]:
    """The one session of the run."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    folder: Path = tmp_path_factory.mktemp("spark")
    builder = (
        SparkSession.builder.master("local[2]")
        .appName(f"matrix {sink}")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    )
    if sink == "delta":
        builder = builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension").config(
            "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        )
    else:  # the environment's settings name Delta's classes, which are not there
        builder = builder.config("spark.sql.extensions", "").config(
            "spark.sql.catalog.spark_catalog",
            "org.apache.spark.sql.execution.datasources.v2.V2SessionCatalog",
        )
    session = builder.getOrCreate()
    yield session
    session.stop()
