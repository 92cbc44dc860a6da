"""``pi-datasource status``: what it says of tables in a folder, without Spark."""

from __future__ import annotations

import io
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console
from typer.testing import CliRunner

from pi_datasource.cli import status
from pi_datasource.cli.commands import app
from pi_datasource.errors import InvalidOption, TablesUnavailable

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def shown(folder: Path) -> str:
    console = Console(file=io.StringIO(), width=220)
    status.show(folder, console, NOW)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def batch(number: int, end: datetime, **counts: int) -> dict[str, object]:
    rows = ("rows_read", "rows_inserted", "rows_updated", "rows_deleted", "rows_late", "read_failures")
    names = (*rows, "calls", "retries")
    return {
        "stream_id": "a-stream",
        "batch_id": number,
        "window_start": end - timedelta(minutes=15),
        "window_end": end,
        "tags": 12,
        **{name: counts.get(name, 0) for name in names},
        "seconds": 1.5,
        "lag_seconds": 9.0,
        "created_at": end + timedelta(seconds=9),
    }


def test_status_tells_lag_batches_late_and_failed(tmp_path: Path) -> None:
    batches = [
        batch(0, NOW - timedelta(minutes=45), rows_read=1200, rows_inserted=1200),
        batch(
            1,
            NOW - timedelta(minutes=30),
            rows_read=34,
            rows_inserted=41,
            rows_late=7,
            rows_deleted=3,
            calls=5,
            retries=1,
        ),
    ]
    write_deltalake(tmp_path / "checkpoints/pi_ingestion_checkpoint", pa.Table.from_pylist(batches))
    waiting = {"tag_webid": "W1", "repaired_at": None}
    repaired = {"tag_webid": "W2", "repaired_at": NOW}
    write_deltalake(tmp_path / "bronze/pi_timeseries_errors", pa.Table.from_pylist([repaired, waiting]))
    text = shown(tmp_path)
    streams, last = text.split("The last batches")
    assert [cell.strip() for cell in streams.splitlines()[4].split("│")[1:-1]] == [
        "a-stream", "30.0 min", "29.9 min ago", "2", "1,234", "1,241", "0", "3", "7", "0", "5", "1",
    ]  # fmt: skip
    assert "03-01 11:15:00 – 03-01 11:30:00" in last
    assert "1 window(s) of a tag wait for pi-datasource repair" in last


def test_a_backfill_is_not_behind(tmp_path: Path) -> None:
    piece = {**batch(0, NOW - timedelta(days=400), rows_read=5), "created_at": NOW - timedelta(minutes=3)}
    names = ("backfill ab 21600s", "history ab cd 21600s", "repair ab")
    pieces = [{**piece, "stream_id": name, "lag_seconds": 400 * 86400.0} for name in names]
    rows = [batch(0, NOW - timedelta(minutes=30), rows_read=1), *pieces]
    write_deltalake(tmp_path / "checkpoints/pi_ingestion_checkpoint", pa.Table.from_pylist(rows))
    streams, last = shown(tmp_path).split("The last batches")
    cells = [
        [cell.strip() for cell in line.split("│")] for line in (streams + last).splitlines() if "│" in line
    ]
    behind = {row[1]: row[2] for row in cells[:4]}
    assert behind == {"a-stream": "30.0 min", **dict.fromkeys((n[:20] for n in names), "–")}
    assert {row[1]: row[-2] for row in cells[4:]} == {
        "a-stream": "9 s",
        **dict.fromkeys((n[:20] for n in names), "–"),
    }


def test_a_table_with_deletion_vectors_is_one_sentence_with_the_next_step(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints/pi_ingestion_checkpoint"
    write_deltalake(folder, pa.Table.from_pylist([batch(0, NOW, rows_read=1)]))
    (log,) = (folder / "_delta_log").glob("*.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    features = {name: ["deletionVectors"] for name in ("readerFeatures", "writerFeatures")}
    protocol = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}
    actions = [protocol if "protocol" in action else action for action in actions]
    log.write_text("\n".join(json.dumps(action) for action in actions))
    said = CliRunner().invoke(app, ["status", "--lakehouse", str(tmp_path)])
    assert said.exit_code == 1
    assert said.stderr.startswith(
        "pi-datasource: checkpoints/pi_ingestion_checkpoint: the table uses a Delta feature that only Spark can read: "
    )
    assert said.stderr.endswith(f"ALTER TABLE delta.`{folder}` DROP FEATURE deletionVectors\n")
    assert said.stderr.count("\n") == 1


def test_a_table_with_a_broken_log_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints/pi_ingestion_checkpoint"
    write_deltalake(folder, pa.Table.from_pylist([batch(0, NOW, rows_read=1)]))
    (log,) = (folder / "_delta_log").glob("*.json")
    log.write_text("{not json")
    with pytest.raises(
        TablesUnavailable, match=r"^checkpoints/pi_ingestion_checkpoint: Delta's log cannot be read: "
    ):
        shown(tmp_path)


def test_a_tag_of_several_selections_is_one_and_has_ended_when_it_has_in_all(tmp_path: Path) -> None:
    write_deltalake(
        tmp_path / "checkpoints/pi_ingestion_checkpoint", pa.Table.from_pylist([batch(0, NOW, rows_read=1)])
    )
    points = [("W1", NOW), ("W1", None), ("W2", NOW), ("W2", NOW), ("W3", None), ("W3", None)]
    rows = [{"tag_webid": tag, "ended_at": ended} for tag, ended in points]
    write_deltalake(tmp_path / "bronze/pi_points", pa.Table.from_pylist(rows))
    assert shown(tmp_path).splitlines()[-2:] == ["2 tag(s) known", "1 tag(s) ended"]


def test_what_an_older_version_did_not_count_is_left_open(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([batch(0, NOW - timedelta(minutes=30), rows_read=12)]).drop(
        ["calls", "retries"]
    )
    write_deltalake(tmp_path / "checkpoints/pi_ingestion_checkpoint", rows)
    (line,) = [line for line in shown(tmp_path).splitlines() if "30.0 min" in line]
    assert [cell.strip() for cell in line.split("│")[-5:-1]] == ["0", "0", "–", "–"]


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"there are no tables in .*; run pi-datasource ingest"):
        shown(tmp_path)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
def test_windows_are_told_in_utc_by_a_process_of_any_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    end = datetime(2026, 3, 29, 2, 30, tzinfo=timezone.utc)
    rows = pa.Table.from_pylist([batch(0, end, rows_read=1)])
    write_deltalake(tmp_path / "checkpoints/pi_ingestion_checkpoint", rows)
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        text = shown(tmp_path)
    time.tzset()
    assert "03-29 02:15:00 – 03-29 02:30:00" in text


def test_dismissed_errors_do_not_wait_and_are_told_with_their_reason(tmp_path: Path) -> None:
    rows = [batch(0, NOW - timedelta(minutes=30))]
    write_deltalake(tmp_path / "checkpoints/pi_ingestion_checkpoint", pa.Table.from_pylist(rows))
    waiting = {"tag_webid": "W1", "repaired_at": None, "dismissed_at": None, "dismissed_reason": None}
    dismissed = {**waiting, "tag_webid": "W2", "dismissed_at": NOW, "dismissed_reason": "tag [deleted]"}
    repaired = {**dismissed, "tag_webid": "W3", "repaired_at": NOW}
    write_deltalake(
        tmp_path / "bronze/pi_timeseries_errors", pa.Table.from_pylist([repaired, waiting, dismissed])
    )
    text = shown(tmp_path)
    assert "1 window(s) of a tag wait for pi-datasource repair" in text
    assert "1 window(s) of a tag dismissed: tag [deleted]" in text


def test_a_failed_run_is_told_with_its_error_and_counts_nowhere(tmp_path: Path) -> None:
    done = {
        **batch(0, NOW - timedelta(minutes=45), rows_read=7),
        "kind": "stream",
        "status": "done",
        "error": None,
    }
    behind = {**done, "kind": "overlap", "rows_read": 2, "window_end": done["window_start"]}
    failed = {
        **batch(1, NOW - timedelta(minutes=30), rows_read=100),
        "kind": "stream",
        "status": "failed",
        "error": "PI answered 503",
    }
    piece = {**failed, "stream_id": "backfill ab", "kind": "backfill", "error": None}
    lease = {**done, "stream_id": "lease", "kind": "lease", "status": "held"}
    rows = pa.Table.from_pylist([done, behind, failed, piece, lease])
    write_deltalake(tmp_path / "checkpoints/pi_ingestion_checkpoint", rows)
    text = shown(tmp_path)
    streams, last = text.split("The last batches")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in streams.splitlines() if "│" in line]
    assert [(row[0], row[1], row[3], row[4]) for row in cells] == [("a-stream", "45.0 min", "1", "9")]
    kinds = {line.split("│")[3].strip() for line in last.splitlines() if "│" in line}
    assert kinds == {"stream", "overlap"}
    assert [line.strip() for line in last.splitlines() if "FAILED" in line] == [
        "FAILED 29.9 min ago: stream 1 of a-stream, 03-01 11:15:00 – 03-01 11:30:00 UTC: PI answered 503 "
        "– run pi-datasource ingest again: it repeats this and goes on",
        "FAILED 29.9 min ago: backfill 1 of backfill ab, 03-01 11:15:00 – 03-01 11:30:00 UTC: no error was recorded "
        "– run pi-datasource backfill again: it repeats this and goes on",
    ]
