"""A process that ingests until it is done, and says when it begins: what crash tests kill."""

from __future__ import annotations

import json
import sys

from pi_datasource.delta import Lakehouse, ingest, local_spark

if __name__ == "__main__":
    spark = local_spark("kill test", master="local[2]")
    spark.sparkContext.setLogLevel("OFF")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ingest(spark, json.loads(sys.argv[2]), Lakehouse.in_directory(sys.argv[1]))
    sys.stdout.write("done\n")
    sys.stdout.flush()
