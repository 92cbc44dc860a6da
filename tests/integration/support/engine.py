"""A stream from a simulated server, driven by the plain engine."""

from __future__ import annotations

from typing import Any

from pi_datasource.options.declaration import Options
from pi_datasource.spark.stream_reader import PIStreamReader
from tests.engine import SCHEMA, Engine


def following(url: str, options: dict[str, str], **known: Any) -> Engine:
    """A stream with ``options``, as they are whenever it is started; with ``availableNow``, unless told otherwise.

    ``known`` is what else an engine has.
    """

    def make() -> PIStreamReader:
        return PIStreamReader(Options.parse({"url": url, **options}), SCHEMA)

    return Engine(make, available_now=True, **known)
