"""A Spark program of its own that reads and streams with secrets, and keeps all that Spark tells about it.

Arguments: a folder, the addresses of a PI server and of one that repeats credentials, and a JSON list of options. Event log, web pages, checkpoint and progress end
up in the folder; logs on stderr.
"""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.spark import planned_read
from pi_datasource.tables import registry
from pi_datasource.tables.timeseries import Timeseries
from pi_datasource.webapi.client import PIClient

PAGES = (
    "api/v1/applications/{app}/environment",
    "api/v1/applications/{app}/jobs",
    "api/v1/applications/{app}/stages?details=true",
    "api/v1/applications/{app}/sql?details=true&planDescription=true",
    "environment/", "jobs/", "stages/", "SQL/", "SQL/execution/?id=0", "StreamingQuery/", "executors/",
)  # fmt: skip


def session(folder: Path) -> SparkSession:
    """Spark with its pages and its event log, and talkative."""
    settings = {
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (folder / "events").as_uri(),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "1",
    }
    builder = SparkSession.builder.master("local[1]").appName("canary")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("INFO")
    return spark


def planned(spark: SparkSession, options: dict[str, str]) -> DataFrame:
    """What ``options`` select, planned here and read as the pipeline reads an overlap or a backfill."""
    checked = secrets.looked_up(Options.parse(options))
    with PIClient(checked) as api:
        tasks = Timeseries().plan(api, Pruning(checked))
    return planned_read.rows(spark, checked, tasks, from_arrow_schema(registry.columns(checked)))


def refused(spark: SparkSession, folder: Path, url: str, options: dict[str, str]) -> str:
    """What is told of a read and of a stream that the server at ``url`` refuses."""
    given = {"url": url, "max_retries": "0", **options}
    told = []
    try:
        spark.read.format("pi").options(**given).load().count()
    except PySparkException:
        told.append(traceback.format_exc())
    stream = spark.readStream.format("pi").options(**given).load()
    writer = stream.writeStream.format("noop").option("checkpointLocation", str(folder / "refused"))
    query = writer.trigger(availableNow=True).start()
    try:
        query.awaitTermination(120)
    except StreamingQueryException as error:
        told += [traceback.format_exc(), repr(error), str(query.exception()), str(query.lastProgress)]
    return "\n".join(told)


def main(folder: Path, url: str, echo: str, every: list[dict[str, str]]) -> None:
    """Reads and fails with each set of options, streams with the first; then fetches the pages."""
    (folder / "events").mkdir()
    spark = session(folder)
    plans, rows = [], []
    for options in every:
        read = partial(spark.read.format("pi").options, url=url, **options)
        for frame in (read().load(), planned(spark, {"url": url, **options})):
            frame.createOrReplaceTempView("events")
            plans += [row[0] for row in spark.sql("EXPLAIN EXTENDED SELECT * FROM events").collect()]
            rows.append(spark.table("events").count())
        with suppress(PySparkException):
            read(tags="nothing-like-this").load().count()
    (folder / "plans.txt").write_text("\n".join(plans), encoding="utf-8")
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    stream = spark.readStream.format("pi").options(url=url, **every[0]).load()
    writer = stream.writeStream.format("noop").option("checkpointLocation", str(folder / "checkpoint"))
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination(120)
    (folder / "progress.txt").write_text(str(query.lastProgress), encoding="utf-8")
    (folder / "refused.txt").write_text(refused(spark, folder, echo, every[0]), encoding="utf-8")
    app, place = spark.sparkContext.applicationId, spark.sparkContext.uiWebUrl
    for number, page in enumerate(PAGES):
        with suppress(HTTPError), urlopen(f"{place}/{page.format(app=app)}", timeout=30) as answer:
            (folder / f"page-{number}.html").write_bytes(answer.read())
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
