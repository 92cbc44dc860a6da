"""JVM settings of Spark for tests that read little."""

from __future__ import annotations

_INTERPRETED = "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN"
_SERIAL = "-XX:+UseSerialGC"
# For minutes, as in scripts/test. Without an optimising compiler the JVM's code cache is by default too small for Spark,
# and a full one stops all compiling.
SHORT_LIVED = (
    f"--driver-java-options '-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m {_SERIAL}' {_INTERPRETED}"
)
# For so long that optimising pays.
LONG_LIVED = f"--driver-java-options '{_SERIAL}' {_INTERPRETED}"
