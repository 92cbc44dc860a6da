"""AF objects of every kind by WebID and by path, and several of one kind."""

from typing import Any

from mock_server.webapi.af.lookup import RESOURCES, by_path, by_web_id
from mock_server.webapi.call import Call
from mock_server.webapi.json.streams import several
from mock_server.webapi.messages import Response
from mock_server.webapi.router import Endpoint, route

_SEVERAL = ("elements", "attributes", "eventframes")
SHARED = ("enumerationsets", "enumerationvalues")  # shared with the data server
_INCLUDE = ("All", "ItemsWithException", "ItemsWithoutException")


def _one(collection: str) -> Endpoint:
    """The endpoint for the object with a WebID."""
    show = RESOURCES[collection].show
    return lambda call: call.reply(show(call, by_web_id(call, collection, call.args["web_id"])))


def _at(collection: str) -> Endpoint:
    """The endpoint for the object at `path`."""
    show = RESOURCES[collection].show
    return lambda call: call.reply(show(call, by_path(call, collection, call.required("path"))))


def _several(collection: str) -> Endpoint:
    def endpoint(call: Call) -> Response:
        """Each object asked for by `webId` or `path`; 207 when one of them failed."""

        def find(kind: str, text: str) -> dict[str, Any]:
            found = (by_web_id if kind == "WebId" else by_path)(call, collection, text)
            return RESOURCES[collection].show(call, found)

        return several(call, _INCLUDE, find)

    return endpoint


for _collection in _SEVERAL:
    route("GET", f"/{_collection}/multiple")(_several(_collection))
for _collection in RESOURCES:
    if _collection in SHARED:
        continue
    route("GET", f"/{_collection}/{{web_id}}")(_one(_collection))
    if _collection != "assetservers":  # a list of its own
        route("GET", f"/{_collection}")(_at(_collection))
