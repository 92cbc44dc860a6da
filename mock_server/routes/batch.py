"""The batch endpoint."""

from mock_server import batch
from mock_server.call import Call
from mock_server.messages import Response
from mock_server.router import route


@route("POST", "/batch")
def execute(call: Call) -> Response:
    """Several requests in one, which may feed each other."""
    return batch.run(call.server, call.request, call.now)
