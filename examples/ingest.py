"""The ingestion pipeline (events, hours, audit rows) from Python: python examples/ingest.py LAKEHOUSE_FOLDER.

The command does the same: pi-datasource ingest --url … --lakehouse … . Run it again and it reads only what is new.
"""

import os
import sys

from pi_datasource.delta import Lakehouse, ingest, local_spark

options = {
    "url": os.environ.get("PI_URL", "http://localhost:8010/piwebapi"),
    "start_time": "*-1d",  # where the first run starts
    "tag_pattern": r"^(?P<plant>[^.]+)\.(?P<area>[^.]+)\.(?P<sensor_type>[A-Z]+)",
}
lakehouse = Lakehouse.in_directory(sys.argv[1] if len(sys.argv) > 1 else "artifacts/lakehouse")
spark = local_spark("ingest")

for batch in ingest(spark, options, lakehouse):
    print(f"{batch.window_start} to {batch.window_end}: {batch.rows_read:,} events of {batch.tags} tags")

spark.read.table(lakehouse.gold).orderBy("hour", "tag_name").select(
    "hour", "tag_name", "event_count", "mean_value"
).show(5, truncate=False)
