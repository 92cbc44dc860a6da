"""The way in for programs: the home resource."""

from mock_server.call import Call
from mock_server.messages import Response
from mock_server.router import route


@route("GET", "")
def home(call: Call) -> Response:
    """Links to what this server has."""
    names = {"Self": "/", "AssetServers": "/assetservers", "DataServers": "/dataservers", "System": "/system"}
    if call.server.generation.has("search/query"):
        names["Search"] = "/search"
    return call.reply({"Links": {name: call.link(path) for name, path in names.items()}})
