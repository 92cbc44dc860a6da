"""Spark's checkpoint of a stream, as a process may have left it that was killed at any moment."""

from __future__ import annotations

from pathlib import Path

from pi_datasource.delta import audit


def clear_unplanned(checkpoint: str) -> None:
    """Afterwards Spark can begin in this folder if no micro-batch was ever planned in it; other folders stay as they are.

    Spark writes ``offsets/0`` under a name with a dot and renames it. Since 4.1.0 it refuses a folder that has such a
    file and no micro-batch (STATE_STORE_CHECKPOINT_LOCATION_NOT_EMPTY), so a process that was killed in between could
    never be followed by another one. Only for whoever has the stream's lease; a checkpoint that is no folder of this
    machine, such as one in object storage, is left alone.
    """
    if audit.last_begun(checkpoint) == -1:
        for left in Path(checkpoint, "offsets").glob(".*"):
            left.unlink()
