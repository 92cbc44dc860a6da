"""With ``pyspark-client`` alone: no JVM, no py4j, no classic Spark, no delta-spark, and nothing of the pipeline's extra."""

from __future__ import annotations

import subprocess
import sys

CLIENT = """
import sys

class Absent:
    # What full PySpark has and its client lacks, or what an extra brings.
    names = ("py4j", "delta", "filelock", "pyspark.core", "pyspark.rdd", "pyspark.sql.classic")
    def find_spec(self, name, path=None, target=None):
        if name in self.names or name.startswith(tuple(f"{each}." for each in self.names)):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from pyspark.util import is_remote_only
assert is_remote_only()
import pi_datasource.delta
from pi_datasource.delta import background, lease, lease_table, pipeline, query
print(*sorted(pi_datasource.delta.__all__))
"""


def test_the_pipeline_is_imported_without_classic_spark() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CLIENT], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert {"ingest", "local_spark", "start"} <= set(run.stdout.split())
