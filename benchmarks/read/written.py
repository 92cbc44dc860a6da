"""The contents of the files that a run has written, read without Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable


def sums(sink: str, folder: Path, columns: tuple[str, str, str, str], origin_us: int) -> dict[str, Any]:
    """Rows, tags, good flags, times and values of a Parquet folder or Delta table added up, and its size in bytes."""
    files = _files(sink, folder)
    table = ds.dataset([str(file) for file in files], format="parquet").to_table(list(columns))
    name, when, value, good = (table[column] for column in columns)
    micros = pc.subtract(when.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()), origin_us)
    return {
        "rows": table.num_rows,
        "tags": len(pc.unique(name)),
        "good": pc.sum(good.cast(pa.int64())).as_py() or 0,
        "micros": pc.sum(micros).as_py() or 0,
        "value": pc.sum(value.cast(pa.float64())).as_py() or 0.0,
        "bytes": sum(file.stat().st_size for file in files),
    }


def _files(sink: str, folder: Path) -> list[Path]:
    """The files that belong to the table: those of its newest version, or all that are complete."""
    if sink == "delta":
        return [Path(uri.removeprefix("file://")) for uri in DeltaTable(folder).file_uris()]
    return [path for path in folder.rglob("*.parquet") if not path.name.startswith((".", "_"))]
