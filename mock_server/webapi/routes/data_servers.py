"""Data servers and the list of their points."""

from typing import Any

from mock_server.plant import ticks
from mock_server.plant.wildcards import wildcard_pattern
from mock_server.webapi.call import Call, check_data_server
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.point_attributes import POINT_SOURCE
from mock_server.webapi.point_replies import page_of_points
from mock_server.webapi.router import route
from mock_server.webapi.service import DATA_SERVER_VERSION


@route("GET", "/dataservers")
def data_servers(call: Call) -> Response:
    """All data servers, or the one of that `name` or `path` as an object of its own."""
    server = call.plant.catalog.server
    name, path = call.text("name"), call.text("path")
    if not name and not path:
        return call.items([data_server_json(call)])
    spellings = {server.path, f"\\\\PIServer[{server.name}]", f"\\\\{server.name}"}
    if name.upper() == server.name or path.upper() in {each.upper() for each in spellings}:
        return call.reply(data_server_json(call))
    raise refusal(404, f"The Data Server '{name or path}' was not found.")


@route("GET", "/dataservers/{web_id}")
def data_server(call: Call) -> Response:
    """One data server."""
    check_data_server(call.server, call.args["web_id"])
    return call.reply(data_server_json(call))


@route("GET", "/dataservers/{web_id}/points")
def points_of_server(call: Call) -> Response:
    """A page of the server's points, those whose names match `nameFilter`."""
    check_data_server(call.server, call.args["web_id"])
    catalog = call.plant.catalog
    found: Any = catalog.matching(call.text("nameFilter"))
    source = call.text("sourceFilter") if call.server.generation.has("sourceFilter") else ""
    if source and not wildcard_pattern(source).match(POINT_SOURCE):
        found = []
    return page_of_points(call, found, call.max_count())


@route("GET", "/dataservers/{web_id}/license")
def license_of_server(call: Call) -> Response:
    """The data server's licence for points."""
    check_data_server(call.server, call.args["web_id"])
    used = len(call.plant.catalog)
    total = max(used, 10_000_000)
    parent = call.link(f"/dataservers/{call.web_id(call.plant.catalog.server)}")
    module = {
        "AmountLeft": str(total - used),
        "AmountUsed": str(used),
        "Name": "pibasess.MaxAggregatePointModuleCount",
        "TotalAmount": str(total),
        "Links": {
            "Self": f"{parent}/license",
            "Parent": parent,
        },
    }
    return call.reply(module)


def data_server_json(call: Call) -> dict[str, Any]:
    """A data server as PI Web API shows it."""
    server = call.plant.catalog.server
    web_id = call.web_id(server)
    self_link = call.link(f"/dataservers/{web_id}")
    time = {"ServerTime": ticks.to_iso(call.now)} if call.server.generation.has("server time") else {}
    return {
        "WebId": web_id,
        "Id": str(server.guid),
        "Name": server.name,
        "Path": server.path,
        "IsConnected": True,
        "ServerVersion": DATA_SERVER_VERSION,
        **time,
        "Links": {
            "Self": self_link,
            "Points": f"{self_link}/points",
            "EnumerationSets": f"{self_link}/enumerationsets",
        },
    }
