"""`filterExpression`: which rows of a stream a call keeps, and what replaces the others."""

from dataclasses import dataclass

import numpy as np

from mock_server.archive.expressions import BadExpression, Environment, Expression, bind
from mock_server.archive.interpolation import Reader, reader
from mock_server.plant.events import Block
from mock_server.plant.point import Point
from mock_server.plant.sensors import FILTERED
from mock_server.webapi.call import Call
from mock_server.webapi.messages import refusal


@dataclass(frozen=True)
class Filter:
    """A condition on the rows of one stream; with `show` other rows become the state "Filtered" instead of being removed."""

    expression: Expression
    show: bool

    def keep(self, rows: Block) -> "np.ndarray":
        """For each row whether the condition holds."""
        return self.expression.truths(rows.ticks, rows)

    def applied(self, rows: Block) -> Block:
        """The remaining rows."""
        held = self.keep(rows)
        if not self.show:
            return rows.keep(held)
        return rows.with_state(FILTERED, ~held)


def filter_of(call: Call, point: Point) -> Filter | None:
    """The filter of the call for a stream, which '.' refers to; 400 when the expression is not valid."""
    text = call.text("filterExpression")
    show = call.flag("includeFilteredValues")
    if not text:
        return None
    own = reader(call.archive, point, call.now)

    def find(name: str) -> Reader | None:
        return own if name == "." else call.reader_of(name)

    return Filter(bound("filterExpression", text, Environment(find, call.zone, call.now)), show)


def bound(parameter: str, text: str, environment: Environment) -> Expression:
    """The expression of a parameter; 400, with the reason, when it is not valid."""
    try:
        return bind(text, environment)
    except BadExpression as error:
        raise refusal(
            400, f"The expression '{text[:200]}' of parameter '{parameter}' is not valid: {error}."
        ) from error
