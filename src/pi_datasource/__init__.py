"""The PI System as an Apache Spark data source: ``spark.read.format("pi")``, ``spark.readStream.format("pi")``.

With this package installed, Spark finds the format by itself; ``register(spark)`` is for places where that is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pi_datasource.errors import PIError
from pi_datasource.options.declaration import Options
from pi_datasource.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pi_datasource.spark.datasource import PIDataSource

__all__ = ["Options", "PIDataSource", "PIError", "__version__", "read", "register"]


def read(spark: SparkSession, where: str | None = None, **options: Any) -> DataFrame:
    """The rows of ``format("pi")`` for which the predicate ``where`` is true; what it excludes is not read.

    ``where`` is any predicate of Spark's SQL over the columns, such as ``"plant = 'NORTH' AND value > 80 AND timestamp
    >= '2026-01-01'"``. Times in it are in Spark's session time zone. Conditions on tags, on the groups of
    ``tag_pattern`` and on ``timestamp`` prune what is read; Spark then applies the whole predicate, so pruning never
    changes the result. Needs ``pip install 'pi-datasource[sql]'``.

    Its bounds of ``timestamp`` replace the defaults of ``start_time`` and ``end_time``, and are intersected with values
    given for these options. A predicate without ``timestamp`` reads from ``*-1d`` on; one with ``timestamp`` but without a
    lower bound that is known before reading needs the option ``start_time``.

    With ``on_error="report"`` rows that report a failure always pass the predicate.

    ``options`` are those of the format; lists, datetimes, timedeltas and booleans may be given as such.

    Raises:
        ConfigurationError: an option that cannot be used, or sqlglot is not installed.
        AnalysisException: Spark does not understand the predicate.
    """
    from pi_datasource.spark import frame

    return frame.read(spark, where, options)


def register(spark: SparkSession) -> None:
    """Makes ``format("pi")`` known to this session; harmless where it is known already."""
    from pi_datasource.spark.datasource import PIDataSource

    try:
        spark.dataSource.register(PIDataSource)
    except Exception as error:
        if "already" not in str(error).lower():
            raise


def __getattr__(name: str) -> Any:
    """Loads what needs Spark only when it is asked for, so that the core imports without it."""
    if name == "PIDataSource":
        from pi_datasource.spark.datasource import PIDataSource

        return PIDataSource
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
