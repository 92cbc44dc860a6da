"""Event frames: against the oracle, every search mode, open and closed, paged, filtered and searched."""

import itertools
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant
from mock_server.oracle.event_frames import TrueFrame, equipment_of, true_frames
from mock_server.plant import ticks

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
START = datetime(2025, 5, 28, tzinfo=timezone.utc)
OPEN = "9999-12-31T23:59:59.9999999Z"
SEVERITIES = ("None", "Information", "Warning", "Minor", "Major", "Critical")


def iso(instant: int | None) -> str:
    return OPEN if instant is None else ticks.to_iso(instant)


@pytest.fixture(scope="module")
def site(make_client: Any) -> Any:
    return make_client(plant=Plant(seed=5, tags=64, plants=2, history_start=START))


@pytest.fixture(scope="module")
def database(site: Any) -> str:
    return str(site.plant.assets.library.database.web_id())


@pytest.fixture(scope="module")
def truth(site: Any) -> list[TrueFrame]:
    return true_frames(site.plant, NOW)


Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(site: Any, database: str) -> Ask:
    def frames(path: str = "", **parameters: Any) -> list[dict[str, Any]]:
        query = urlencode({"maxCount": 100_000, **parameters}, doseq=True)
        reply = site.get(f"{path or f'/assetdatabases/{database}/eventframes'}?{query}")
        return list(reply["Items"])

    return frames


def key(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["TemplateName"], item["StartTime"], item["EndTime"]


def true_key(frame: TrueFrame) -> tuple[str, str, str]:
    return frame.template, iso(frame.start), iso(frame.end)


def test_the_frames_are_the_runs_of_states_that_the_oracle_holds(ask: Ask, truth: list[TrueFrame]) -> None:
    items = ask(startTime="2025-01-01")
    assert len(truth) > 60
    assert {frame.template for frame in truth} == {"Batch", "Pump Trip", "Off-Spec"}
    assert sorted(map(key, items)) == sorted(map(true_key, truth))
    labels = {item["StartTime"]: item["Description"] for item in items if item["TemplateName"] == "Batch"}
    for frame in truth:
        if frame.template == "Batch":
            assert frame.label
            assert labels[iso(frame.start)].endswith(frame.label)


def test_of_several_states_at_one_instant_the_last_counts() -> None:
    plant = Plant(seed=6, tags=32, plants=1, history_start=NOW - timedelta(days=60))
    now = ticks.from_datetime(NOW)
    found = plant.frames.overlapping(plant.frames.sources(), 0, now, now)
    expected = [(each.tag_name, each.start, each.end) for each in true_frames(plant, NOW)]
    ends = [None if each.is_open else each.end for each in found]
    assert sorted(
        zip([each.point.name for each in found], [each.start for each in found], ends, strict=True), key=str
    ) == (sorted(expected, key=str))
    assert all(each.start < each.end for each in found)
    batch = next(point for point in plant.points if point.sensor_type == "BATCH")
    events = [event.ticks for event in plant.oracle(batch.name, NOW - timedelta(days=60), NOW)]
    assert len(events) > len(set(events))


def test_frames_refer_to_the_equipment_of_their_tag(site: Any, ask: Ask, truth: list[TrueFrame]) -> None:
    places = {true_key(frame): equipment_of(frame.tag_name) for frame in truth}
    for item in ask(startTime="*-3d"):
        primary, unit = (site.get(f"/elements/{web_id}")["Path"] for web_id in item["RefElementWebIds"])
        assert primary == f"\\\\AFSIM01\\Production\\Enterprise\\{places[key(item)]}"
        assert unit == primary.rpartition("\\")[0]
        assert item["Links"]["PrimaryReferencedElement"].endswith(item["RefElementWebIds"][0])


MODES: dict[str, Callable[[TrueFrame, int, int], bool]] = {
    "StartInclusive": lambda f, a, b: a <= f.start <= b,
    "EndInclusive": lambda f, a, b: f.end is not None and a <= f.end <= b,
    "Inclusive": lambda f, a, b: f.end is not None and a <= f.start and f.end <= b,
    "Overlapped": lambda f, a, b: f.start <= b and (f.end is None or f.end >= a),
    "InProgress": lambda f, a, b: a <= f.start <= b and f.end is None,
}


@settings(max_examples=20, deadline=None, database=None)
@given(
    st.sampled_from(sorted(MODES)),
    st.integers(-400, 132 * 60),
    st.integers(0, 3000) | st.integers(0, 132 * 60),
    st.booleans(),
)
def test_range_modes_select_what_they_say(mode: str, minute: int, length: int, exact: bool) -> None:
    low = ticks.from_datetime(START + timedelta(minutes=minute))
    if exact:  # a bound exactly on a start
        low = SITE.truth[minute % len(SITE.truth)].start
    high = low + length * 60 * ticks.PER_SECOND
    if exact and length % 2:
        low, high = low - length, low
    items = SITE.ask(searchMode=mode, startTime=ticks.to_iso(low), endTime=ticks.to_iso(high))
    expected = [true_key(each) for each in SITE.truth if MODES[mode](each, low, high)]
    assert sorted(map(key, items)) == sorted(expected)


@settings(max_examples=4, deadline=None, database=None)
@given(st.lists(st.integers(1, 7_800), min_size=1, max_size=6, unique=True))
def test_disjoint_slices_by_start_are_the_whole(cuts: list[int]) -> None:
    first, last = ticks.from_datetime(START) - 1, ticks.from_datetime(NOW)
    bounds = [first, *sorted(ticks.from_datetime(START + timedelta(minutes=cut)) for cut in cuts), last]
    found = [
        item["WebId"]
        for low, high in itertools.pairwise(bounds)
        for item in SITE.ask(
            searchMode="StartInclusive",
            startTime=ticks.to_iso(low + 1),
            endTime=ticks.to_iso(high),
            searchFullHierarchy="true",
        )
    ]
    whole = SITE.ask(searchMode="StartInclusive", startTime="2025-01-01", searchFullHierarchy="true")
    assert sorted(found) == sorted(item["WebId"] for item in whole)


class _Site:
    """What the hypothesis tests ask, without going through fixtures."""

    ask: Any = None
    truth: Any = None


SITE = _Site()


@pytest.fixture(autouse=True, scope="module")
def _site(ask: Ask, truth: list[TrueFrame]) -> None:
    SITE.ask, SITE.truth = ask, truth


@pytest.mark.parametrize("count", [3, 1000])
def test_counted_modes_start_at_an_instant_and_go_one_way(
    ask: Ask, truth: list[TrueFrame], count: int
) -> None:
    at = "2025-05-30T06:00:00Z"
    low = ticks.from_datetime(datetime(2025, 5, 30, 6, tzinfo=timezone.utc))
    closed = [each for each in truth if each.end is not None]
    still = [each for each in truth if each.end is None]
    starts = sorted(truth, key=lambda each: each.start)
    ends = [*sorted(closed, key=lambda each: each.end or 0), *still]
    expected = {
        "ForwardFromStartTime": [each for each in starts if each.start >= low],
        "BackwardFromStartTime": [each for each in reversed(starts) if each.start <= low],
        "ForwardFromEndTime": [each for each in ends if each.end is None or each.end >= low],
        "BackwardFromEndTime": [each for each in reversed(ends) if each.end is not None and each.end <= low],
        "ForwardInProgress": [each for each in starts if each.end is None and each.start >= low],
        "BackwardInProgress": [],
    }
    for mode, frames in expected.items():
        items = ask(searchMode=mode, startTime=at, maxCount=count)
        assert list(map(key, items)) == list(map(true_key, frames))[:count] or (
            mode == "ForwardFromEndTime" and sorted(map(key, items)) == sorted(map(true_key, frames))
        ), mode
        pages = [ask(searchMode=mode, startTime=at, maxCount=7, startIndex=i)[:7] for i in (0, 7)]
        whole = ask(searchMode=mode, startTime=at, maxCount=14)
        assert [each for page in pages for each in page] == whole


def test_counted_modes_refuse_an_end_and_an_order(site: Any, database: str) -> None:
    url = f"/assetdatabases/{database}/eventframes?searchMode=BackwardFromStartTime"
    for name, value in (("endTime", "*"), ("sortField", "Name"), ("sortOrder", "Ascending")):
        assert name in site.get(f"{url}&{name}={value}", 400)["Errors"][0]
    assert site.get(f"/assetdatabases/{database}/eventframes?startTime=*&endTime=*-1h", 400)["Errors"]
    assert site.get(f"/assetdatabases/{database}/eventframes?searchMode=Sideways", 400)["Errors"]
    assert site.get(f"/assetdatabases/{database}/eventframes?severity=Dreadful", 400)["Errors"]


def test_the_default_window_is_the_last_eight_hours(ask: Ask, truth: list[TrueFrame]) -> None:
    low = ticks.from_datetime(NOW - timedelta(hours=8))
    expected = [true_key(each) for each in truth if each.end is None or each.end >= low]
    assert sorted(map(key, ask())) == sorted(expected)


def test_an_open_frame_closes_under_the_same_web_id(make_client: Any) -> None:
    plant = Plant(seed=5, tags=64, plants=2, history_start=START)
    later = make_client(plant=plant, clock=lambda: NOW + timedelta(hours=6))
    closing = {true_key(each)[:2]: iso(each.end) for each in true_frames(plant, NOW + timedelta(hours=6))}
    checked = 0
    for item in SITE.ask(searchMode="InProgress", startTime="*-1d", searchFullHierarchy="true"):
        assert (item["EndTime"], item["AreValuesCaptured"]) == (OPEN, False)
        after = later.get(f"/eventframes/{item['WebId']}")
        assert after["WebId"] == item["WebId"]
        assert after["StartTime"] == item["StartTime"]
        if item["TemplateName"] != "Phase":
            assert after["EndTime"] == closing[item["TemplateName"], item["StartTime"]]
        if after["EndTime"] != OPEN:
            assert after["AreValuesCaptured"]
            checked += 1
    assert checked >= 4


def test_a_frame_does_not_exist_before_it_starts(make_client: Any) -> None:
    item = max(SITE.ask(), key=lambda each: str(each["StartTime"]))
    earlier = make_client(
        plant=Plant(seed=5, tags=64, plants=2, history_start=START), clock=lambda: NOW - timedelta(days=1)
    )
    assert earlier.get(f"/eventframes/{item['WebId']}", 404)["Errors"]
    quoted = quote(item["Path"])
    assert earlier.get(f"/eventframes?path={quoted}", 404)["Errors"]


def test_phases_are_children_that_tile_their_batch(site: Any, ask: Ask) -> None:
    batches = [each for each in ask(startTime="*-2d") if each["TemplateName"] == "Batch"]
    assert len(batches) > 5
    for batch in batches:
        path = f"/eventframes/{batch['WebId']}/eventframes"
        phases = ask(path, startTime="2025-01-01", sortField="StartTime")
        assert batch["HasChildren"]
        assert phases[0]["StartTime"] == batch["StartTime"]
        assert phases[-1]["EndTime"] == batch["EndTime"]
        for one, other in itertools.pairwise(phases):
            assert one["EndTime"] == other["StartTime"]
        assert all(phase["StartTime"] <= NOW.isoformat() for phase in phases)
        assert all(
            phase["EndTime"] in (OPEN, batch["EndTime"]) or phase["EndTime"] <= NOW.isoformat()
            for phase in phases
        )
        for phase in phases:
            assert phase["Links"]["Parent"].endswith(batch["WebId"])
            assert site.get(f"/eventframes?path={quote(phase['Path'])}")["WebId"] == phase["WebId"]
    tops, whole = ask(startTime="*-2d"), ask(startTime="*-2d", searchFullHierarchy="true")
    assert {each["TemplateName"] for each in whole} - {each["TemplateName"] for each in tops} == {"Phase"}


@pytest.mark.parametrize("order", ["", "&sortField=StartTime", "&sortField=EndTime&sortOrder=Descending"])
def test_pages_reach_every_frame_once(site: Any, database: str, order: str) -> None:
    url = f"/piwebapi/assetdatabases/{database}/eventframes?startTime=*-4d&maxCount=23&searchFullHierarchy=true{order}"
    found: list[dict[str, Any]] = []
    while url:
        page = json.loads(site.ask("GET", url).body)
        found += page["Items"]
        url = page["Links"].get("Next", "").removeprefix("http://localhost")
    whole = SITE.ask(startTime="*-4d", searchFullHierarchy="true")
    assert len({each["WebId"] for each in found}) == len(found) == len(whole) > 50
    if order.startswith("&sortField=StartTime"):
        starts = [ticks_of(each["StartTime"]) for each in found]
        assert starts == sorted(starts)
    elif order:
        ends = [ticks_of(each["EndTime"]) for each in found]
        assert ends == sorted(ends, reverse=True)


def ticks_of(text: str) -> str:
    """A text that sorts as the instant does."""
    return text.removesuffix("Z").ljust(20, ".").ljust(27, "0").replace("..", ".")


@pytest.mark.parametrize(
    ("parameters", "test"),
    [
        ({"severity": ["Major", "Critical"]}, lambda i: i["Severity"] in ("Major", "Critical")),
        ({"isAcknowledged": "true"}, lambda i: i["IsAcknowledged"]),
        ({"isAcknowledged": "false"}, lambda i: not i["IsAcknowledged"]),
        ({"canBeAcknowledged": "true"}, lambda i: i["CanBeAcknowledged"]),
        ({"templateName": "pump trip"}, lambda i: i["TemplateName"] == "Pump Trip"),
        ({"templateName": "Alarm"}, lambda i: i["TemplateName"] in ("Pump Trip", "Off-Spec")),
        ({"categoryName": "Quality"}, lambda i: i["CategoryNames"] == ["Quality"]),
        ({"nameFilter": "Batch NORTH*"}, lambda i: i["Name"].startswith("Batch NORTH")),
        ({"referencedElementNameFilter": "P-0*"}, lambda i: i["TemplateName"] == "Pump Trip"),
        ({"referencedElementTemplateName": "Reactor"}, lambda i: i["TemplateName"] == "Batch"),
    ],
)
def test_filters_keep_exactly_what_they_name(parameters: Any, test: Callable[[Any], bool]) -> None:
    whole = SITE.ask(startTime="*-5d")
    expected = [each["WebId"] for each in whole if test(each)]
    assert 0 < len(expected) < len(whole)
    assert [each["WebId"] for each in SITE.ask(startTime="*-5d", **parameters)] == expected


@pytest.mark.parametrize(
    ("query", "test"),
    [
        ("InProgress:=true", lambda i: i["EndTime"] == OPEN),
        ("Template:='Pump Trip' Severity:>=Critical", lambda i: i["Severity"] == "Critical"),
        ("Template:=Batch AND AllDescendants:=false", lambda i: i["TemplateName"] == "Batch"),
        (
            "Start:>='2025-05-30T00:00:00Z' Template:=Alarm",
            lambda i: i["CanBeAcknowledged"] and i["StartTime"] > "2025-05-30",
        ),
        ("IsAcknowledged:=True", lambda i: i["IsAcknowledged"]),
        ("IsAnnotated:=True", lambda i: i["IsAnnotated"]),
        ('Template:IN("Phase";"Off-Spec")', lambda i: i["TemplateName"] in ("Phase", "Off-Spec")),
        ("Element:{Template:=Separator}", lambda i: i["TemplateName"] == "Off-Spec"),
        ("ElementName:='R-0*' Name:<>Batch*", lambda i: i["TemplateName"] == "Phase"),
    ],
)
def test_searches_select_what_they_say(
    ask: Ask, database: str, query: str, test: Callable[[Any], bool]
) -> None:
    whole = ask(startTime="2025-01-01", searchFullHierarchy="true")
    expected = sorted(each["WebId"] for each in whole if test(each))
    found = ask("/eventframes/search", databaseWebId=database, query=query)
    assert 0 < len(expected) < len(whole)
    assert sorted(each["WebId"] for each in found) == expected


def test_a_search_by_modify_date_finds_every_frame_that_changed(make_client: Any, database: str) -> None:
    plant = Plant(seed=5, tags=64, plants=2, history_start=START)
    since = NOW - timedelta(hours=3)
    states = []
    for clock in (since, NOW):
        client = make_client(plant=plant, clock=lambda clock=clock: clock)
        url = f"/assetdatabases/{database}/eventframes?startTime=2025-01-01&maxCount=100000"
        items = client.get(f"{url}&searchFullHierarchy=true")["Items"]
        states.append({item["WebId"]: item for item in items})
    changed = {web_id for web_id, item in states[1].items() if states[0].get(web_id) != item}
    found = SITE.ask(
        "/eventframes/search", databaseWebId=database, query=f"ModifyDate:>'{since.isoformat()}'"
    )
    assert {item["WebId"] for item in found} >= changed
    assert len(changed) >= 5
    assert len(found) < len(states[1]) / 2


def test_frames_of_an_element_are_those_that_refer_to_it(ask: Ask) -> None:
    whole = ask(startTime="*-2d", searchFullHierarchy="true")
    for web_id in {web_id for item in whole for web_id in item["RefElementWebIds"]}:
        expected = sorted(item["WebId"] for item in whole if web_id in item["RefElementWebIds"])
        found = ask(f"/elements/{web_id}/eventframes", startTime="*-2d")
        assert sorted(item["WebId"] for item in found) == expected


def test_acknowledgements_and_annotations_come_with_time(site: Any, ask: Ask) -> None:
    whole = ask(startTime="*-6d")
    done = [each for each in whole if each["IsAcknowledged"]]
    assert done
    for each in whole:
        assert (each["AcknowledgedBy"] != "") == each["IsAcknowledged"]
        assert (each["AcknowledgedDate"] != "1970-01-01T00:00:00Z") == each["IsAcknowledged"]
        assert each["Severity"] in SEVERITIES
        assert each["AcknowledgedDate"] <= NOW.isoformat()
    annotated = next(each for each in whole if each["IsAnnotated"])
    notes = site.get(f"/eventframes/{annotated['WebId']}/annotations")["Items"]
    assert notes
    for note in notes:
        assert site.get(f"/eventframes/{annotated['WebId']}/annotations/{note['Id']}") == note
        assert annotated["StartTime"][:19] <= note["CreationDate"] <= NOW.isoformat()
    assert site.get(f"/eventframes/{annotated['WebId']}/annotations/{annotated['Id']}", 404)["Errors"]


def test_nothing_is_known_before_it_happens(site: Any) -> None:
    frames, now = site.plant.frames, ticks.from_datetime(NOW)
    hidden = 0
    for instant in range(now - ticks.PER_DAY, now, ticks.PER_DAY // 20):
        found = frames.overlapping(frames.sources(), instant - ticks.PER_DAY // 4, instant, instant)
        for each in [member for frame in found for member in (frame, *frame.children)]:
            assert each.start <= instant
            assert each.is_open or each.end <= instant
            assert each.acknowledged is None or each.acknowledged[0] <= instant
            assert all(note.created <= instant for note in each.notes)
            assert each.modified <= instant
            later = frames.find(each.guid, "", now)
            hidden += later.acknowledged is not None and each.acknowledged is None
            hidden += len(later.notes) > len(each.notes)
    assert hidden > 5


def test_values_of_a_closed_frame_are_those_at_its_end(site: Any, ask: Ask) -> None:
    frame = next(
        each for each in ask(startTime="*-1d") if each["TemplateName"] == "Batch" and each["EndTime"] != OPEN
    )
    items = site.get(f"/streamsets/{frame['WebId']}/value")["Items"]
    values = {item["Name"]: item for item in items}
    assert list(values) == ["Batch ID", "Level", "Temperature", "Pressure"]
    assert frame["Description"].endswith(values["Batch ID"]["Value"]["Value"])
    attributes = site.get(f"/eventframes/{frame['WebId']}/attributes?associations=DataReference")["Items"]
    for attribute in attributes:
        if attribute["DataReferencePlugIn"] != "PI Point":
            continue
        point = attribute["DataReference"]["PIPoint"]["WebId"]
        expected = site.get(f"/streams/{point}/value?time={frame['EndTime']}")
        assert values[attribute["Name"]]["Value"] == expected
        assert values[attribute["Name"]]["WebId"] == attribute["WebId"]
        recorded = site.get(f"/streams/{attribute['WebId']}/recorded?maxCount=5000")
        window = f"startTime={frame['StartTime']}&endTime={frame['EndTime']}"
        assert recorded == site.get(f"/streams/{point}/recorded?maxCount=5000&{window}")
        assert len(recorded["Items"]) > 10


def test_too_long_a_range_of_too_many_points_is_refused_in_words(make_client: Any) -> None:
    api = make_client(plant=Plant(tags=20_000, plants=4))
    database = api.plant.assets.library.database.web_id()
    url = f"/assetdatabases/{database}/eventframes?startTime=2020-01-01"
    assert "shorter" in api.get(url, 400)["Errors"][0]
