"""The enumeration sets and values of the asset database, at the address they share with the data server's."""

import re

from mock_server import webid
from mock_server.af import lookup
from mock_server.call import Call
from mock_server.messages import Response
from mock_server.router import claim

_ENUMERATION = re.compile(
    r"/piwebapi/(enumerationsets|enumerationvalues)(?:/([^/]+)(/enumerationvalues)?)?/?\Z", re.IGNORECASE
)


@claim
def enumerations_of_database(call: Call) -> Response | None:
    """Answer for the enumeration sets and values of the database; the data server's go on."""
    match = _ENUMERATION.match(call.request.path)
    if match is None or call.request.method != "GET":
        return None
    collection, text = match[1].lower(), match[2]
    if text is None:
        path = call.text("path")
        own = call.server.plant.assets.library.server.path
        if not path.upper().startswith(own.upper()):
            return None
        return call.reply(lookup.RESOURCES[collection].show(call, lookup.by_path(call, collection, path)))
    if text[2:5] not in (webid.ENUMERATION_SET, webid.ENUMERATION_VALUE):
        return None
    found = lookup.by_web_id(call, collection, text)
    if match[3]:
        shown = [lookup.RESOURCES["enumerationvalues"].show(call, each) for each in found.values]
        return call.reply({"Links": {}, "Items": shown})
    return call.reply(lookup.RESOURCES[collection].show(call, found))
