"""The dashboard: a page that says whether the data are there, fresh, complete and good. It only reads.

``LocalBackend`` reads a lakehouse folder, ``WarehouseBackend`` (in `warehouse`, as it needs databricks-sdk) a catalog.
"""

from pi_datasource.dashboard.app import create_app
from pi_datasource.dashboard.backend import Backend
from pi_datasource.dashboard.local import LocalBackend

__all__ = ["Backend", "LocalBackend", "create_app"]
