"""The parser of performance equations.

From lowest to highest precedence: `if … then … else …`, `or`, `and`, `not`, comparisons and `in`, `+ -`, `* / mod`,
sign, `^`. Names of streams and times are in single quotes, texts in double quotes.
"""

import math
import re
from dataclasses import dataclass

_LONGEST, _DEEPEST, _TALLEST = 10_000, 40, 150
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|"(?P<text>[^"]*)"|'(?P<name>[^']+)'"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|<>|!=|\.\.|[-+*/^=<>(),]))"""
)
_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")


class BadExpression(ValueError):
    """The text is not a performance equation; the message says where and why."""


@dataclass(frozen=True)
class Literal:
    """A number or text."""

    value: int | float | str


@dataclass(frozen=True)
class Name:
    """A name in single quotes: a stream or a time."""

    text: str


@dataclass(frozen=True)
class Operation:
    """An operator or keyword with its operands: `+`, `neg`, `and`, `if`, `in`, `..`."""

    symbol: str
    operands: "tuple[Node, ...]"


@dataclass(frozen=True)
class Function:
    """A call of a function, its name in lower case."""

    name: str
    arguments: "tuple[Node, ...]"


Node = Literal | Name | Operation | Function


def parse(text: str) -> Node:
    """The syntax tree of an expression.

    Raises:
        BadExpression: when it is not valid.
    """
    parser = _Parser(_tokens(text))
    tree = parser.expression()
    if parser.kind != "end":
        msg = f"'{parser.text}' was not expected"
        raise BadExpression(msg)
    if _height(tree) > _TALLEST:
        msg = "it has too many operators in a row"
        raise BadExpression(msg)
    return tree


def _height(tree: Node) -> int:
    """The height of the tree, computed without recursion."""
    level, height = [tree], 0
    while level:
        height += 1
        level = [child for node in level for child in _children(node)]
    return height


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Operation):
        return node.operands
    return node.arguments if isinstance(node, Function) else ()


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > _LONGEST:
        msg = f"it is longer than {_LONGEST} characters"
        raise BadExpression(msg)
    tokens: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            msg = f"'{text[at : at + 20].strip()}' could not be read"
            raise BadExpression(msg)
        kind = str(match.lastgroup)
        found = match[kind]
        if kind == "word" and found.lower() in _KEYWORDS:
            kind, found = "sign", found.lower()
        tokens.append((kind, found))
        at = match.end()
    return [*tokens, ("end", "the end")]


_KEYWORDS = ("if", "then", "else", "and", "or", "not", "mod", "in")


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    @property
    def kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def text(self) -> str:
        return self._tokens[self._at][1]

    def expression(self) -> Node:
        self._descend()
        tree = self._choice() if self._taken("if") else self._left_to_right(("or",), self._conjunction)
        self._depth -= 1
        return tree

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            msg = "it is nested too deeply"
            raise BadExpression(msg)

    def _choice(self) -> Node:
        condition = self.expression()
        self._expect("then")
        chosen = self.expression()
        self._expect("else")
        return Operation("if", (condition, chosen, self.expression()))

    def _conjunction(self) -> Node:
        return self._left_to_right(("and",), self._negation)

    def _negation(self) -> Node:
        count = 0
        while self._taken("not"):
            count += 1
        tree = self._comparison()
        for _ in range(count and 2 - count % 2):  # an even number still gives a truth value
            tree = Operation("not", (tree,))
        return tree

    def _comparison(self) -> Node:
        left = self._sum()
        while self.kind == "sign" and self.text in (*_COMPARISONS, "in"):
            symbol = self._next()
            if symbol == "in":
                left = Operation("in", (left, *self._range_or_list()))
            else:
                left = Operation("<>" if symbol == "!=" else symbol, (left, self._sum()))
        return left

    def _range_or_list(self) -> tuple[Node, ...]:
        if not self._taken("("):
            return (self._range(self._sum()),)
        first = self.expression()
        if self.kind == "sign" and self.text == "..":
            inner = self._range(first)
            self._expect(")")
            return (inner,)
        return (first, *self._arguments()) if self._taken(",") else (first, *self._end())

    def _range(self, low: Node) -> Node:
        self._expect("..")
        return Operation("..", (low, self._sum()))

    def _end(self) -> tuple[Node, ...]:
        self._expect(")")
        return ()

    def _sum(self) -> Node:
        return self._left_to_right(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._left_to_right(("*", "/", "mod"), self._signed)

    def _left_to_right(self, symbols: tuple[str, ...], operand: "object") -> Node:
        assert callable(operand)
        left: Node = operand()
        while self.kind == "sign" and self.text in symbols:
            symbol = self._next()
            left = Operation(symbol, (left, operand()))
        return left

    def _signed(self) -> Node:
        negative = False
        while self.kind == "sign" and self.text in ("+", "-"):
            negative ^= self._next() == "-"
        tree = self._power()
        return Operation("neg", (tree,)) if negative else tree

    def _power(self) -> Node:
        base = self._primary()
        if not self._taken("^"):
            return base
        self._descend()
        raised = Operation("^", (base, self._signed()))
        self._depth -= 1
        return raised

    def _primary(self) -> Node:
        kind, text = self.kind, self.text
        if kind == "sign" and text == "if":
            return self.expression()
        self._at += kind != "end"
        if kind == "number":
            return Literal(_number(text))
        if kind == "text":
            return Literal(text)
        if kind == "name":
            return Name(text.strip())
        if kind == "word":
            return self._function(text)
        if kind == "sign" and text == "(":
            inner = self.expression()
            self._expect(")")
            return inner
        msg = f"'{text}' was not expected"
        raise BadExpression(msg)

    def _function(self, name: str) -> Node:
        if not self._taken("("):
            msg = f"'{name}' is neither in quotes nor a function with arguments"
            raise BadExpression(msg)
        if self._taken(")"):
            return Function(name.lower(), ())
        return Function(name.lower(), self._arguments())

    def _arguments(self) -> tuple[Node, ...]:
        arguments = [self.expression()]
        while self._taken(","):
            arguments.append(self.expression())
        self._expect(")")
        return tuple(arguments)

    def _taken(self, sign: str) -> bool:
        taken = self.kind == "sign" and self.text == sign
        self._at += taken
        return taken

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, sign: str) -> None:
        if not self._taken(sign):
            msg = f"'{sign}' was expected instead of '{self.text}'"
            raise BadExpression(msg)


def _number(text: str) -> int | float:
    if text.isdigit() and len(text) < 16:
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        msg = f"the number '{text[:20]}' is too large"
        raise BadExpression(msg)
    return value
