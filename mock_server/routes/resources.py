"""Every kind of AF object by WebID and by path, and several of a kind at once."""

from typing import Any

from mock_server.af.lookup import RESOURCES, by_path, by_web_id
from mock_server.call import Call
from mock_server.messages import ApiError, Response, refusal
from mock_server.router import Endpoint, route

_SEVERAL = ("elements", "attributes", "eventframes")
SHARED = ("enumerationsets", "enumerationvalues")  # the data server has such objects at the same address
_INCLUDE = ("All", "ItemsWithException", "ItemsWithoutException")


def _one(collection: str) -> Endpoint:
    def one(call: Call) -> Response:
        """The object with that WebID."""
        found = by_web_id(call, collection, call.args["web_id"])
        return call.reply(RESOURCES[collection].show(call, found))

    return one


def _at(collection: str) -> Endpoint:
    def at(call: Call) -> Response:
        """The object at `path`."""
        found = by_path(call, collection, call.required("path"))
        return call.reply(RESOURCES[collection].show(call, found))

    return at


def _several(collection: str) -> Endpoint:
    def several(call: Call) -> Response:
        """Each object asked for by `webId` or `path`; 207 when one of them failed."""
        asked = [("WebId", text) for text in call.texts("webId")]
        asked += [("Path", text) for text in call.texts("path")]
        if not asked:
            raise refusal(400, "Parameter 'webId' or 'path' is required.")
        include = call.choice("includeMode", "All", _INCLUDE)
        items = [_tried(call, collection, *each) for each in asked]
        failed = any("Exception" in item for item in items)
        if include != "All":
            items = [item for item in items if ("Exception" in item) is (include == "ItemsWithException")]
        return call.reply({"Links": {}, "Items": items}, 207 if failed else 200)

    return several


def _tried(call: Call, collection: str, identifier_type: str, text: str) -> dict[str, Any]:
    item: dict[str, Any] = {"Identifier": text, "IdentifierType": identifier_type}
    try:
        found = (by_web_id if identifier_type == "WebId" else by_path)(call, collection, text)
        item["Object"] = RESOURCES[collection].show(call, found)
    except ApiError as error:
        item["Exception"] = {"Errors": error.errors}
    return item


def register() -> None:
    """Register the addresses of all kinds; lists and searches have to be there before."""
    for collection in _SEVERAL:
        route("GET", f"/{collection}/multiple")(_several(collection))
    for collection in RESOURCES:
        if collection in SHARED:
            continue
        route("GET", f"/{collection}/{{web_id}}")(_one(collection))
        if collection != "assetservers":  # a list of its own
            route("GET", f"/{collection}")(_at(collection))


register()
