"""The PI System as an Apache Spark data source: ``spark.read.format("pi")``, ``spark.readStream.format("pi")``.

With this package installed, Spark finds the format by itself; ``register(spark)`` is for places where that is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pi_datasource.errors import PIError
from pi_datasource.options import Options
from pi_datasource.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pi_datasource.datasource import PIDataSource

__all__ = ["Options", "PIDataSource", "PIError", "__version__", "register"]


def register(spark: SparkSession) -> None:
    """Makes ``format("pi")`` known to this session; harmless where it is known already."""
    from pi_datasource.datasource import PIDataSource

    try:
        spark.dataSource.register(PIDataSource)
    except Exception as error:
        if "already" not in str(error).lower():
            raise


def __getattr__(name: str) -> Any:
    """Loads what needs Spark only when it is asked for, so that the core imports without it."""
    if name == "PIDataSource":
        from pi_datasource.datasource import PIDataSource

        return PIDataSource
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
