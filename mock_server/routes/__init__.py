"""The endpoints, one short function each; importing this package registers them all."""

from mock_server.routes import (
    admin,
    batch,
    calculation,
    dataservers,
    enumerations,
    home,
    oidc,
    points,
    search,
    streams,
    streamsets,
    system,
    updates,
)

__all__ = [
    "admin",
    "batch",
    "calculation",
    "dataservers",
    "enumerations",
    "home",
    "oidc",
    "points",
    "search",
    "streams",
    "streamsets",
    "system",
    "updates",
]
