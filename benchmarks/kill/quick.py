"""How Spark is started where it lives for minutes and reads little."""

from __future__ import annotations

# As in scripts/test. Without an optimising compiler the JVM's code cache is by default too small for Spark,
# and a full one stops all compiling.
SHORT_LIVED = (
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC' "
    "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN"
)
