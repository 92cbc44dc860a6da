"""What a stream does, as Spark reports it after each micro-batch: python examples/listener.py OUTPUT_FOLDER.

A listener sees every streaming query of the session. It is the place to send lag and rates to a monitoring system.
"""

import json
import os
import sys
from datetime import datetime, timezone

from pyspark.sql.streaming.listener import StreamingQueryListener

from pi_datasource.delta import local_spark


class PIProgress(StreamingQueryListener):
    """Prints the window, the events and the lag of each micro-batch that read something."""

    def onQueryStarted(self, event):
        print(f"stream {event.id} has started")

    def onQueryProgress(self, event):
        progress = event.progress
        source = progress.sources[0]
        if not source.endOffset:
            return
        end = json.loads(source.endOffset)
        read_until = datetime.fromisoformat(end["to"].replace("Z", "+00:00"))
        lag_s = (datetime.now(timezone.utc) - read_until).total_seconds()
        print(
            f"batch {progress.batchId}: {end['from']} to {end['to']}, {progress.numInputRows:,} events, "
            f"{progress.processedRowsPerSecond:,.0f} a second, {lag_s:,.0f} s behind"
        )

    def onQueryIdle(self, event):
        pass

    def onQueryTerminated(self, event):
        print("stream has ended" if event.exception is None else f"stream has failed: {event.exception}")


url = os.environ.get("PI_URL", "http://localhost:8010/piwebapi")
folder = sys.argv[1] if len(sys.argv) > 1 else "artifacts/pi_watched"

spark = local_spark("listener")
spark.streams.addListener(PIProgress())
query = (
    spark.readStream.format("pi")
    .option("url", url)
    .option("start_time", "*-1h")
    .load()
    .writeStream.format("parquet")
    .option("checkpointLocation", f"{folder}/_checkpoint")
    .trigger(availableNow=True)
    .start(f"{folder}/events")
)
query.awaitTermination()
spark.stop()  # delivers pending events to the listener first
