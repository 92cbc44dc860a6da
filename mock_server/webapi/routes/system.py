"""The home resource and system resources: product, user, and for administrators status and configuration."""

import uuid
from typing import Any

from mock_server.plant import ticks
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.router import no_resource, route
from mock_server.webapi.service import MAX_CONTENT_BYTES, PRODUCT_TITLE

_PARTS = ("OSIsoft.REST.Core", "OSIsoft.REST.Documentation", "OSIsoft.REST.Services")


@route("GET", "")
def home(call: Call) -> Response:
    """Links to the resources of this server."""
    names = {"Self": "/", "AssetServers": "/assetservers", "DataServers": "/dataservers", "System": "/system"}
    if call.server.generation.has("search/query"):
        names["Search"] = "/search"
    return call.reply({"Links": {name: call.link(path) for name, path in names.items()}})


@route("GET", "/system")
def system(call: Call) -> Response:
    """Product and version."""
    self_link = call.link("/system")
    generation = call.server.generation
    links = {
        "Self": self_link,
        "CacheInstances": f"{self_link}/cacheinstances",
        "Configuration": f"{self_link}/configuration",
        "UserInfo": f"{self_link}/userinfo",
        "Versions": f"{self_link}/versions",
        "Status": f"{self_link}/status",
    }
    title = f"{PRODUCT_TITLE} {generation.product}"
    return call.reply({"ProductTitle": title, "ProductVersion": generation.product_version, "Links": links})


@route("GET", "/system/userinfo")
def user_info(call: Call) -> Response:
    """The calling user; 204 without sign-in."""
    scheme = _scheme(call)
    if not scheme:
        return Response(204, b"", content_type="text/plain")
    name = call.server.user if scheme == "basic" else "SIM\\service"
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"user {name}").int
    numbers = "-".join(str(identity >> shift & 0x7FFFFFFF) for shift in (96, 64, 32))
    return call.reply(
        {
            "IdentityType": "WindowsIdentity" if scheme == "basic" else "ClaimsIdentity",
            "Name": name,
            "IsAuthenticated": True,
            "SID": f"S-1-5-21-{numbers}-1001",
            "ImpersonationLevel": "Impersonation" if scheme == "basic" else "None",
        }
    )


@route("GET", "/system/status")
def status(call: Call) -> Response:
    """The status of the server."""
    _check_administrator(call)
    return call.reply(
        {
            "UpTimeInMinutes": 0.0,
            "State": "Running",
            "CacheInstances": 0,
            "ServerTime": ticks.to_iso(call.now),
        }
    )


@route("GET", "/system/versions")
def versions(call: Call) -> Response:
    """The versions of its parts."""
    _check_administrator(call)
    full = call.server.generation.product_version
    release, _, build = full.rpartition(".")
    part = {"FullVersion": full, "MajorMinorRevision": release, "Build": build}
    return call.reply(dict.fromkeys(_PARTS, part))


@route("GET", "/system/cacheinstances")
def cache_instances(call: Call) -> Response:
    """The caches of AF objects in use: none."""
    _check_administrator(call)
    return call.reply({"Items": [], "Links": {}})


@route("GET", "/system/configuration")
def configuration(call: Call) -> Response:
    """All settings."""
    _check_administrator(call)
    return call.reply(_settings(call))


@route("GET", "/system/configuration/{key}")
def configuration_item(call: Call) -> Response:
    """One setting; 404 when there is none of that name."""
    _check_administrator(call)
    wanted = call.args["key"].lower()
    for key, value in _settings(call).items():
        if key.lower() == wanted:
            return call.reply(value)
    raise refusal(404, f"The configuration item '{call.args['key']}' does not exist.")


@route("GET", "/system/metrics/environment")
def metrics(call: Call) -> Response:
    """Resource usage of the process: the simulator takes no samples."""
    if not call.server.generation.has("system/metrics"):
        raise no_resource(call.request)
    _check_administrator(call)
    processor = {"PercentUsed": 0.0, "SampledAt": ticks.to_iso(call.now)}
    memory = {"WorkingSet": 0.0, "PrivateBytes": 0, "VirtualBytes": 0}
    return call.reply({"Process": {"Processor": processor, "Memory": memory}})


def _settings(call: Call) -> dict[str, Any]:
    server = call.server
    methods = [
        name for name, secret in (("Basic", server.user), ("Bearer", server.token)) if secret is not None
    ]
    return {
        "AuthenticationMethods": methods or ["Anonymous"],
        "CorsOrigins": "",
        "DebugMode": False,
        "EnableCSRFDefense": True,
        "MaxRequestContentLength": MAX_CONTENT_BYTES,
        "MaxReturnedItemsPerCall": server.max_items,
        "WebIDType": "Full",
    }


def _scheme(call: Call) -> str:
    """The caller's authentication scheme: basic, bearer, or "" without sign-in."""
    if call.server.user is None and call.server.token is None:
        return ""
    return call.request.headers.get("authorization", "").partition(" ")[0].lower()


def _check_administrator(call: Call) -> None:
    """Allow administrators: with `admin` everybody without a bearer token, else nobody."""
    if call.server.admin and _scheme(call) != "bearer":
        return
    raise refusal(
        403, "This resource is for members of the group 'PI Web API Admins', and not for bearer tokens."
    )
