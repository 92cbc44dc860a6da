"""What the pipeline gives to ``foreachBatch``: a Spark Connect server runs it in a process of its own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from pi_datasource.delta import Lakehouse
from pi_datasource.delta.batch import BatchWriter
from pi_datasource.delta.lease_table import GuardedFunction, LeaseRow
from pi_datasource.delta.points import Discovery
from pi_datasource.delta.tag_discovery import TagDiscovery
from pi_datasource.errors import StreamInUse
from pi_datasource.options.declaration import Options
from tests.unit.fakes import BASE, point


def test_a_batch_writer_with_its_tags_and_its_guard_is_pickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, lakehouse = Options.parse({"url": "h"}), Lakehouse.in_directory(tmp_path)
    tags = TagDiscovery(options, lakehouse)
    monkeypatch.setattr(TagDiscovery, "record", lambda self, _, found: setattr(self, "_found", found))
    no_session: Any = None
    tags.record(no_session, Discovery((point("A"),), BASE))
    writer = BatchWriter(options, lakehouse, lakehouse.checkpoint(options), tags, 7)
    row = LeaseRow("audit", "stream", "ingestion", "one")
    guarded = pickle.loads(pickle.dumps(GuardedFunction(row, writer)))
    assert guarded.row == row
    assert guarded.function.options == options
    assert guarded.function.lakehouse == lakehouse
    assert [found.name for found in guarded.function.tags._found.points] == ["A"]


def test_nothing_is_written_once_the_lease_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    batch: Any = type("Batch", (), {"sparkSession": "session"})
    guarded = GuardedFunction(LeaseRow("audit", "stream", "ingestion", "one"), lambda _, n: written.append(n))

    def check(_: LeaseRow, spark: Any) -> None:
        if written:
            raise StreamInUse(str(spark))

    monkeypatch.setattr(LeaseRow, "check", check)
    guarded(batch, 0)
    with pytest.raises(StreamInUse, match="session"):
        guarded(batch, 1)
    assert written == [0]
