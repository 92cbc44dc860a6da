"""A process that ingests once for each line that it is given, and says how that ended: what crash tests kill."""

from __future__ import annotations

import json
import sys
import traceback

from pi_datasource.delta import Lakehouse, ingest, local_spark

if __name__ == "__main__":
    spark = local_spark("kill test", master="local[2]")
    spark.sparkContext.setLogLevel("OFF")
    for _ in sys.stdin:
        try:
            ingest(spark, json.loads(sys.argv[2]), Lakehouse.in_directory(sys.argv[1]))
            ending = "done"
        except Exception:  # noqa: BLE001 - whatever it was, the next run must mend it
            traceback.print_exc()
            ending = "failed"
        sys.stdout.write(f"{ending}\n")
        sys.stdout.flush()
