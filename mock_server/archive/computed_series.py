"""The results of an expression as a stream that can be summarized like any other."""

from collections.abc import Sequence

import numpy as np

from mock_server.archive.expressions import Expression
from mock_server.archive.interpolation import Reader
from mock_server.plant import ticks
from mock_server.plant.data_archive import Archive, Window
from mock_server.plant.events import BAD, I64, Block, Kind
from mock_server.plant.point import DataServer, Point
from mock_server.plant.sensors import CALC_FAILED, Sensor

_RESULT = Sensor("RESULT", "Float64", "Result of an expression", "", (1, 1))


class Computed(Archive):
    """Results at ascending instants as an archive; there is nothing before or after them."""

    def __init__(self, rows: Block) -> None:
        self.rows = rows

    def reader(self, now: int, *, step: bool) -> Reader:
        """The results as a stream, held until the next or, without `step`, interpolated."""
        return Reader(self, self.rows.points[0], now, step)

    def read(self, points: Sequence[Point], wanted: Window) -> Block:  # noqa: ARG002 - there is only one stream
        """The results in a window."""
        low, high, now, limit, newest_first = wanted
        block = self.rows.keep((self.rows.ticks >= low) & (self.rows.ticks <= min(high, now)))
        block = block.reversed() if newest_first else block
        return block if limit is None else block.head(limit)


def series_of(expression: Expression, instants: I64, now: int, server: DataServer) -> Computed:
    """The expression's values at ascending instants up to `now`; values that are not numbers are bad."""
    instants = instants[instants <= now]
    values = expression.values(instants)
    good = np.array([isinstance(value, int | float) for value in values], dtype=np.bool_)
    numbers = [float(value) if isinstance(value, int | float) else 0.0 for value in values]
    return Computed(
        Block(
            [Point(server, -1, "", "", "", _RESULT, ticks.FIRST)],
            np.array([0, len(instants)]),
            instants,
            np.where(good, Kind.NUMBER, Kind.SYSTEM).astype(np.uint8),
            np.array(numbers, dtype=np.float64),
            np.where(good, 0, CALC_FAILED),
            np.where(good, 0, BAD).astype(np.uint8),
        )
    )
