"""The last day of a PI System as a DataFrame and as Parquet files: python examples/batch_read.py OUTPUT_FOLDER."""

import os
import sys

from pyspark.sql import SparkSession

url = os.environ.get("PI_URL", "http://localhost:8010/piwebapi")
folder = sys.argv[1] if len(sys.argv) > 1 else "artifacts/pi_events"

# Workers must use the Python in which pi-datasource is installed.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
spark = (
    SparkSession.builder.appName("batch_read")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.showConsoleProgress", "false")
    .getOrCreate()
)

events = (
    spark.read.format("pi")
    .option("url", url)
    .option("start_time", "*-1d")  # PI's own times, on the PI server's clock
    .option("tag_pattern", r"^(?P<plant>[^.]+)\.(?P<area>[^.]+)\.(?P<sensor_type>[A-Z]+)")
    .load()
)
events.write.mode("overwrite").parquet(folder)

saved = spark.read.parquet(folder)
saved.groupBy("plant", "sensor_type").count().orderBy("plant", "sensor_type").show(50)
print(f"{saved.count():,} events in {folder}")
