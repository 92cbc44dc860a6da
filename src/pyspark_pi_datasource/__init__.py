"""Makes ``format("pi")`` known: Spark imports every installed module named ``pyspark_*`` and takes its DefaultSource.

It must never raise: one broken module of that prefix hides every vendor's sources (Spark 4.0 to 4.3). What keeps the
source from loading is logged instead, as Spark itself says only that there is no such format.
"""

import logging

try:
    from pi_datasource.spark.datasource import PIDataSource as DefaultSource  # noqa: F401
except Exception as _cause:  # noqa: BLE001 - whatever it is, other sources must still be found
    logging.getLogger(__name__).warning(
        "format('pi') is not available in this Python environment: %s: %s. "
        "Install what it needs where Spark runs: pip install --upgrade pi-datasource",
        type(_cause).__name__,
        _cause,
    )
