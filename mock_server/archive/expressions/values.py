"""The values of expressions, and the operators on each kind of value."""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from mock_server.plant import ticks
from mock_server.plant.events import Block, Kind, State
from mock_server.plant.number_format import printed_numbers
from mock_server.plant.point import Point
from mock_server.plant.process import text_of
from mock_server.plant.sensors import STATES, SYSTEM_STATES


class CalcFailed(ArithmeticError):
    """The expression has no value; the server shows "Calc Failed"."""


class Instant(NamedTuple):
    """A point in time, in ticks."""

    ticks: int


Value = int | float | str | State | Instant


def values_of(block: Block) -> list[Value]:
    """The values of a block of one stream as a client reads them, with states and instants as objects."""
    point = block.points[0]
    numbers = printed_numbers(point.point_type, block.number).tolist()
    rows = zip(block.kind.tolist(), numbers, block.code.tolist(), strict=True)
    return [_value(point, *row) for row in rows]


def _value(point: Point, kind: int, number: float, code: int) -> Value:
    if kind == Kind.NUMBER:
        return int(number) if point.point_type == "Int32" else number
    if kind == Kind.STRING:
        return text_of(point, code)
    if kind == Kind.TIMESTAMP:
        return Instant(code)
    is_system = kind == Kind.SYSTEM
    name = SYSTEM_STATES.name if is_system else point.digital_set_name
    return State(STATES[name][code], code, is_system)


def number(value: Value) -> int | float:
    """The value as a number; raises for texts, times and states."""
    if isinstance(value, int | float):
        return value
    raise CalcFailed


def truth(value: Value) -> bool:
    """Whether a value counts as true: a number that is not 0."""
    return number(value) != 0


def finite(value: int | float) -> int | float:
    """The number if it is finite; raises otherwise."""
    if math.isfinite(value):
        return value
    raise CalcFailed


def add(left: Value, right: Value) -> Value:
    """Numbers add up; seconds move an instant."""
    if isinstance(left, Instant):
        return _moved(left, number(right))
    if isinstance(right, Instant):
        return _moved(right, number(left))
    return finite(number(left) + number(right))


def subtract(left: Value, right: Value) -> Value:
    """Numbers subtract; two instants differ by seconds."""
    if isinstance(left, Instant):
        if isinstance(right, Instant):
            return (left.ticks - right.ticks) / ticks.PER_SECOND
        return _moved(left, -number(right))
    return finite(number(left) - number(right))


def multiply(left: Value, right: Value) -> Value:
    """The product of two numbers."""
    return finite(number(left) * number(right))


def divide(left: Value, right: Value) -> Value:
    """The quotient of two numbers."""
    if number(right) == 0:
        raise CalcFailed
    return finite(number(left) / number(right))


def modulo(left: Value, right: Value) -> Value:
    """The remainder, with the sign of the dividend."""
    if number(right) == 0:
        raise CalcFailed
    return math.fmod(number(left), number(right))


def power(left: Value, right: Value) -> Value:
    """A number raised to another."""
    try:
        return finite(math.pow(number(left), number(right)))
    except (OverflowError, ValueError) as error:
        raise CalcFailed from error


def _moved(start: Instant, seconds: int | float) -> Instant:
    moved = start.ticks + round(seconds * ticks.PER_SECOND)
    if not ticks.FIRST <= moved <= ticks.LAST:
        raise CalcFailed
    return Instant(moved)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(symbol: str, left: Value, right: Value) -> int:
    """1 or 0; texts ignore case, a digital state compares by name with a text and by code with a number."""
    return int(_COMPARISONS[symbol](*_comparable(left, right)))


def _comparable(left: Value, right: Value) -> tuple[object, object]:
    if isinstance(left, State) or isinstance(right, State):
        if isinstance(left, State) and isinstance(right, State):
            return left.code, right.code
        if isinstance(left, str) or isinstance(right, str):
            return _name(left), _name(right)
        left, right = _code(left), _code(right)
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold(), right.casefold()
    if isinstance(left, Instant) and isinstance(right, Instant):
        return left.ticks, right.ticks
    return number(left), number(right)


def _name(value: Value) -> str:
    return (value.name if isinstance(value, State) else str(value)).casefold()


def _code(value: Value) -> Value:
    """The code of a digital state; a system state cannot be compared with a number."""
    if isinstance(value, State):
        if value.is_system:
            raise CalcFailed
        return value.code
    return value
