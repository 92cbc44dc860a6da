"""Functions of performance equations that depend on their arguments alone."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mock_server.archive.expressions.values import CalcFailed, Value, compare, finite, number
from mock_server.plant.events import State

_ANY = 100


class ScalarFunction(NamedTuple):
    """A function of values, with its least and greatest number of arguments."""

    least: int
    most: int
    compute: Callable[..., Value]


def _math(compute: Callable[..., int | float], count: int = 1) -> ScalarFunction:
    def computed(*values: Value) -> Value:
        try:
            return finite(compute(*(number(value) for value in values)))
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            raise CalcFailed from error

    return ScalarFunction(count, count, computed)


def _over_numbers(compute: Callable[[Sequence[int | float]], int | float], least: int = 1) -> ScalarFunction:
    """An aggregate of the numeric arguments; states and texts are skipped."""

    def computed(*values: Value) -> Value:
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) < least:
            raise CalcFailed
        return finite(compute(numbers))

    return ScalarFunction(1, _ANY, computed)


def text(value: Value) -> str:
    """The value as a text."""
    if isinstance(value, State):
        return value.name
    if isinstance(value, str | int | float):
        return str(value)
    raise CalcFailed


def _text(compute: Callable[..., Value], least: int, most: int | None = None) -> ScalarFunction:
    """A function whose first argument is a text and whose others are whole numbers."""

    def computed(*values: Value) -> Value:
        return compute(text(values[0]), *(int(number(value)) for value in values[1:]))

    return ScalarFunction(least, most or least, computed)


def _round(value: int | float, unit: int | float = 1) -> int | float:
    if unit == 0:
        raise ValueError(unit)
    steps = value / unit
    whole = math.floor(abs(steps) + 0.5) * (1 if steps >= 0 else -1)
    return whole * unit


def _polynomial(x: int | float, *coefficients: int | float) -> int | float:
    total: int | float = 0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def _in_text(*values: Value) -> Value:
    where, what = text(values[0]), text(values[1])
    return where.casefold().find(what.casefold()) + 1


def _left(value: str, count: int) -> str:
    return value[: max(count, 0)]


def _right(value: str, count: int) -> str:
    return value[len(value) - min(max(count, 0), len(value)) :]


def _middle(value: str, start: int, count: int) -> str:
    if start < 1 or count < 0:
        raise CalcFailed
    return value[start - 1 : start - 1 + count]


def _state_number(value: Value) -> Value:
    if isinstance(value, State):
        return value.code
    raise CalcFailed


def _float(value: Value) -> float:
    try:
        return float(finite(float(value if isinstance(value, str) else number(value))))
    except ValueError as error:
        raise CalcFailed from error


SCALAR_FUNCTIONS: dict[str, ScalarFunction] = {
    "abs": _math(abs),
    "acos": _math(math.acos),
    "asin": _math(math.asin),
    "atn": _math(math.atan),
    "atn2": _math(math.atan2, 2),
    "ceiling": _math(math.ceil),
    "cos": _math(math.cos),
    "cosh": _math(math.cosh),
    "exp": _math(math.exp),
    "floor": _math(math.floor),
    "frac": _math(lambda x: math.modf(x)[0]),
    "int": _math(math.trunc),
    "log": _math(math.log),
    "log10": _math(math.log10),
    "logbase": _math(lambda x, base: math.log(x) / math.log(base), 2),
    "mod": _math(math.fmod, 2),
    "poly": _math(_polynomial, 2)._replace(most=_ANY),
    "pow": _math(math.pow, 2),
    "round": _math(_round)._replace(most=2),
    "sgn": _math(lambda x: (x > 0) - (x < 0)),
    "sin": _math(math.sin),
    "sinh": _math(math.sinh),
    "sqr": _math(math.sqrt),
    "sqrt": _math(math.sqrt),
    "tan": _math(math.tan),
    "tanh": _math(math.tanh),
    "trunc": _math(math.trunc),
    "avg": _over_numbers(lambda numbers: math.fsum(numbers) / len(numbers)),
    "max": _over_numbers(max),
    "median": _over_numbers(statistics.median),
    "min": _over_numbers(min),
    "pstdev": _over_numbers(statistics.pstdev),
    "range": _over_numbers(lambda numbers: max(numbers) - min(numbers)),
    "sstdev": _over_numbers(statistics.stdev, 2),
    "total": _over_numbers(sum),
    "compare": ScalarFunction(2, 2, lambda left, right: compare("=", text(left), text(right))),
    "concat": ScalarFunction(1, _ANY, lambda *values: "".join(text(value) for value in values)),
    "instr": ScalarFunction(2, 2, _in_text),
    "lcase": _text(str.lower, 1),
    "left": _text(_left, 2),
    "len": _text(len, 1),
    "ltrim": _text(str.lstrip, 1),
    "mid": _text(_middle, 3),
    "right": _text(_right, 2),
    "rtrim": _text(str.rstrip, 1),
    "string": ScalarFunction(1, 1, text),
    "text": ScalarFunction(1, _ANY, lambda *values: "".join(text(value) for value in values)),
    "trim": _text(str.strip, 1),
    "ucase": _text(str.upper, 1),
    "digtext": ScalarFunction(1, 1, text),
    "stateno": ScalarFunction(1, 1, _state_number),
    "float": ScalarFunction(1, 1, _float),
}
