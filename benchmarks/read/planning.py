"""Finding and planning very many points, without reading them: time, memory, and the size of a task."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable

from pyspark.serializers import CPickleSerializer

from pi_datasource.spark.datasource import PIDataSource


def main() -> int:
    """Plans once in this process and prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", type=json.loads, help="of the data source, as JSON")
    arguments = parser.parse_args()
    source = PIDataSource(arguments.options)
    reader = source.reader(source.schema())
    before_mb = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    partitions = reader.partitions()
    planned_s, planned_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    pickler = CPickleSerializer()  # the serializer that Spark uses for tasks
    dumps: Callable[[object], bytes] = pickler.dumps
    sizes = [len(dumps(partition)) for partition in partitions]
    figures = {
        "wall_s": round(planned_s, 3),
        "cpu_s": round(planned_cpu_s, 3),
        "pickle_cpu_s": round(time.process_time() - cpu - planned_cpu_s, 3),
        "tasks": len(partitions),
        "largest_task_bytes": max(sizes, default=0),
        "all_tasks_bytes": sum(sizes),
        "peak_mb": round(_peak_mb()),
        "peak_before_mb": round(before_mb),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
