"""Enumeration sets and values: the data server's digital sets, and those of the asset database."""

import re
from typing import Any

from mock_server.plant import webid
from mock_server.plant.sensors import DigitalSet
from mock_server.webapi.af import lookup
from mock_server.webapi.af.replies import digital_set_path, digital_set_web_id
from mock_server.webapi.call import Call, check_data_server, guid_of
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.router import intercept, route

_ENUMERATION = re.compile(
    r"/piwebapi/(enumerationsets|enumerationvalues)(?:/([^/]+)(/enumerationvalues)?)?/?\Z", re.IGNORECASE
)


@intercept
def enumerations_of_database(call: Call) -> Response | None:
    """Answer for the enumeration sets and values of the database; those of the data server pass on."""
    match = _ENUMERATION.match(call.request.path)
    if match is None or call.request.method != "GET":
        return None
    collection, text = match[1].lower(), match[2]
    if text is None:
        path = call.text("path")
        own = call.plant.assets.library.server.path
        if not path.upper().startswith(own.upper()):
            return None
        return call.reply(lookup.RESOURCES[collection].show(call, lookup.by_path(call, collection, path)))
    if text[2:5] not in (webid.ENUMERATION_SET, webid.ENUMERATION_VALUE):
        return None
    found = lookup.by_web_id(call, collection, text)
    if match[3]:
        shown = [lookup.RESOURCES["enumerationvalues"].show(call, each) for each in found.values]
        return call.items(shown)
    return call.reply(lookup.RESOURCES[collection].show(call, found))


@route("GET", "/dataservers/{web_id}/enumerationsets")
def sets_of_server(call: Call) -> Response:
    """Every digital set."""
    check_data_server(call.server, call.args["web_id"])
    return call.items(set_json(call, each) for each in _sets(call))


@route("GET", "/enumerationsets")
def set_by_path(call: Call) -> Response:
    r"""The digital set at `path`, `\\\\SERVER\\EnumerationSets[NAME]`."""
    path = call.required("path")
    for each in _sets(call):
        if digital_set_path(call, each).upper() == path.upper():
            return call.reply(set_json(call, each))
    raise refusal(404, f"The enumeration set with path '{path}' was not found.")


@route("GET", "/enumerationvalues")
def value_by_path(call: Call) -> Response:
    """The state at `path`, which is the set's path and the state's name."""
    path = call.required("path")
    for each, code in _states(call):
        if f"{digital_set_path(call, each)}\\{each.states[code]}".upper() == path.upper():
            return call.reply(_state_json(call, each, code))
    raise refusal(404, f"The enumeration value with path '{path}' was not found.")


@route("GET", "/enumerationvalues/{web_id}")
def enumeration_value(call: Call) -> Response:
    """One state of a digital set."""
    text = call.args["web_id"]
    wanted = guid_of(text, webid.DIGITAL_STATE)
    server = call.plant.catalog.server
    for each, code in _states(call):
        path = f"{digital_set_path(call, each)}\\{each.states[code]}".removeprefix("\\\\").upper()
        if wanted in (server.state_guid(each, code), path):
            return call.reply(_state_json(call, each, code))
    raise refusal(404, f"The enumeration value with WebID '{text}' was not found.")


@route("GET", "/enumerationsets/{web_id}")
def enumeration_set(call: Call) -> Response:
    """One digital set."""
    return call.reply(set_json(call, _find(call)))


@route("GET", "/enumerationsets/{web_id}/enumerationvalues")
def values_of_set(call: Call) -> Response:
    """The states of a digital set, by code."""
    found = _find(call)
    return call.items(_state_json(call, found, code) for code in sorted(found.states))


def set_json(call: Call, digital_set: DigitalSet) -> dict[str, Any]:
    """A digital set as PI Web API shows it."""
    server = call.plant.catalog.server
    web_id = digital_set_web_id(call, digital_set)
    self_link = call.link(f"/enumerationsets/{web_id}")
    return {
        "WebId": web_id,
        "Id": str(server.set_guid(digital_set)),
        "Name": digital_set.name,
        "Description": digital_set.description,
        "Path": digital_set_path(call, digital_set),
        "Links": {
            "Self": self_link,
            "DataServer": call.link(f"/dataservers/{call.web_id(server)}"),
            "Values": f"{self_link}/enumerationvalues",
        },
    }


def _state_json(call: Call, digital_set: DigitalSet, code: int) -> dict[str, Any]:
    server = call.plant.catalog.server
    name = digital_set.states[code]
    guid = server.state_guid(digital_set, code)
    path = f"{digital_set_path(call, digital_set)}\\{name}"
    kind = webid.KINDS[call.web_id_type]
    web_id = webid.encode(kind, webid.DIGITAL_STATE, server.guid, guid, path)
    return {
        "WebId": web_id,
        "Id": str(guid),
        "Name": name,
        "Description": "",
        "Value": code,
        "Path": path,
        "Links": {
            "Self": call.link(f"/enumerationvalues/{web_id}"),
            "EnumerationSet": call.link(f"/enumerationsets/{digital_set_web_id(call, digital_set)}"),
        },
    }


def _sets(call: Call) -> list[DigitalSet]:
    return list(call.plant.catalog.digital_sets.values())


def _states(call: Call) -> list[tuple[DigitalSet, int]]:
    return [(each, code) for each in _sets(call) for code in sorted(each.states)]


def _find(call: Call) -> DigitalSet:
    text = call.args["web_id"]
    wanted = guid_of(text, webid.DIGITAL_SET)
    server = call.plant.catalog.server
    for each in _sets(call):
        if wanted in (server.set_guid(each), digital_set_path(call, each).removeprefix("\\\\").upper()):
            return each
    raise refusal(404, f"The enumeration set with WebID '{text}' was not found.")
