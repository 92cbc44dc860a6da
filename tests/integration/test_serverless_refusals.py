"""The Spark Connect of these tests refuses what serverless compute refuses, in this process and in ``foreachBatch``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

# What it is about is the engine itself: classic Spark refuses none of it.
pytestmark = [pytest.mark.integration, pytest.mark.connect, pytest.mark.connect_only]

ABSENT: dict[str, Callable[[Any], Any]] = {
    "sparkContext": lambda spark: spark.sparkContext,
    "_jvm": lambda spark: spark._jvm,
    "newSession": lambda spark: spark.newSession(),
    "rdd": lambda spark: spark.range(1).rdd,
}
REFUSED: dict[str, Callable[[Any], Any]] = {
    "DataFrame.cache": lambda spark: spark.range(1).cache(),
    "DataFrame.persist": lambda spark: spark.range(1).persist(),
    "DataFrame.unpersist": lambda spark: spark.range(1).unpersist(),
    "DataFrame.checkpoint": lambda spark: spark.range(1).checkpoint(),
    "DataFrame.localCheckpoint": lambda spark: spark.range(1).localCheckpoint(),
    "DataFrame.mapInArrow": lambda spark: spark.range(1).mapInArrow(iter, "id long"),
    "DataFrame.mapInPandas": lambda spark: spark.range(1).mapInPandas(iter, "id long"),
    "DataFrame.createGlobalTempView": lambda spark: spark.range(1).createGlobalTempView("x"),
    "Catalog.cacheTable": lambda spark: spark.catalog.cacheTable("x"),
    "GroupedData.applyInPandas": lambda spark: spark.range(1).groupBy("id").applyInPandas(len, "id long"),
    "UserDefinedFunction.__call__": lambda _: F.udf(lambda value: value, "long")("id"),
    "UDFRegistration.register": lambda spark: spark.udf.register("x", lambda value: value),
    "setting: spark.sql.caseSensitive": lambda spark: spark.conf.set("spark.sql.caseSensitive", "true"),
    "statement: CACHE TABLE x": lambda spark: spark.sql("CACHE TABLE x"),
    "statement: SET spark.sql.caseSensitive=true": lambda spark: spark.sql(
        "SET spark.sql.caseSensitive=true"
    ),
    "statement: SELECT * FROM global_temp.x": lambda spark: spark.sql("SELECT * FROM global_temp.x"),
    "a trigger other than availableNow": lambda spark: (
        spark.readStream.format("rate")
        .load()
        .writeStream.format("noop")
        .trigger(processingTime="1 s")
        .start()
    ),
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_spark_connect_has_not_is_an_error(spark: Any, name: str) -> None:
    with pytest.raises(PySparkException, match=name):
        ABSENT[name](spark)


@pytest.mark.parametrize("name", REFUSED)
def test_what_serverless_compute_refuses_is_an_error(spark: Any, name: str) -> None:
    from tests.integration.support.serverless import NotSupportedWithServerless

    with pytest.raises(NotSupportedWithServerless, match=re.escape(name)):
        REFUSED[name](spark)


def test_deltas_python_classes_are_absent(spark: Any) -> None:  # noqa: ARG001 - its start removes them
    with pytest.raises(ImportError, match="delta"):
        import delta.tables  # noqa: F401 - it must fail


def test_what_it_allows_works(spark: Any) -> None:
    spark.conf.set("spark.sql.ansi.enabled", "true")
    spark.range(3).createOrReplaceTempView("allowed")
    assert spark.sql("SELECT count(*) FROM allowed").first()[0] == 3


def test_a_micro_batch_is_refused_it_too(spark: Any, tmp_path: Path) -> None:
    spark.range(1).write.parquet(str(tmp_path / "rows"))
    stream = spark.readStream.schema("id long").parquet(str(tmp_path / "rows"))

    def persisting(batch: Any, _: int) -> None:
        batch.persist()

    writer = stream.writeStream.foreachBatch(persisting).trigger(availableNow=True)
    query = writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    with pytest.raises(StreamingQueryException, match=r"NotSupportedWithServerless: DataFrame\.persist"):
        query.awaitTermination()
