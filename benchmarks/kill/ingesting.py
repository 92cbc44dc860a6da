"""A process that ingests into several lakehouses at once on command; crash tests kill it.

A line on standard input says which of them begins, and after how many seconds; each says on standard output when it has
begun and how it has ended.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import SparkSession

from benchmarks.kill.lakes import lakehouse
from pi_datasource.delta import ingest, local_spark

_one_at_a_time = threading.Lock()


def main() -> None:
    """Ingests until standard input ends."""
    folder, lakes, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    spark = local_spark("kill test", master="local[2]")
    spark.sparkContext.setLogLevel("OFF")
    with ThreadPoolExecutor(lakes) as threads:
        for line in sys.stdin:
            lake, after_s = line.split()
            threads.submit(_run, spark, folder, int(lake), options, float(after_s))


def _run(spark: SparkSession, folder: str, lake: int, options: Mapping[str, str], after_s: float) -> None:
    time.sleep(after_s)
    _say(lake, "begun")
    try:
        ingest(spark.newSession(), options, lakehouse(folder, lake))
        ending = "done"
    except Exception:  # noqa: BLE001 - whatever it was, the next run must mend it
        traceback.print_exc()
        ending = "failed"
    _say(lake, ending)


def _say(lake: int, word: str) -> None:
    with _one_at_a_time:
        sys.stdout.write(f"{lake} {word}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
