"""Reading without Spark: CPU per row of requests, decoding and building columns; the least noisy figure."""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pi_datasource.recorded import fetch
from pi_datasource.spark.datasource import PIDataSource
from pi_datasource.webapi import client


def main() -> int:
    """Reads a few times in this process and prints one line of JSON: the runs, and what the rows added up to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--origin-us", type=int, required=True)
    parser.add_argument("--warmups", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("options", type=json.loads, help="of the data source, as JSON")
    arguments = parser.parse_args()
    source = PIDataSource(arguments.options)
    sums = _sums(_batches(source), arguments.origin_us)
    for _ in range(max(0, arguments.warmups - 1)):
        _drain(source)
    gc.collect()
    gc.freeze()  # as a Spark worker does
    runs = [_drain(source) for _ in range(arguments.repeats)]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"sums": sums, "runs": runs, "peak_mb": round(peak_mb)}) + "\n")
    return 0


def _batches(source: PIDataSource) -> Iterator[pa.RecordBatch]:
    reader = source.reader(source.schema())
    for partition in reader.partitions():
        task = partition.value
        if task is not None:
            api = client.shared(source.checked)
            yield from fetch.run(api, task, reader.schema, source.checked.tag_pattern)


def _drain(source: PIDataSource) -> dict[str, float]:
    """One whole read, discovery and planning included."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = sum(batch.num_rows for batch in _batches(source))
    return {
        "rows": rows,
        "wall_s": round(time.perf_counter() - wall, 4),
        "cpu_s": round(time.process_time() - cpu, 4),
    }


def _sums(batches: Iterator[pa.RecordBatch], origin_us: int) -> dict[str, Any]:
    tags: set[str] = set()
    rows = good = micros = 0
    value = 0.0
    for batch in batches:
        rows += batch.num_rows
        tags.update(pc.unique(batch.column("tag_name")).to_pylist())
        good += pc.sum(batch.column("good").cast(pa.int64())).as_py() or 0
        micros += pc.sum(pc.subtract(batch.column("timestamp").cast(pa.int64()), origin_us)).as_py() or 0
        value += pc.sum(batch.column("value")).as_py() or 0.0
    return {"rows": rows, "tags": len(tags), "good": good, "micros": micros, "value": value}


if __name__ == "__main__":
    sys.exit(main())
