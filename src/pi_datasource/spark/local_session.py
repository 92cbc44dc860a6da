"""A local Spark session with Delta, for use without a cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyspark
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from pi_datasource.errors import MissingPackage


def local_spark(
    app_name: str = "pi-datasource", master: str = "local[*]", *, java_options: str = ""
) -> SparkSession:
    """Returns the active session, or a new local one that can read and write Delta tables.

    Uses the Delta jars in Spark's own folder. If there are none, Spark downloads them once by their coordinates and
    caches them. ``java_options`` are for the JVM of a new session.

    Raises:
        MissingPackage: delta-spark or Java (17 or later) is not installed.
    """
    # Workers must use this interpreter: the python3 on PATH may not have pyarrow and this package.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    cores = os.cpu_count() or 2
    builder = (
        SparkSession.builder.appName(app_name)
        .master(master)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", str(max(2, cores)))
        .config("spark.databricks.delta.snapshotPartitions", "2")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
    )
    if java_options:
        builder = builder.config("spark.driver.extraJavaOptions", java_options)
    try:
        if (running := SparkSession.getActiveSession()) is not None:
            return running
        spark = _with_delta(builder).getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")  # Spark's warnings would hide the output of the command
        return spark
    except PySparkRuntimeError as error:
        message = (
            "Spark could not start. It needs Java 17 or later: install one (Debian: apt-get install "
            "openjdk-17-jre-headless) or point JAVA_HOME at it. Spark says: " + str(error)
        )
        raise MissingPackage(message) from error


def _with_delta(builder: SparkSession.Builder) -> SparkSession.Builder:
    home = os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent
    if list(Path(home, "jars").glob("delta-spark_*.jar")):
        return builder
    try:
        from delta import configure_spark_with_delta_pip
    except ImportError as cause:
        message = "Delta Lake is not installed: pip install 'pi-datasource[delta]'"
        raise MissingPackage(message) from cause
    return configure_spark_with_delta_pip(builder)  # type: ignore[no-any-return]
