"""The endpoints, one short function each; importing this package registers them all."""

from mock_server.routes import (
    admin,
    batch,
    dataservers,
    enumerations,
    home,
    oidc,
    points,
    streams,
    streamsets,
    updates,
)

__all__ = [
    "admin",
    "batch",
    "dataservers",
    "enumerations",
    "home",
    "oidc",
    "points",
    "streams",
    "streamsets",
    "updates",
]
