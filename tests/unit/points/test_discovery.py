"""Data servers and points, found in whatever way a server lists them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.errors import (
    AccessDenied,
    InvalidOption,
    NoTagMatches,
    PIError,
    RequestRefused,
    ServerFailed,
    UnexpectedReply,
)
from pi_datasource.model import DataServer, Point
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.webapi import data_servers
from tests.unit.fakes import FakePI

UTC = timezone.utc
GOLDEN = Path(__file__).parents[2] / "golden"
A, B = DataServer("DSA", "SRVA"), DataServer("DSB", "SrvB")
DATE = "Wed, 01 May 2024 06:00:07 GMT"


def options(**given: str) -> Options:
    return Options.parse({"url": "h", **given})


def item(server: str, name: str, **other: Any) -> dict[str, Any]:
    return {"WebId": f"W_{server}_{name}", "Name": name, "Path": f"\\\\{server}\\{name}", "PointType": "Float32",
            "EngineeringUnits": "bar", **other}  # fmt: skip


def found(server: str, name: str) -> Point:
    return Point(f"W_{server}_{name}", name, "Float32", "bar", server, f"\\\\{server}\\{name}")


def listing(
    server: str, names: list[str], *, links: bool = False, most: int = 10_000
) -> Callable[[Any], Any]:
    """A paged list of points: the name filter is a prefix, or a pattern of one star at its end."""

    def answer(asked: dict[str, str]) -> Any:
        start, size = int(asked["startIndex"]), int(asked["maxCount"])
        assert asked["webIdType"] == "IDOnly"
        if size > most:
            text = f"Parameter maxCount is greater than the maximum allowed ({most})"
            return RequestRefused("GET x: HTTP 400", 400, (text,))
        wanted = [n for n in names if n.lower().startswith(asked["nameFilter"].rstrip("*").lower())]
        page = wanted[start : start + min(size, 3 if links else size)]
        reply: dict[str, Any] = {"Items": [item(server, n) for n in page]} if page else {}
        if links and start + len(page) < len(wanted):
            reply["Links"] = {"Next": "https://h/next"}
        return reply

    return answer


def plant(**lists: Callable[[Any], Any]) -> FakePI:
    server = FakePI()
    server.replies = {f"dataservers/DS{key}/points": answer for key, answer in lists.items()}
    return server


def names(server: FakePI, servers: list[DataServer], *, strict: bool = True, **given: str) -> list[str]:
    return [p.name for p in discovery.points(server, servers, options(**given), strict=strict)]  # type: ignore[arg-type]


def servers(reply: Any, **given: str) -> list[DataServer]:
    server = FakePI()
    server.replies = {"dataservers": lambda _: reply}
    return data_servers.select(server, options(**given))  # type: ignore[arg-type]


def test_the_golden_list_of_data_servers_tells_names_and_clocks() -> None:
    reply = json.loads((GOLDEN / "dataservers.json").read_text(encoding="utf-8"))
    assert servers({**reply, "Date": DATE}) == [
        DataServer(
            "F1DSW62PD8vZn0ahZXCGdyiVDgUElTUlYwMQ", "PISRV01", datetime(2024, 5, 1, 6, 0, 0, 123_456, UTC)
        ),
        DataServer("F1DSold", "OLD2016", datetime(2024, 5, 1, 6, 0, 7, 0, UTC)),
    ]


def test_the_golden_list_of_points_tells_what_reading_needs() -> None:
    reply = json.loads((GOLDEN / "points.json").read_text(encoding="utf-8"))
    server = plant(A=lambda asked: reply if asked["startIndex"] == "0" else {})
    assert discovery.points(server, [A], options()) == [  # type: ignore[arg-type]
        Point(
            "I1DPW62PD8vZn0ahZXCGdyiVDgKgAAAA",
            "FIC101.PV",
            "Float32",
            "m3/h",
            "SRVA",
            "\\\\PISRV01\\FIC101.PV",
        ),
        Point("I1DPdig", "XV7.ST", "Digital", None, "SRVA", "\\\\PISRV01\\XV7.ST"),
    ]


LISTED = {"Items": [{"WebId": "1", "Name": "One"}, {"WebId": "2", "Name": "Two"}]}


def test_data_servers_are_chosen_by_name_in_the_order_asked_for() -> None:
    assert [s.web_id for s in servers(LISTED, data_servers="two,ONE")] == ["2", "1"]
    assert [s.web_id for s in servers(LISTED)] == ["1", "2"]


def test_an_unknown_data_server_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidOption) as caught:
        servers(LISTED, data_servers="One,Three")
    assert str(caught.value) == "option 'data_servers': there is no 'Three'; there are One, Two"


@pytest.mark.parametrize("reply", [{}, {"Items": []}])
def test_a_pi_web_api_without_data_server_is_told(reply: Any) -> None:
    with pytest.raises(
        UnexpectedReply, match="knows no data server; connect PI Web API to a PI Data Archive"
    ):
        servers(reply)


def test_the_present_is_the_clock_furthest_behind() -> None:
    early, late = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, 0, 10, tzinfo=UTC)
    clocks = [DataServer("1", "a", late), DataServer("2", "b", None), DataServer("3", "c", early)]
    assert data_servers.server_now(clocks) == early


def test_connected_servers_whose_clocks_disagree_are_named_with_the_option_that_chooses_one() -> None:
    early, late = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, 0, 10, 0, 1, UTC)
    with pytest.raises(UnexpectedReply) as caught:
        data_servers.server_now([DataServer("1", "a", late), DataServer("2", "b", early)])
    assert str(caught.value) == (
        "the clocks of the data servers disagree (a says 2024-05-01T00:10:00.000001Z, b says 2024-05-01T00:00:00Z), so '*' "
        "has no meaning for all of them; set them by one time service, or read one of them: data_servers=NAME"
    )


@pytest.mark.parametrize(
    "dead_clock", ["2024-04-30T21:00:00Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]
)
def test_the_clock_of_a_server_that_is_not_connected_does_not_count(dead_clock: str) -> None:
    server = two_archives(dead_clock, [item("DEAD", "T1")])
    listed = data_servers.select(server, options())  # type: ignore[arg-type]
    assert [(each.name, each.connected) for each in listed] == [("LIVE", True), ("DEAD", False)]
    assert data_servers.server_now(listed) == datetime(2024, 5, 1, 6, tzinfo=UTC)


def test_the_clock_of_servers_of_which_none_is_connected_is_better_than_none() -> None:
    clock = datetime(2024, 5, 1, tzinfo=UTC)
    assert data_servers.server_now([DataServer("1", "a", clock, connected=False)]) == clock


@pytest.mark.parametrize("clock", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_server_time_that_cannot_be_a_clock_is_ignored_with_a_warning(
    clock: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = {"Items": [{"WebId": "1", "Name": "a", "ServerTime": clock}], "Date": DATE}
    assert data_servers.server_now(servers(reply)) == datetime(2024, 5, 1, 6, 0, 7, tzinfo=UTC)
    assert [record.getMessage() for record in caplog.records] == [
        f"the ServerTime of a is {clock}, which cannot be its clock: ignored"
    ]


def two_archives(dead_clock: str, points: Any) -> FakePI:
    """LIVE and, not connected, DEAD, whose list of points is ``points`` or an error."""
    server = FakePI()
    listed = [
        {"WebId": "L", "Name": "LIVE", "IsConnected": True, "ServerTime": "2024-05-01T06:00:00Z"},
        {"WebId": "D", "Name": "DEAD", "IsConnected": False, "ServerTime": dead_clock},
    ]
    dead = points if isinstance(points, Exception) else {"Items": points}
    server.replies = {"dataservers": lambda _: {"Items": listed}, "dataservers/D/points": lambda _: dead}
    return server


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([], "it lists no point"),
        (
            ServerFailed("GET dataservers/D/points: HTTP 502: down", 502),
            "GET dataservers/D/points: HTTP 502: down",
        ),
    ],
)
def test_a_server_that_cannot_be_read_is_named_with_the_option_that_leaves_it_out(
    points: Any, why: str
) -> None:
    server = two_archives("2024-04-30T21:00:00Z", points)
    with pytest.raises(ServerFailed) as caught:
        data_servers.select(server, options())  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"the data server DEAD is not connected, so its tags cannot be read ({why}); connect it to PI Web API, or leave it "
        "out: data_servers=LIVE"
    )
    assert caught.value.status == 503
    assert [each.name for each in data_servers.select(server, options(data_servers="live"))] == ["LIVE"]  # type: ignore[arg-type]


def test_a_server_without_any_clock_is_told() -> None:
    with pytest.raises(UnexpectedReply) as caught:
        data_servers.server_now([A])
    assert str(caught.value) == (
        "the server does not report its time (neither ServerTime nor a Date header), so '*' has no meaning"
    )


def test_all_points_of_all_data_servers_are_found() -> None:
    server = plant(A=listing("SRVA", ["T1", "T2"]), B=listing("SrvB", ["T1"]))
    assert discovery.points(server, [A, B], options()) == [  # type: ignore[arg-type]
        found("SRVA", "T1"), found("SRVA", "T2"), found("SrvB", "T1"),
    ]  # fmt: skip


@pytest.mark.parametrize("cap", [100, 1000])
@pytest.mark.parametrize("count", [0, 99, 100, 101, 999, 1000, 1001, 2500])
def test_a_list_that_the_server_caps_without_a_word_is_read_to_its_end(count: int, cap: int) -> None:
    tags = [f"T{i:04}" for i in range(count)]
    whole = listing("SRVA", tags)
    server = plant(A=lambda asked: whole({**asked, "maxCount": str(min(cap, int(asked["maxCount"])))}))
    assert names(server, [A], strict=False) == tags


def test_a_short_list_takes_one_request() -> None:
    server = plant(A=listing("SRVA", ["T1", "T2"]))
    names(server, [A])
    assert len(server.gets) == 1


NOT_POINTS: list[Any] = [
    {"Items": [{"WebId": "F1DS", "Name": "SRVA", "IsConnected": True}]},
    {"items": [item("SRVA", "T1")]},
    {"error": "quota exceeded"},
    {"Errors": ["down"]},
    {"Message": "Authorization has been denied for this request."},
]


@pytest.mark.parametrize("reply", NOT_POINTS, ids=json.dumps)
def test_an_answer_that_is_not_a_list_of_points_is_not_an_empty_list(reply: Any) -> None:
    with pytest.raises(UnexpectedReply, match=r"^GET dataservers/DSA/points: the answer is "):
        names(plant(A=lambda _: reply), [A], strict=False)


@pytest.mark.parametrize("reply", NOT_POINTS, ids=json.dumps)
def test_an_answer_that_is_not_a_list_of_points_is_not_a_name_that_does_not_exist(reply: Any) -> None:
    with pytest.raises(UnexpectedReply):
        names(plant(A=lambda _: reply), [A], strict=False, tags="T1,T2")


@pytest.mark.parametrize(
    ("tag", "names_of_another"),
    [("FIC*", ["FIC1", "TIC2"]), ("FIC?", ["FIC10"]), ("fic1", ["TIC1", "TIC2"]), ("*.PV", ["A.SP"])],
)
def test_a_list_of_other_tags_is_asked_for_again_and_then_refused(
    tag: str, names_of_another: list[str]
) -> None:
    foreign = {"Items": [item("SRVA", name) for name in names_of_another]}
    own = {"Items": [item("SRVA", "X.PV" if tag == "*.PV" else "FIC1")]}
    answers = [foreign, own]
    assert names(plant(A=lambda _: answers.pop(0)), [A], tags=tag) == [own["Items"][0]["Name"]]
    with pytest.raises(UnexpectedReply) as caught:
        names(plant(A=lambda _: foreign), [A], tags=tag, strict=False)
    assert (
        f"the answer holds {names_of_another[-1 if '*' in tag and len(names_of_another) > 1 else 0]}, which"
        in str(caught.value)
    )


@pytest.mark.parametrize("tag", ["[FT]IC*", "F\\\\*", "ÄB*", "*", "**"])
def test_what_only_the_server_can_interpret_is_not_compared(tag: str) -> None:
    answer = {"Items": [item("SRVA", "TIC1"), item("SRVA", "äb")]}
    assert names(plant(A=lambda _: answer), [A], tags=tag) == ["TIC1", "äb"]


def test_a_point_found_by_path_is_the_one_asked_for() -> None:
    with pytest.raises(UnexpectedReply, match="GET points: the answer is T2, and not"):
        names(by_path(item("SRVA", "T2")), [A], tags="\\\\SRVA\\T1")


def test_points_in_place_of_the_data_servers_are_refused() -> None:
    with pytest.raises(UnexpectedReply, match="GET dataservers: the answer is none of PI Web API's"):
        servers({"Items": [item("SRVA", "T1")]})


def test_a_point_found_by_path_has_a_type() -> None:
    with pytest.raises(UnexpectedReply, match="GET points: the answer is none of PI Web API's"):
        names(by_path({"WebId": "1", "Name": "T"}), [A], strict=False, tags="\\\\SRVA\\T")


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 15])
@pytest.mark.parametrize("links", [True, False])
def test_a_list_is_read_to_its_end_with_and_without_next_links(
    count: int, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pi_datasource.points.listing.PAGE_SIZE", 7)
    tags = [f"T{i}" for i in range(count)]
    assert names(plant(A=listing("SRVA", tags, links=links)), [A], strict=False) == tags


def test_the_next_page_begins_with_the_last_point_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pi_datasource.points.listing.PAGE_SIZE", 7)
    server = plant(A=listing("SRVA", [f"T{i}" for i in range(9)], links=True))
    names(server, [A])
    assert [(q["startIndex"], q["maxCount"]) for _, q in server.gets] == [(at, "7") for at in "0246"]


@pytest.mark.parametrize("deleted", [1, 2, 7])
def test_points_deleted_while_the_list_is_read_take_no_others_with_them(
    deleted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pi_datasource.points.listing.PAGE_SIZE", 7)
    tags = [f"T{i:02}" for i in range(30)]
    left = list(tags)
    whole = listing("SRVA", left)

    def answer(asked: dict[str, str]) -> Any:
        reply = whole(asked)
        if len(server.gets) == 2:
            del left[:deleted]
        return reply

    server = plant(A=answer)
    assert sorted(names(server, [A])) == tags


def test_a_list_in_another_order_at_each_look_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pi_datasource.points.listing.PAGE_SIZE", 7)
    tags = [f"T{i}" for i in range(20)]
    whole = listing("SRVA", tags)

    def answer(asked: dict[str, str]) -> Any:
        tags.append(tags.pop(0))
        return whole(asked)

    server = plant(A=answer)
    server.most_gets = 1000
    with pytest.raises(UnexpectedReply, match="is in another order each time it is read"):
        names(server, [A])


def test_a_page_size_that_the_server_refuses_is_halved() -> None:
    server = plant(A=listing("SRVA", [f"T{i}" for i in range(5000)], most=2000))
    assert names(server, [A]) == [f"T{i}" for i in range(5000)]
    assert [q["maxCount"] for _, q in server.gets] == ["10000", "5000", "2500"] + ["1250"] * 5


@pytest.mark.parametrize(
    "error", [AccessDenied("GET x: HTTP 403", 403), ServerFailed("GET x: HTTP 500", 500)]
)
def test_another_refusal_of_a_list_is_passed_on(error: PIError) -> None:
    with pytest.raises(type(error)):
        names(plant(A=lambda _: error), [A])


def test_an_exact_name_is_not_read_as_a_prefix_and_its_case_does_not_matter() -> None:
    server = plant(A=listing("SRVA", ["FIC1", "FIC10", "FIC100.PV"]))
    assert names(server, [A], tags="fic1") == ["FIC1"]
    assert names(server, [A], tags="fic1*") == ["FIC1", "FIC10", "FIC100.PV"]


def test_a_point_that_two_patterns_select_is_read_once() -> None:
    assert names(plant(A=listing("SRVA", ["A1", "A2", "B1"])), [A], tags="A*,A2,B1,*") == ["A1", "A2", "B1"]


def test_tags_that_select_nothing_are_named_all_at_once() -> None:
    server = plant(A=listing("SRVA", ["A1"]), B=listing("SrvB", []))
    with pytest.raises(NoTagMatches) as caught:
        names(server, [A, B], tags="A1,gone,lost*")
    assert str(caught.value) == (
        "option 'tags': nothing on SRVA, SrvB matches 'gone', 'lost*'; check the spelling, and that this account may "
        "read the tag (PI hides what it may not)"
    )


def test_many_tags_that_select_nothing_are_counted() -> None:
    with pytest.raises(NoTagMatches) as caught:
        names(plant(A=listing("SRVA", [])), [A], tags=",".join(f"X{i}" for i in range(13)))
    listed = ", ".join(f"'X{i}'" for i in range(10))
    assert f"nothing on SRVA matches {listed} and 3 more; check" in str(caught.value)


def test_a_server_without_any_tag_is_told() -> None:
    with pytest.raises(NoTagMatches) as caught:
        names(plant(A=listing("SRVA", [])), [A])
    assert str(caught.value) == "there is no tag on SRVA that this account can see"


def test_a_stream_goes_on_without_a_tag_that_has_gone() -> None:
    assert names(plant(A=listing("SRVA", ["A1"])), [A], strict=False, tags="A1,gone") == ["A1"]
    assert names(plant(A=listing("SRVA", ["A1"])), [A], strict=False, tags="A1", tag_filter="Z*") == []


def test_tag_filter_narrows_what_tags_select() -> None:
    server = plant(A=listing("SRVA", ["A1", "A2", "AB1", "B1"]))
    assert names(server, [A], tags="A*", tag_filter="AB*") == ["AB1"]
    assert names(server, [A], tag_filter="B*") == ["B1"]


def test_a_tag_filter_that_leaves_nothing_is_told() -> None:
    with pytest.raises(NoTagMatches) as caught:
        names(plant(A=listing("SRVA", ["A1"])), [A], tag_filter="Z*")
    assert str(caught.value) == "option 'tag_filter': no selected tag matches 'Z*'"


def by_path(reply: Any) -> FakePI:
    server = FakePI()
    server.replies = {"points": lambda _: reply}
    return server


def test_a_full_path_is_asked_for_directly() -> None:
    server = by_path(item("SRVA", "A,1"))
    assert discovery.points(server, [A, B], options(tags='["\\\\\\\\SRVA\\\\A,1"]')) == [found("SRVA", "A,1")]  # type: ignore[arg-type]
    assert [(path, asked["path"], asked["webIdType"]) for path, asked in server.gets] == [
        ("points", "\\\\SRVA\\A,1", "IDOnly")
    ]


def test_a_point_found_by_path_bears_the_servers_own_name() -> None:
    server = by_path(item("SRVA", "T1"))
    assert discovery.points(server, [A], options(tags="\\\\srva\\T1")) == [found("SRVA", "T1")]  # type: ignore[arg-type]


def test_a_full_path_that_does_not_exist_is_named() -> None:
    refused = RequestRefused("GET points: HTTP 404: No such point", 404, ("No such point",))
    with pytest.raises(NoTagMatches, match=r"nothing on SRVA matches '\\\\\\\\SRVA\\\\T9'; check"):
        names(by_path(refused), [A], tags="\\\\SRVA\\T9")


@pytest.mark.parametrize("strict", [True, False])
def test_a_404_that_is_not_pi_web_apis_says_nothing_of_a_path(strict: bool) -> None:
    refused = RequestRefused("GET points: HTTP 404: 'Not Found'; check that 'url' ends in /piwebapi", 404)
    with pytest.raises(RequestRefused, match="check that 'url'"):
        names(by_path(refused), [A], strict=strict, tags="\\\\SRVA\\T9")


def test_a_full_path_on_another_data_server_is_not_asked_for() -> None:
    server = by_path(item("SRVB", "T1"))
    with pytest.raises(NoTagMatches):
        names(server, [A], tags="\\\\SRVB\\T1")
    assert server.gets == []


@pytest.mark.parametrize("status", [400, 403])
def test_another_refusal_of_a_path_is_passed_on(status: int) -> None:
    with pytest.raises(RequestRefused):
        names(by_path(RequestRefused(f"GET points: HTTP {status}", status)), [A], tags="\\\\SRVA\\T1")


@pytest.mark.parametrize("reply", [[], "x", None, {"Items": 5}, {"Items": [5]}, {"Items": [{"Name": "x"}]}])
def test_a_list_of_another_shape_is_refused(reply: Any) -> None:
    told = r"^GET dataservers: the answer is none of PI Web API's \(.*\); check that 'url' is its address$"
    with pytest.raises(UnexpectedReply, match=told):
        servers(reply)


def test_a_server_that_ignores_the_start_index_is_refused_and_never_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pi_datasource.points.listing.PAGE_SIZE", 2)
    with pytest.raises(UnexpectedReply):
        names(plant(A=lambda _: {"Items": [item("SRVA", "T1"), item("SRVA", "T2")]}), [A])


@pytest.mark.parametrize(
    "reply",
    [
        {"Items": [{"WebId": "1", "Name": "a", "ServerTime": None}]},
        {"Items": [{"WebId": "1", "Name": "a"}], "Date": "soon"},
    ],
)
def test_a_server_that_tells_no_time_is_found_without_a_clock(reply: Any) -> None:
    assert servers(reply) == [DataServer("1", "a", None)]


ODD = [
    ("dataservers", {"Items": [{"WebId": "1", "Name": None}]}),
    ("dataservers", {"Items": [{"WebId": "1", "Name": "a", "ServerTime": "soon"}]}),
    ("points", {"Items": []}),
    ("points", []),
    ("dataservers/DSA/points", {"Items": [{"WebId": "1", "Name": None}]}),
    ("dataservers/DSA/points", {"Items": [{"WebId": "1", "Name": "T"}], "Links": [1]}),
    ("dataservers", None),
    ("dataservers", 5),
]


@pytest.mark.parametrize(("path", "reply"), ODD, ids=[f"{path} {json.dumps(reply)}" for path, reply in ODD])
def test_a_field_of_another_type_is_a_named_error(path: str, reply: Any) -> None:
    server = FakePI()
    server.replies = {path: lambda _: reply}
    tag = "\\\\SRVA\\T" if path == "points" else "T"
    with pytest.raises(PIError):
        _ = servers(reply) if path == "dataservers" else names(server, [A], tags=tag)


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3))
)
def test_any_list_that_is_none_is_a_named_error(reply: Any) -> None:
    with pytest.raises(PIError):
        servers({"Items": reply})
