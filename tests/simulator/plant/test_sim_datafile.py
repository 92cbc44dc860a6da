"""Somebody's own export in place of generated signals."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet
import pytest

from mock_server import Event, Faults, Plant, Server, State
from mock_server.__main__ import main
from mock_server.plant import ticks
from mock_server.plant.datafile import BadData
from mock_server.server.middleware import answer, handle
from mock_server.webapi.messages import Request

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
CSV = """\
Tag,Timestamp,Value,Quality
FIC 1/A,2024-05-01T06:00:00.1234567Z,12.5,Good
FIC 1/A,2024-05-01T08:00:00+02:00,-3,bad
FIC 1/A,2024-05-01 06:00:00.1234567,1e3,questionable
FIC 1/A,2024-05-01T07:00:00Z,,
LOT,2024-05-01T06:30:00Z,7,
LOT,2024-05-01T06:00:00Z,"line one
line ""two"", ü",substituted
LOT,2024-05-01T08:00:00Z,,annotated
"""
TOP = ticks.from_datetime(datetime(2024, 5, 1, 6, tzinfo=timezone.utc))
HOUR = 3_600 * ticks.PER_SECOND
NO_DATA = State("No Data", 248, True)
FIC = [
    Event(TOP, -3.0, False, False, False, False),
    Event(TOP + 1_234_567, 12.5, True, False, False, False),
    Event(TOP + 1_234_567, 1000.0, True, True, False, False),
    Event(TOP + HOUR, NO_DATA, False, False, False, False),
]
LOT = [
    Event(TOP, 'line one\nline "two", ü', True, False, True, False),
    Event(TOP + HOUR // 2, "7", True, False, False, False),
    Event(TOP + 2 * HOUR, NO_DATA, False, False, False, True),
]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "export.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def of(plant: Plant, tag: str, **more: Any) -> list[Event]:
    return plant.oracle(tag, NOON - timedelta(days=1), NOON + timedelta(days=1), **more)


def get(plant: Plant, url: str, now: datetime = NOON) -> Any:
    path, _, query = url.partition("?")
    response = handle(Server(plant, clock=lambda: now), Request("GET", f"/piwebapi{path}", query))
    assert response.status == 200, response.body
    return json.loads(response.body)


def test_a_csv_file_is_served_as_it_is(csv: Path) -> None:
    plant = Plant(data=csv)
    assert [(point.name, point.point_type) for point in plant.points] == [
        ("FIC 1/A", "Float64"),
        ("LOT", "String"),
    ]
    assert of(plant, "FIC 1/A") == FIC
    assert of(plant, "lot") == LOT
    assert of(plant, "LOT", as_of=NOON - timedelta(hours=5)) == LOT[:2]


def test_the_api_answers_with_the_files_events(csv: Path) -> None:
    plant = Plant(data=csv)
    points = get(plant, f"/dataservers/{plant.catalog.server.web_id()}/points?nameFilter=FIC*")["Items"]
    assert [(point["Name"], point["Zero"], point["Span"]) for point in points] == [("FIC 1/A", -3.0, 1003.0)]
    window = "startTime=2024-05-01&endTime=2024-05-02"
    items = get(plant, f"/streams/{points[0]['WebId']}/recorded?{window}")["Items"]
    assert [(item["Timestamp"], item["Value"]) for item in items[:3]] == [
        ("2024-05-01T06:00:00Z", -3.0),
        ("2024-05-01T06:00:00.1234567Z", 12.5),
        ("2024-05-01T06:00:00.1234567Z", 1000.0),
    ]
    assert items[3]["Value"] == {"Name": "No Data", "Value": 248, "IsSystem": True}
    backward = get(plant, f"/streams/{points[0]['WebId']}/recorded?startTime=2024-05-02&endTime=2024-05-01")
    assert backward["Items"] == items[::-1]
    newest = get(plant, f"/streams/{plant.points[1].web_id()}/value", NOON - timedelta(hours=5))
    assert (newest["Timestamp"], newest["Value"]) == ("2024-05-01T06:30:00Z", "7")
    early = get(plant, f"/streams/{points[0]['WebId']}/recorded?{window}&maxCount=2")["Items"]
    assert early == items[:2]


def test_updates_bring_what_time_makes_visible(csv: Path) -> None:
    plant = Plant(data=csv)
    news = plant.history.changes(plant.points[0], TOP, TOP + HOUR)
    assert news.block.ticks.tolist() == [event.ticks for event in FIC[1:]]


def test_a_parquet_file_gives_the_same_as_its_csv(tmp_path: Path) -> None:
    table = pa.table(
        {
            "tag": ["A", "A", "B"],
            "timestamp": pa.array(
                [1_714_543_200_123_456_700, 1_714_543_200_000_000_000, 1_714_543_201_000_000_000],
                pa.timestamp("ns"),
            ),
            "value": [1.5, None, 2.0],
            "quality": pa.array([True, None, False]),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "export.parquet")
    (tmp_path / "same.csv").write_text(
        "tag,timestamp,value,quality\nA,2024-05-01T06:00:00.1234567Z,1.5,good\nA,2024-05-01T06:00:00Z,,\n"
        "B,2024-05-01T06:00:01Z,2.0,bad\n"
    )
    one, other = Plant(data=tmp_path / "export.parquet"), Plant(data=tmp_path / "same.csv")
    for tag in ("A", "B"):
        assert of(one, tag) == of(other, tag) != []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no CSV or Parquet file"),
        ("tag,timestamp,value\n", "holds no rows"),
        (
            "tag,time,value\nA,2024-05-01T00:00:00Z,1\n",
            "needs one column 'timestamp'; it has tag, time, value",
        ),
        (
            "tag,timestamp,value,colour\nA,2024-05-01T00:00:00Z,1,red\n",
            "unknown column 'colour'; columns are tag, ",
        ),
        (
            "tag,timestamp,value\n,2024-05-01T00:00:00Z,1\n",
            "row 1 after the header, column 'tag': '' is empty",
        ),
        (
            "tag,timestamp,value\nA,2024-05-01T00:00:00Z,1\nA,2024-13-01,2\nA,x,2\n",
            "row 2 after the header, column 'timestamp': '2024-13-01' is no ISO 8601 time",
        ),
        (
            "tag,timestamp,value\nA,2024-05-01T00:00:00.12345678Z,1\n",
            "row 1 after the header, column 'timestamp': .* has more than 7 fraction digits",
        ),
        (
            "tag,timestamp,value\nA,2024-05-01T00:00:00Z,1\nA,2024-05-01T00:00:00Z,1e999\n",
            "row 2 after the header, column 'value': '1e999' is larger",
        ),
        (
            "tag,timestamp,value,quality\nA,2024-05-01T00:00:00Z,1,good\nA,2024-05-01T00:00:00Z,1,fine\n",
            "row 2 after the header, column 'quality': 'fine' is none of good",
        ),
        (
            "tag,timestamp,value\nA,2024-05-01T00:00:00Z,1\na,2024-05-01T00:00:00Z,1\n",
            "'A' and 'a' differ only in case",
        ),
        ("tag,timestamp,value\nA,2024-05-01T00:00:00Z\n", "is no CSV or Parquet file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadData, match=message) as refused:
        Plant(data=path)
    assert str(path) in str(refused.value)


def test_the_program_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path / "missing.csv"), "--port", "0"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "missing.csv: cannot be read" in told


def test_no_points_can_be_added_to_a_file(csv: Path) -> None:
    with pytest.raises(ValueError, match="the points are those of a file"):
        Plant(data=csv).add_points(1, NOON)


def test_tags_are_found_whatever_their_letters(tmp_path: Path) -> None:
    """Names, paths, filters, searches, WebIDs and expressions do not tell upper from lower case."""
    tags = ["Tank1.Level", "TANK2.LEVEL", "tank3.level", "\u00d6lst\u0131"]
    path = tmp_path / "own.csv"
    path.write_text("tag,timestamp,value\n" + "".join(f"{tag},2024-01-01T01:00:00Z,7\n" for tag in tags))
    plant = Plant(data=path)
    server = plant.catalog.server.web_id()
    for tag in tags:
        point = plant.catalog.by_name(tag)
        assert point is not None
        assert point.name == tag
        assert [event.value for event in plant.oracle(tag, NOON - timedelta(days=1000), NOON)] == [7.0]
        for spelled in (tag, tag.upper(), tag.lower()):
            name = quote(spelled)
            assert get(plant, f"/points?path=%5C%5CPISIM01%5C{name}")["Name"] == tag
            for url in (
                f"/dataservers/{server}/points?nameFilter={name}",
                f"/dataservers/{server}/points?nameFilter={quote(spelled[:-1])}?",
                f"/points/search?dataServerWebId={server}&query=Tag:=%22{name}%22",
            ):
                assert [item["Name"] for item in get(plant, url)["Items"]] == [tag], url
        for kind in ("Full", "IDOnly", "PathOnly", "LocalIDOnly", "DefaultIDOnly"):
            assert get(plant, f"/points/{point.web_id(kind)}")["Name"] == tag
            assert get(plant, f"/streams/{point.web_id(kind)}/value")["Value"] == 7.0
        assert (
            get(plant, f"/calculation/times?time=*&expression=%27{quote(tag)}%27")["Items"][0]["Value"] == 7.0
        )


def test_a_fault_of_a_point_is_met_whatever_the_letters(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("tag,timestamp,value\nTank1.Level,2024-01-01T01:00:00Z,7\n")
    plant = Plant(data=path)
    server = Server(plant, lambda: NOON, faults=Faults(points={"TANK1.level": "503"}))
    server.check_points(server.faults)
    web_id = plant.points[0].web_id()
    assert answer(server, Request("GET", f"/piwebapi/streams/{web_id}/value")).status == 503
