"""Asset servers, their databases and units of measure."""

from mock_server.webapi.af import definitions, lookup, replies
from mock_server.webapi.af.lists import unpaged
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.router import route


@route("GET", "/assetservers")
def asset_servers(call: Call) -> Response:
    """All asset servers, or the one of that `name` or `path` as an object of its own."""
    server = call.plant.assets.library.server
    name, path = call.text("name"), call.text("path")
    if not name and not path:
        return unpaged(call, [server], replies.asset_server_json)
    if name.upper() == server.name.upper() or path.upper() == server.path.upper():
        return call.reply(replies.asset_server_json(call, server))
    raise refusal(404, f"The asset server '{name or path}' was not found.")


@route("GET", "/assetservers/{web_id}/assetdatabases")
def databases(call: Call) -> Response:
    """The databases of an asset server."""
    lookup.by_web_id(call, "assetservers", call.args["web_id"])
    return unpaged(call, [call.plant.assets.library.database], replies.database_json)


@route("GET", "/assetservers/{web_id}/unitclasses")
def unit_classes(call: Call) -> Response:
    """The unit classes of an asset server."""
    lookup.by_web_id(call, "assetservers", call.args["web_id"])
    return unpaged(call, list(call.plant.assets.library.unit_classes.values()), definitions.unit_class_json)


@route("GET", "/unitclasses/{web_id}/units")
def units(call: Call) -> Response:
    """The units of a class."""
    unit_class = lookup.by_web_id(call, "unitclasses", call.args["web_id"])
    return unpaged(call, unit_class.units, definitions.unit_json)


@route("GET", "/unitclasses/{web_id}/canonicalunit")
def canonical_unit(call: Call) -> Response:
    """The canonical unit of a class."""
    unit_class = lookup.by_web_id(call, "unitclasses", call.args["web_id"])
    return call.reply(definitions.unit_json(call, unit_class.units[0]))
