"""Binding an expression to streams and evaluating it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np

from mock_server.archive.expressions import values
from mock_server.archive.expressions.functions import SCALAR_FUNCTIONS
from mock_server.archive.expressions.grammar import (
    BadExpression,
    Function,
    Literal,
    Name,
    Node,
    Operation,
    parse,
)
from mock_server.archive.expressions.streams import STREAM_FUNCTIONS, RowContext
from mock_server.archive.expressions.values import CalcFailed, Instant, Value
from mock_server.archive.interpolation import Reader, values_at
from mock_server.plant import pitime
from mock_server.plant.checkpoints import paced
from mock_server.plant.events import I64, Block


@dataclass(frozen=True)
class Environment:
    """The meaning of names in single quotes: `find` returns the stream of a name; other names must be PI times."""

    find: Callable[[str], Reader | None]
    zone: tzinfo
    now: int


@dataclass(frozen=True)
class Expression:
    """A bound expression; `streams` are the streams it names, by name."""

    tree: Node
    streams: dict[str, Reader]
    zone: tzinfo

    def values(self, instants: I64, own: Block | None = None) -> list[Value | None]:
        """Its value at each instant, None where it has none; `own` is the block that '.' refers to."""
        run = Run(self, instants, own)
        return [run.value_or_none(row) for row in paced(range(len(instants)))]

    def truths(self, instants: I64, own: Block | None = None) -> "np.ndarray":
        """For each instant whether the value is a number other than 0."""
        found = self.values(instants, own)
        return np.array([isinstance(value, int | float) and value != 0 for value in found], dtype=np.bool_)


def bind(text: str, environment: Environment) -> Expression:
    """Parse `text` and resolve every name and function.

    Raises:
        BadExpression: when it is not a valid expression.
    """
    tree = parse(text)
    streams: dict[str, Reader] = {}
    _check(tree, environment, streams)
    return Expression(tree, streams, environment.zone)


def _check(node: Node, environment: Environment, streams: dict[str, Reader]) -> None:
    if isinstance(node, Name):
        _check_name(node.text, environment, streams)
    elif isinstance(node, Function):
        _check_call(node, environment, streams)
    elif isinstance(node, Operation):
        for operand in node.operands:
            _check(operand, environment, streams)


def _check_name(text: str, environment: Environment, streams: dict[str, Reader]) -> None:
    found = environment.find(text)
    if found is not None:
        streams[text] = found
        return
    try:
        pitime.parse(text, environment.now, environment.zone)
    except pitime.BadTime as error:
        msg = f"'{text}' is neither a stream nor a time"
        raise BadExpression(msg) from error


def _check_call(node: Function, environment: Environment, streams: dict[str, Reader]) -> None:
    known = SCALAR_FUNCTIONS.get(node.name) or STREAM_FUNCTIONS.get(node.name)
    if known is None:
        msg = f"the function '{node.name}' is unknown"
        raise BadExpression(msg)
    if not known.least <= len(node.arguments) <= known.most:
        msg = f"the function '{node.name}' does not take {len(node.arguments)} arguments"
        raise BadExpression(msg)
    for argument in node.arguments:
        _check(argument, environment, streams)
    first = node.arguments[0] if node.arguments else None
    named = isinstance(first, Name) and first.text in streams
    if node.name in STREAM_FUNCTIONS and STREAM_FUNCTIONS[node.name].reads_stream and not named:
        msg = f"the first argument of '{node.name}' must name a stream"
        raise BadExpression(msg)


class Run(RowContext):
    """One evaluation of an expression at several instants."""

    def __init__(self, expression: Expression, instants: I64, own: Block | None) -> None:
        self._expression = expression
        self._instants = instants
        self._blocks: dict[str, Block] = {} if own is None else {".": own}
        self._values: dict[str, list[Value]] = {}

    def value_or_none(self, row: int) -> Value | None:
        """The expression's value at an instant, or None."""
        try:
            return self.value(self._expression.tree, row)
        except CalcFailed:
            return None

    def value(self, node: Node, row: int) -> Value:
        """The value of a part of the expression at an instant."""
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Name):
            return self._named(node.text, row)
        if isinstance(node, Operation):
            return _OPERATIONS[node.symbol](self, node.operands, row)
        if node.name in SCALAR_FUNCTIONS:
            return SCALAR_FUNCTIONS[node.name].compute(*(self.value(each, row) for each in node.arguments))
        return STREAM_FUNCTIONS[node.name].compute(self, node.arguments, row)

    def now(self, row: int) -> Instant:
        """The instant of a row."""
        return Instant(int(self._instants[row]))

    def time(self, text: str, base: Instant) -> Instant:
        """The instant of a PI time relative to `base`."""
        try:
            return Instant(pitime.parse(text, base.ticks, self._expression.zone))
        except pitime.BadTime as error:
            raise CalcFailed from error

    @property
    def zone(self) -> tzinfo:
        """The zone of naive times and of days."""
        return self._expression.zone

    def stream(self, node: Node) -> Reader:
        """The stream a name stands for."""
        if isinstance(node, Name) and node.text in self._expression.streams:
            return self._expression.streams[node.text]
        raise CalcFailed

    def flags(self, node: Node, row: int) -> int:
        """The quality flags of a stream at the instant."""
        assert isinstance(node, Name)
        return int(self._rows(node.text).flags[row])

    def _named(self, text: str, row: int) -> Value:
        if text not in self._expression.streams:
            return self.time(text, self.now(row))
        if text not in self._values:
            self._values[text] = values.values_of(self._rows(text))
        return self._values[text][row]

    def _rows(self, text: str) -> Block:
        if text not in self._blocks:
            self._blocks[text] = values_at(self._expression.streams[text], self._instants)
        return self._blocks[text]


_Operation = Callable[[Run, "tuple[Node, ...]", int], Value]


def _of_values(compute: Callable[[Value, Value], Value]) -> _Operation:
    return lambda run, nodes, row: compute(run.value(nodes[0], row), run.value(nodes[1], row))


def _comparison(symbol: str) -> _Operation:
    return _of_values(lambda left, right: values.compare(symbol, left, right))


def _is(run: Run, node: Node, row: int) -> bool:
    return values.truth(run.value(node, row))


def _choice(run: Run, nodes: "tuple[Node, ...]", row: int) -> Value:
    return run.value(nodes[1] if _is(run, nodes[0], row) else nodes[2], row)


def _membership(run: Run, nodes: "tuple[Node, ...]", row: int) -> Value:
    value, first = run.value(nodes[0], row), nodes[1]
    if isinstance(first, Operation) and first.symbol == "..":
        low, high = (run.value(each, row) for each in first.operands)
        return int(bool(values.compare(">=", value, low) and values.compare("<=", value, high)))
    return int(any(values.compare("=", value, run.value(each, row)) for each in nodes[1:]))


_OPERATIONS: dict[str, _Operation] = {
    "if": _choice,
    "in": _membership,
    "and": lambda run, nodes, row: int(_is(run, nodes[0], row) and _is(run, nodes[1], row)),
    "or": lambda run, nodes, row: int(_is(run, nodes[0], row) or _is(run, nodes[1], row)),
    "not": lambda run, nodes, row: int(not _is(run, nodes[0], row)),
    "neg": lambda run, nodes, row: -values.number(run.value(nodes[0], row)),
    "+": _of_values(values.add),
    "-": _of_values(values.subtract),
    "*": _of_values(values.multiply),
    "/": _of_values(values.divide),
    "mod": _of_values(values.modulo),
    "^": _of_values(values.power),
    **{symbol: _comparison(symbol) for symbol in ("=", "<>", "<", "<=", ">", ">=")},
}
