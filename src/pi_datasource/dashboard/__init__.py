"""The dashboard: an ASGI app that shows the state of the tables.

It only reads, and imports neither Spark nor the PI client: of this package only ``errors``, ``schema``, ``model``,
``paths`` and ``time_strings``. Start reading at `panels`, where each panel is a few queries and a function, then
`queries` and the two back ends: `local` (a lakehouse folder) and `warehouse` (a catalog; it needs databricks-sdk).
"""

from pi_datasource.dashboard.app import create_app
from pi_datasource.dashboard.backend import Backend
from pi_datasource.dashboard.local import LocalBackend

__all__ = ["Backend", "LocalBackend", "create_app"]
