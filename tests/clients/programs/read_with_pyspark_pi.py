"""Reads recorded events with the Spark data source pyspark-pi; prints the rows as JSON."""

import json
import sys

from pyspark.sql import SparkSession
from pyspark_pi import PiDataSource

settings = json.loads(sys.argv[1])
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config(
        "spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    )  # it lives for seconds
    .config("spark.sql.execution.pyspark.udf.faulthandler.enabled", "true")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
spark.dataSource.register(PiDataSource)
rows = {}
for kind, paths in settings["paths"].items():
    frame = spark.read.format("pi").options(**settings["options"]).load(paths)
    rows[kind] = [
        [
            r.point,
            r.timestamp.isoformat(),
            r.value,
            r.good,
            r.questionable,
            r.substituted,
            r.annotated,
            r.units_abbreviation,
        ]
        for r in frame.collect()
    ]
spark.stop()
print(json.dumps(rows))
