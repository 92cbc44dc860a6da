"""The endpoints of the identity provider: discovery, keys and tokens."""

from urllib.parse import parse_qsl, unquote_plus

from mock_server.server.auth import read_basic
from mock_server.server.oidc import ISSUER, KEYS_PATH, TOKEN_PATH, Oidc, Refused
from mock_server.server.server import server_of
from mock_server.webapi.call import Call
from mock_server.webapi.messages import JSON, Response, json_response
from mock_server.webapi.router import no_resource, route

_DISCOVERY = "/.well-known/openid-configuration"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@route("GET", _DISCOVERY)
def discover(call: Call) -> Response:
    """The identity provider's discovery document, as PI Web API passes it on."""
    return json_response(_provider(call).discovery(call.request.origin))


@route("GET", _DISCOVERY, prefix=ISSUER)
def discover_at_the_issuer(call: Call) -> Response:
    """The same document at the issuer's address."""
    return discover(call)


@route("GET", KEYS_PATH, prefix="")
def keys(call: Call) -> Response:
    """An empty key set: the tokens are signed and verified with a secret of this server."""
    _provider(call)
    return json_response({"keys": []})


@route("POST", TOKEN_PATH, prefix="")
def token(call: Call) -> Response:
    """Issue a token to the registered client."""
    provider = _provider(call)
    form = dict(parse_qsl(call.request.body.decode(errors="replace"), keep_blank_values=True))
    basic = read_basic(call.request.headers.get("authorization", ""))
    client = (unquote_plus(basic[0]), unquote_plus(basic[1])) if basic else None
    try:
        return json_response(provider.grant(form, client, call.request.origin), headers=_NO_STORE)
    except Refused as refused:
        body = json_response({"error": refused.code}).body
        challenge = {"WWW-Authenticate": "Basic"} if refused.status == 401 else {}
        return Response(refused.status, body, JSON, {**_NO_STORE, **challenge})


def _provider(call: Call) -> Oidc:
    provider = server_of(call).oidc
    if provider is None:
        raise no_resource(call.request)
    return provider
