"""Replacing parts of the pipeline where micro-batches are written: here, or in a worker of a Spark Connect server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

PatchBatches = Callable[[Any, str, Any], AbstractContextManager[None]]
"""Replaces an attribute of a module or class as long as the context lasts; what the fixture ``patch_batches`` gives."""


@dataclass(frozen=True)
class BatchPatch:
    """A replacement of an attribute of a module or class in the worker that runs ``foreachBatch``."""

    owner: Any
    name: str
    replacement: Any

    def apply(self) -> None:
        """Replaces it for the rest of this process."""
        setattr(self.owner, self.name, self.replacement)
