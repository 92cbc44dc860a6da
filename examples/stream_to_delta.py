"""Everything new in a PI System into a Delta table: python examples/stream_to_delta.py OUTPUT_FOLDER.

Run it as often as you like: the checkpoint records where the last run stopped.
"""

import os
import sys

from pi_datasource.delta import local_spark

url = os.environ.get("PI_URL", "http://localhost:8010/piwebapi")
folder = sys.argv[1] if len(sys.argv) > 1 else "artifacts/pi_stream"

spark = local_spark("stream_to_delta")  # on a cluster, use the existing session

query = (
    spark.readStream.format("pi")
    .option("url", url)
    .option("start_time", "*-1d")  # where the first run starts
    .option("max_window_per_trigger", "6h")  # a long history is read in several micro-batches
    .load()
    .writeStream.format("delta")
    .option("checkpointLocation", f"{folder}/_checkpoint")
    .trigger(availableNow=True)  # or processingTime="1 minute" to keep running
    .start(f"{folder}/events")
)
query.awaitTermination()

print(f"{spark.read.format('delta').load(f'{folder}/events').count():,} events in {folder}/events")
