"""Performance equations, as `calculation` calls and filter expressions use them.

Start with `grammar` for the syntax, then `evaluate`.
"""

from mock_server.archive.expressions.evaluate import Environment, Expression, bind
from mock_server.archive.expressions.grammar import BadExpression
from mock_server.archive.expressions.values import CalcFailed, Instant, Value

__all__ = ["BadExpression", "CalcFailed", "Environment", "Expression", "Instant", "Value", "bind"]
