"""`POST /batch`: the contract of the reference, every success and failure shape."""

import json
from typing import Any

import pytest

from mock_server.webapi.messages import Response


def member(resource: str, **more: Any) -> dict[str, Any]:
    return {"Method": "GET", "Resource": f"https://pi.example.org:8443/piwebapi{resource}", **more}


def chain(name_filter: str) -> dict[str, Any]:
    """The three-step example of the reference."""
    return {
        "srv": member("/dataservers?name=PISIM01&selectedFields=WebId%3BLinks"),
        "pts": {
            "Method": "GET",
            "Resource": f"{{0}}?nameFilter={name_filter}&selectedFields=Items.WebId%3BItems.Links.RecordedData",
            "Parameters": ["$.srv.Content.Links.Points"],
            "ParentIds": ["srv"],
        },
        "data": {
            "Method": "GET",
            "RequestTemplate": {"Resource": "{0}?startTime=*-1h&maxCount=10"},
            "Parameters": ["$.pts.Content.Items[*].Links.RecordedData"],
            "ParentIds": ["pts"],
        },
    }


def test_the_chain_of_the_reference_runs(api: Any) -> None:
    answer = api.batch(chain("*FLOW*"))
    assert [*answer] == ["srv", "pts", "data"]
    assert [each["Status"] for each in answer.values()] == [200, 200, 207]
    found = answer["pts"]["Content"]["Items"]
    data = answer["data"]["Content"]
    assert [*data] == ["Total", "Items"]
    assert data["Total"] == len(data["Items"]) == len(found) > 2
    for item, point in zip(data["Items"], found, strict=True):
        assert [*item] == ["Status", "Headers", "Content"]
        direct = api.get(f"/streams/{point['WebId']}/recorded?startTime=*-1h&maxCount=10")
        assert (item["Status"], item["Content"]) == (200, direct)


def test_members_carry_status_headers_and_content(api: Any) -> None:
    answer = api.batch({"1": member("/system"), 'strange id "é"': member("/system")})
    assert [*answer] == ["1", 'strange id "é"']
    assert answer["1"] == {
        "Status": 200,
        "Headers": {"Content-Type": "application/json; charset=utf-8"},
        "Content": api.get("/system"),
    }


def test_children_run_after_their_parents_in_any_order_of_the_body(api: Any) -> None:
    members = chain("NORTH.A1.FLOW_0001.PV")
    answer = api.batch({name: members[name] for name in ("data", "pts", "srv")})
    assert [*answer] == ["data", "pts", "srv"]
    assert answer["data"]["Content"]["Total"] == 1


def test_an_empty_parent_list_selects_no_tokens(api: Any) -> None:
    answer = api.batch(chain("NOTHING*"))
    assert answer["pts"] == {"Status": 200, "Headers": answer["pts"]["Headers"], "Content": {"Items": []}}
    assert answer["data"] == {
        "Status": 400,
        "Headers": {},
        "Content": "Some JSON paths did not select any tokens: $.pts.Content.Items[*].Links.RecordedData.",
    }


def test_children_of_a_failed_parent_do_not_run(api: Any) -> None:
    answer = api.batch(
        {
            "bad": member("/streams/nonsense/value"),
            "child": member("/system", ParentIds=["bad"]),
            "grandchild": member("/system", ParentIds=["child"]),
        }
    )
    assert answer["bad"]["Status"] == 400
    assert [*answer["bad"]["Content"]] == ["Errors"]
    text = "The following ParentIds did not complete successfully: {}."
    assert answer["child"] == {"Status": 409, "Headers": {}, "Content": text.format("bad")}
    assert answer["grandchild"] == {"Status": 409, "Headers": {}, "Content": text.format("child")}


def test_wrong_addresses_are_members_that_fail_alone(api: Any) -> None:
    answer = api.batch(
        {
            "unknown": member("/streams/x/calculated"),
            "elsewhere": {"Method": "GET", "Resource": "http://h/other/system"},
            "admin": {"Method": "POST", "Resource": "http://h/admin/points"},
            "relative": {"Method": "GET", "Resource": "/piwebapi/system"},
            "method": {**member("/system"), "Method": "DELETE"},
            "nested": {**member("/batch"), "Method": "POST", "Content": "{}"},
            "hole": member("/points?path={0}"),
            "good": member("/system"),
        }
    )
    assert {name: each["Status"] for name, each in answer.items()} == {
        "unknown": 404,
        "elsewhere": 404,
        "admin": 404,
        "relative": 400,
        "method": 405,
        "nested": 400,
        "hole": 400,
        "good": 200,
    }
    message = answer["unknown"]["Content"]["Message"]
    assert message.startswith("No HTTP resource was found that matches the request URI 'http")


def test_template_items_fail_one_by_one(api: Any) -> None:
    members = {
        "pts": member(f"/dataservers/{api.data_server}/points?maxCount=2"),
        "data": {
            "Method": "GET",
            "RequestTemplate": {"Resource": "http://h/piwebapi/streams/{0}/{1}"},
            "Parameters": ["$.pts.Content.Items[*].WebId", "$.pts.Content.Items[*].Name"],
            "ParentIds": ["pts"],
        },
    }
    answer = api.batch(members)["data"]
    assert answer["Status"] == 207
    assert [item["Status"] for item in answer["Content"]["Items"]] == [404, 404]
    assert "Message" in answer["Content"]["Items"][0]["Content"]


def test_parameters_must_select_as_many_tokens_as_they_fill(api: Any) -> None:
    points = member(f"/dataservers/{api.data_server}/points?maxCount=3")
    first = {"Method": "GET", "Resource": "{0}", "ParentIds": ["pts"]}
    answer = api.batch(
        {
            "pts": points,
            "one": {**first, "Parameters": ["$.pts.Content.Items[0].Links.Value"]},
            "last": {**first, "Parameters": ["$['pts']['Content'].Items[-1].Links.Value"]},
            "several": {**first, "Parameters": ["$.pts.Content.Items[*].Links.Value"]},
            "uneven": {
                "Method": "GET",
                "RequestTemplate": {"Resource": "{0}{1}"},
                "Parameters": ["$.pts.Content.Items[*].WebId", "$.pts.Content.Items[0].WebId"],
                "ParentIds": ["pts"],
            },
            "syntax": {**first, "Parameters": ["$.pts.[", "x"]},
            "unlisted": {
                "Method": "GET",
                "Resource": "{0}",
                "Parameters": ["$.pts.Content.Items[0].Links.Value"],
            },
        }
    )
    assert {name: each["Status"] for name, each in answer.items()} == {
        "pts": 200,
        "one": 200,
        "last": 200,
        "several": 400,
        "uneven": 400,
        "syntax": 400,
        "unlisted": 400,
    }
    assert all(
        isinstance(answer[name]["Content"], str) for name in ("several", "uneven", "syntax", "unlisted")
    )


def test_a_resource_can_be_a_json_path(api: Any) -> None:
    answer = api.batch(
        {
            "home": member("/"),
            "next": {"Method": "GET", "Resource": "$.home.Content.Links.System", "ParentIds": ["home"]},
        }
    )
    assert answer["next"]["Content"] == api.get("/system")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"Requests":[{"Method":"GET","Resource":"http://h/piwebapi/system"}]}',
        b'{"1":null}',
        b'{"1":{}}',
        b'{"1":{"Method":"GET"}}',
        b'{"1":{"Method":"HEAD","Resource":"http://h/piwebapi/system"}}',
        b'{"1":{"Method":"GET","Resource":7}}',
        b'{"1":{"Method":"GET","Resource":"http://h","RequestTemplate":{"Resource":"http://h"}}}',
        b'{"1":{"Method":"GET","Resource":"http://h","ParentIds":"2"}}',
        b'{"1":{"Method":"GET","Resource":"http://h","Parameters":[1]}}',
        b'{"1":{"Method":"GET","Resource":"http://h","Content":{}}}',
        b'{"1":{"Method":"GET","Resource":"http://h","Headers":[]}}',
        b'{"1":{"Method":"GET","Resource":"http://h","ParentIds":["2"]}}',
        b'{"1":{"Method":"GET","Resource":"http://h","ParentIds":["1"]}}',
        b'{"1":{"Method":"GET","Resource":"http://h","ParentIds":["2"]},'
        b'"2":{"Method":"GET","Resource":"http://h","ParentIds":["1"]}}',
    ],
)
def test_a_body_that_is_no_batch_fails_as_a_whole(api: Any, body: bytes) -> None:
    assert api.batch(body, 400).keys() <= {"Errors", "Message"}


def test_an_empty_batch_has_an_empty_answer(api: Any) -> None:
    assert api.batch({}) == {}


def test_posts_need_the_header_against_forgery(api: Any) -> None:
    response: Response = api.ask("POST", "/piwebapi/batch", b"{}")
    assert response.status == 400
    assert "X-Requested-With" in json.loads(response.body)["Errors"][0]


def test_bodies_over_four_megabytes_are_refused(api: Any) -> None:
    padding = b" " * (4_194_304 - 2)
    assert api.batch(b"{}" + padding) == {}
    assert api.batch(b"{}" + padding + b" ", 413)["Errors"]


def test_member_errors_of_limits_are_those_of_the_call(api: Any) -> None:
    answer = api.batch({"1": member(f"/streams/{api.point('FLOW').id}/recorded?maxCount=150001")})
    assert answer["1"]["Status"] == 400
    assert "greater than the maximum allowed" in answer["1"]["Content"]["Errors"][0]
