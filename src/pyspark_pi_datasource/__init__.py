"""Makes ``format("pi")`` known: Spark imports every installed module named ``pyspark_*`` and takes its DefaultSource.

It must never raise: one broken module of that prefix hides every vendor's sources (Spark 4.0 to 4.3).
"""

from contextlib import suppress

with suppress(Exception):
    from pi_datasource.datasource import PIDataSource as DefaultSource  # noqa: F401
