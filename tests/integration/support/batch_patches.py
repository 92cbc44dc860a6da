"""Replacing parts of the pipeline where micro-batches are written: here, or in a worker of a Spark Connect server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

PatchBatches = Callable[[ModuleType, str, Any], AbstractContextManager[None]]
"""Replaces a module's attribute as long as the context lasts; what the fixture ``patch_batches`` gives."""


@dataclass(frozen=True)
class BatchPatch:
    """A replacement of a module's attribute in the worker that runs ``foreachBatch``."""

    module: ModuleType
    name: str
    replacement: Any

    def apply(self) -> None:
        """Replaces it for the rest of this process."""
        setattr(self.module, self.name, self.replacement)
