"""CSV and Parquet exports, read into columns; errors name row and column."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from mock_server.plant.events import ANNOTATED, BAD, I64, QUESTIONABLE, SUBSTITUTED
from mock_server.plant.wildcards import folded

_COLUMNS = ("tag", "timestamp", "value", "quality")
_REQUIRED = _COLUMNS[:3]
_ZONED = r"(?:[Zz]|[+-]\d{2}:?\d{2})\s*$"
_NUMBER = r"^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$"
_QUALITIES = {
    **dict.fromkeys(("", "good", "true", "1", "192"), 0),
    **dict.fromkeys(("bad", "false", "0"), BAD),
    **dict.fromkeys(("questionable", "uncertain", "64"), QUESTIONABLE),
    "substituted": SUBSTITUTED,
    "annotated": ANNOTATED,
}


class BadData(ValueError):
    """The file cannot be served; the message says where and why."""


@dataclass(frozen=True)
class Export:
    """The rows of a file in file order; `is_number` tells whether `number` or `text` holds the value.

    A row without a value has neither: its text is "".
    """

    tags: list[str]
    tag: I64
    ticks: I64
    is_number: NDArray[np.bool_]
    number: NDArray[np.float64]
    text: pa.Array
    flags: NDArray[np.uint8]


def read(path: Path) -> Export:
    """Read a CSV file with a header, or a Parquet file: tag, timestamp, value and, optionally, quality.

    A timestamp is ISO 8601 with up to seven fraction digits, in UTC unless it has an offset. Quality is good, bad,
    questionable, substituted or annotated.

    Raises:
        BadData: when the file cannot be read or contains an invalid value.
    """
    table = _table(path)
    columns = {key: _text(table[key].combine_chunks()) for key in table.column_names if key != "timestamp"}
    tags, tag = _tags(path, columns["tag"])
    numeric = pc.match_substring_regex(columns["value"], _NUMBER).to_numpy(zero_copy_only=False)
    return Export(
        tags=tags,
        tag=tag,
        ticks=_ticks(path, table["timestamp"].combine_chunks()),
        is_number=numeric,
        number=_numbers(path, columns["value"], numeric),
        text=columns["value"],
        flags=_flags(path, columns["quality"])
        if "quality" in columns
        else np.zeros(len(tag), dtype=np.uint8),
    )


def _table(path: Path) -> pa.Table:
    try:
        is_parquet = path.suffix.lower() in (".parquet", ".pq")
        table = pyarrow.parquet.read_table(path) if is_parquet else _csv(path)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error})"
        raise BadData(msg) from error
    except pa.ArrowInvalid as error:
        msg = f"{path}: is no CSV or Parquet file ({error})"
        raise BadData(msg) from error
    names = [name.strip().lower() for name in table.column_names]
    for name in _REQUIRED:
        if names.count(name) != 1:
            msg = f"{path}: needs one column '{name}'; it has {', '.join(table.column_names) or 'none'}"
            raise BadData(msg)
    if unknown := [name for name in names if name not in _COLUMNS]:
        msg = f"{path}: unknown column '{unknown[0]}'; columns are {', '.join(_COLUMNS)}"
        raise BadData(msg)
    if not table.num_rows:
        msg = f"{path}: holds no rows"
        raise BadData(msg)
    return table.rename_columns(names)


def _csv(path: Path) -> pa.Table:
    """Read every column as text: the type of a tag depends on all of its values."""
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    names = [name.strip().strip('"') for name in header.rstrip("\r\n").split(",")]
    return pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _text(column: pa.Array) -> pa.Array:
    """The column as text, "" where it is null."""
    return pc.fill_null(column.cast(pa.string()), "")


def _tags(path: Path, column: pa.Array) -> tuple[list[str], I64]:
    """The distinct names in order of appearance, and for each row the index of its name."""
    if (row := pc.index(column, "").as_py()) >= 0:
        raise _bad(path, row, "tag", "", "is empty")
    encoded = column.dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()
    seen: dict[str, str] = {}
    for name in names:
        if (first := seen.setdefault(folded(name), name)) != name:
            msg = f"{path}: tags '{first}' and '{name}' differ only in case, which PI does not tell apart"
            raise BadData(msg)
    return names, encoded.indices.to_numpy().astype(np.int64)


def _ticks(path: Path, column: pa.Array) -> I64:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns", column.type.tz))
    else:
        text = _text(column)
        naive = pc.invert(pc.match_substring_regex(text, _ZONED))
        zoned = pc.if_else(naive, pc.binary_join_element_wise(text, "Z", ""), text)
        target = pa.timestamp("ns", "UTC")
        row = _first_failure(zoned, lambda part: part.cast(target))
        if row is not None:
            raise _bad(
                path, row, "timestamp", text[row].as_py(), "is no ISO 8601 time of the years 1678 to 2262"
            )
        column = zoned.cast(target)
    if column.null_count:
        raise _bad(path, pc.index(column.is_null(), True).as_py(), "timestamp", "", "is empty")
    nanos = column.cast(pa.int64()).to_numpy()
    uneven = np.flatnonzero(nanos % 100)
    if len(uneven):
        raise _bad(
            path,
            int(uneven[0]),
            "timestamp",
            column[int(uneven[0])].as_py(),
            "has more than 7 fraction digits",
        )
    ticks: I64 = nanos // 100
    return ticks


def _first_failure(column: pa.Array, convert: Callable[[pa.Array], object]) -> int | None:
    """The first row that `convert` rejects, found by bisection."""

    def fails(part: pa.Array) -> bool:
        try:
            convert(part)
        except pa.ArrowInvalid:
            return True
        return False

    if not fails(column):
        return None
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(column.slice(low, middle - low)) else (middle, high)
    return low


def _numbers(path: Path, column: pa.Array, numeric: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The values that are numbers, 0 elsewhere."""
    trimmed = pc.utf8_trim_whitespace(column)
    plain = pc.utf8_ltrim(trimmed, characters="+")
    number = pc.if_else(pa.array(numeric), plain, "0").cast(pa.float64()).to_numpy()
    endless = np.flatnonzero(~np.isfinite(number))
    if len(endless):
        row = int(endless[0])
        raise _bad(path, row, "value", column[row].as_py(), "is larger than a 64-bit number can be")
    return np.array(number)


def _flags(path: Path, column: pa.Array) -> NDArray[np.uint8]:
    encoded = pc.utf8_lower(pc.utf8_trim_whitespace(column)).dictionary_encode()
    codes = encoded.indices.to_numpy()
    table = np.zeros(len(encoded.dictionary), dtype=np.uint8)
    for place, name in enumerate(encoded.dictionary.to_pylist()):
        if name not in _QUALITIES:
            row = int(np.argmax(codes == place))
            raise _bad(
                path,
                row,
                "quality",
                column[row].as_py(),
                "is none of good, bad, questionable, substituted, annotated",
            )
        table[place] = _QUALITIES[name]
    flags: NDArray[np.uint8] = table[codes]
    return flags


def _bad(path: Path, row: int, column: str, value: object, reason: str) -> BadData:
    return BadData(f"{path}: row {row + 1} after the header, column '{column}': '{value}' {reason}")
