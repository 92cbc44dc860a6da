"""What a stream has read while the server did not list a tag: an error row of that tag, which a repair reads.

A tag that was deleted does not come back. One that does was hidden, as from an account without the right to see it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from pyspark.sql import SparkSession

from pi_datasource.delta import audit, bronze
from pi_datasource.delta.changes import LINEAGE
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import PointFailure, shown
from pi_datasource.model import Point
from pi_datasource.spark.partitions import arrow_schema

log = logging.getLogger(__name__)

MESSAGE = "the server did not list this tag for a while"
AT_LEAST = timedelta(hours=1)  # noted more, because clocks drift


def note(
    spark: SparkSession, lakehouse: Lakehouse, checkpoint: str, back: Mapping[Point, datetime], at: datetime
) -> None:
    """Notes what the stream has read since each point was last seen, which may be more than it has missed.

    Those moments and ``at``, the present, are times of the PI server's clock.
    """
    stream = audit.known_stream(spark, checkpoint)
    if stream is None:
        return
    now = datetime.now(timezone.utc)
    since = {seen: now - (at - seen) - AT_LEAST for seen in set(back.values())}  # by the driver's clock
    read = {seen: audit.reach(spark, lakehouse, stream, since=moment) for seen, moment in since.items()}
    missed = {point: window for point, seen in back.items() if (window := read[seen]) is not None}
    if not missed:
        return
    told = [PointFailure(point.name, point.web_id, None, f"{MESSAGE}: {missed[point]}") for point in missed]
    log.warning("%d tag(s) are back; 'repair' reads what they may have missed: %s", len(told), shown(told))
    rows = [
        {
            "tag_webid": point.web_id,
            "tag_name": point.name,
            "window_start": window.start,
            "window_end": window.end,
            "message": MESSAGE,
            LINEAGE: now,
        }
        for point, window in missed.items()
    ]
    shape = arrow_schema(spark.read.table(lakehouse.errors).schema)
    noted = spark.createDataFrame(pa.Table.from_pylist(rows, shape))
    bronze.merge_failures(spark, lakehouse.errors, noted)
