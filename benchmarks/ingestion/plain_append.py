"""Appends a window to a Delta table and does nothing else: what a run of the pipeline is compared with.

python -m benchmarks.ingestion.plain_append URL TABLE START END
"""

from __future__ import annotations

import sys

from pi_datasource.delta import local_spark


def main() -> int:
    """Reads and appends."""
    url, path, start, end = sys.argv[1:]
    spark = local_spark("plain append")
    rows = spark.read.format("pi").options(url=url, start_time=start, end_time=end).load()
    rows.write.format("delta").mode("append").save(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
