"""The pipeline uses only what classic Spark, Spark Connect and serverless compute all have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_datasource import delta

PACKAGES = (
    "delta",  # DeltaTable, which needs a plug-in of a Connect server
    "py4j",
    "pyspark.context",
    "pyspark.core",
    "pyspark.find_spark_home",
    "pyspark.rdd",
    "pyspark.sql.classic",
    "pyspark.sql.connect",  # one engine only, as well
)
NAMES = {
    "DeltaTable",
    "RDD",
    "SparkContext",
    "_jdf",
    "_jsc",
    "_jsparkSession",
    "_jvm",
    "_sc",
    "applyInArrow",
    "applyInPandas",
    "cache",
    "cacheTable",
    "clearCache",
    "createGlobalTempView",
    "createOrReplaceGlobalTempView",
    "localCheckpoint",
    "mapInArrow",
    "mapInPandas",
    "newSession",
    "pandas_udf",
    "persist",
    "rdd",
    "sparkContext",
    "udf",
    "udtf",
    "uncacheTable",
    "unpersist",
}
STATEMENT = re.compile(r"^\s*((UN)?CACHE\s+|SET\s+(?!TIME\s+ZONE)[\w.]+\s*=|RESET\s)|\bglobal_temp\.", re.I)
SOURCES = sorted(Path(delta.__file__).parent.glob("*.py"))


def unavailable(source: str) -> set[str]:
    """What ``source`` uses that one of the engines lacks or refuses."""
    return {name for node in ast.walk(ast.parse(source)) for name in _of(node)}


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from _packages(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield from _packages([node.module or ""])
        yield from NAMES & {alias.name for alias in node.names} - {"cache"}  # functools has one
    elif isinstance(node, ast.Attribute):
        yield from NAMES & {node.attr}
    elif isinstance(node, ast.Name):
        yield from NAMES & {node.id} - {"cache"}
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.search(node.value):
        yield "statement"


def _packages(imported: Iterator[str] | list[str]) -> Iterator[str]:
    for module in imported:
        yield from (name for name in PACKAGES if module == name or module.startswith(f"{name}."))


def _calls(node: ast.Call) -> Iterator[str]:
    if not isinstance(node.func, ast.Attribute):
        return
    owner, method = node.func.value, node.func.attr
    owned_by = (
        owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    )
    if owned_by == "conf" and method in ("set", "unset"):
        yield f"conf.{method}"
    flags = all(isinstance(each, ast.Constant) and isinstance(each.value, bool) for each in node.args)
    if method == "checkpoint" and flags:  # a DataFrame's: a lakehouse's has options
        yield "checkpoint"
    if method == "trigger" and any(each.arg in ("continuous", "once") for each in node.keywords):
        yield "trigger"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_pipeline_uses_only_what_every_engine_has(source: Path) -> None:
    assert unavailable(source.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        *((f"import {package}.x", package) for package in PACKAGES),
        *((f"from {package} import x", package) for package in PACKAGES),
        *((f"value.{name}", name) for name in sorted(NAMES)),
        ("from pyspark.sql.functions import udf", "udf"),
        ("from other import DeltaTable", "DeltaTable"),
        ("SparkContext()", "SparkContext"),
        ("spark.conf.set(name, value)", "conf.set"),
        ("conf.unset(name)", "conf.unset"),
        ("rows.checkpoint()", "checkpoint"),
        ("rows.checkpoint(False)", "checkpoint"),
        ("rows.checkpoint(eager=True)", "checkpoint"),
        ("writer.trigger(once=True)", "trigger"),
        ("writer.trigger(continuous='1 s')", "trigger"),
        ("spark.sql('CACHE TABLE x')", "statement"),
        ("spark.sql(f'UNCACHE TABLE {x}')", "statement"),
        ("spark.sql('SET spark.sql.x = 1')", "statement"),
        ("spark.sql('SELECT * FROM global_temp.x')", "statement"),
    ],
)
def test_what_one_engine_lacks_is_found(source: str, name: str) -> None:
    assert unavailable(source) == {name}


def test_what_every_engine_has_is_not_found() -> None:
    source = """
from functools import cache
from pyspark.sql.streaming import StreamingQuery
import pi_datasource.delta.commits
found = spark.conf.get(name)
seen.set(spark.sql("SET TIME ZONE 'UTC'"), "MERGE INTO t WHEN MATCHED THEN UPDATE SET x = 1")
lakehouse.checkpoint(options)
writer.trigger(availableNow=True)
"""
    assert unavailable(source) == set()
