"""Stacked bars as SVG, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_COLOURS = ("#4269d0", "#ff725c", "#efb118", "#9498a0")  # told apart by colour-blind readers as well
_WIDTH, _LABELS, _ROW, _TOP, _RIGHT = 960, 230, 24, 64, 210


class Bar(NamedTuple):
    """One bar: its name, the lengths of its parts, and the words at its end."""

    name: str
    parts: Sequence[float]
    note: str


def bars(title: str, legend: Sequence[str], rows: Sequence[Bar]) -> str:
    """A picture of horizontal bars on one scale, each part in its colour."""
    longest = max((sum(row.parts) for row in rows), default=0.0) or 1.0
    scale = (_WIDTH - _LABELS - _RIGHT) / longest
    height = _TOP + _ROW * len(rows) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        _text(12, 22, title, size=15),
    ]
    for place, (name, colour) in enumerate(zip(legend, _COLOURS, strict=True)):
        x = 12 + place * 170
        lines += [_rect(x, 36, 11, 11, colour), _text(x + 17, 46, name)]
    for number, row in enumerate(rows):
        lines += _bar(row, _TOP + number * _ROW, scale)
    return "\n".join([*lines, "</svg>\n"])


def _bar(row: Bar, top: float, scale: float) -> list[str]:
    lines = [_text(_LABELS - 8, top + 15, row.name, anchor="end")]
    x = float(_LABELS)
    for part, colour in zip(row.parts, _COLOURS, strict=True):
        lines.append(_rect(x, top + 3, part * scale, _ROW - 7, colour))
        x += part * scale
    return [*lines, _text(x + 6, top + 15, row.note)]


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222">{escape(text)}</text>'
