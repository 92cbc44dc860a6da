"""Reads the tables in a Databricks catalog through a SQL warehouse, with databricks-sdk's statement execution."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import PermissionDenied, Unauthenticated
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import sql as service

from pi_datasource.dashboard.backend import Parameters, Row, Statement, first_line
from pi_datasource.dashboard.tables import TABLES
from pi_datasource.errors import TablesUnavailable

_COLUMNS_TTL_S = 300.0
_TIMEOUT_S = 600.0  # a stopped warehouse takes minutes to start
_MAX_CHUNKS = 1000
_STOPPING = "the dashboard is stopping"
_TYPES = {int: "BIGINT", float: "DOUBLE", str: "STRING"}
_INTEGERS = {"BYTE", "SHORT", "INT", "LONG"}
_DECIMALS = {"FLOAT", "DOUBLE", "DECIMAL"}
_UNFINISHED = (service.StatementState.PENDING, service.StatementState.RUNNING)


class WarehouseBackend:
    """Queries a SQL warehouse. Every value is a bound parameter; table names come from ``TABLES``."""

    streamed_rows = 50_000  # an inline result has 25 MiB at most

    def __init__(
        self,
        warehouse_id: str,
        catalog: str,
        *,
        client: WorkspaceClient,
        poll_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._warehouse_id = warehouse_id
        self._catalog = catalog
        self._client = client
        self._poll_s = poll_s
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._cached_columns: tuple[float, Mapping[str, frozenset[str]]] | None = None
        self._closed = False

    def close(self) -> None:
        """Cancels the running statements; the SDK's own resources end with its client."""
        self._closed = True

    def describe(self) -> str:
        """Catalog and warehouse."""
        return f"catalog {self._catalog} through SQL warehouse {self._warehouse_id}"

    def why_slow(self) -> str:
        """An idle warehouse is stopped and has to start."""
        return "A stopped SQL warehouse takes minutes to start."

    def columns(self) -> Mapping[str, frozenset[str]]:
        """The columns of the tables that exist; queried once in five minutes."""
        with self._lock:
            cached = self._cached_columns
            if cached is not None and self._clock() - cached[0] < _COLUMNS_TTL_S:
                return cached[1]
        found = self._query_columns()
        with self._lock:  # while the pipeline has not created its tables, ask every time
            self._cached_columns = (self._clock(), found) if len(found) > 2 else None
        return found

    def _query_columns(self) -> Mapping[str, frozenset[str]]:
        keys = {(table.schema, table.name): key for key, table in TABLES.items()}
        schemas = sorted({schema for schema, _ in keys})
        names = {f"schema_{number}": schema for number, schema in enumerate(schemas)}
        sql = (
            f"SELECT table_schema, table_name, column_name FROM {_quoted(self._catalog)}.information_schema.columns "
            f"WHERE table_schema IN ({', '.join(':' + name for name in names)})"
        )
        found: dict[str, set[str]] = {}
        for row in self._execute(sql, names):
            key = keys.get((row["table_schema"], row["table_name"]))
            if key is not None:
                found.setdefault(key, set()).add(row["column_name"])
        return {key: frozenset(columns) for key, columns in found.items()}

    def sizes(self) -> Mapping[str, int]:
        """The row count of each table; Delta computes it from its log."""
        tables = list(self.columns())
        if not tables:
            return {}
        sql = " UNION ALL ".join(f"SELECT '{key}' AS name, count(*) AS n FROM {{{key}}}" for key in tables)
        return {row["name"]: row["n"] for row in self.rows(Statement(sql, {}, tuple(tables), {}))}

    def rows(self, statement: Statement) -> list[Row]:
        """The result, all chunks of it."""
        statement = statement.inlined()
        columns = self.columns()
        if missing := [key for key in statement.tables if key not in columns]:
            message = f"there is no table {self._table_name(missing[0])}, or this account may not read it"
            raise TablesUnavailable(message)
        return self._execute(statement.with_tables(columns, self._table_name), statement.parameters)

    def stream(self, statement: Statement) -> Iterator[list[Row]]:
        """The whole result at once: ``streamed_rows`` bounds it."""
        yield self.rows(statement)

    def _execute(self, sql: str, parameters: Parameters) -> list[Row]:
        if self._closed:
            raise TablesUnavailable(_STOPPING)
        try:
            done = self._wait(
                self._client.statement_execution.execute_statement(
                    sql,
                    self._warehouse_id,
                    parameters=[
                        service.StatementParameterListItem(name, type=_TYPES[type(value)], value=str(value))
                        for name, value in parameters.items()
                    ],
                    disposition=service.Disposition.INLINE,
                    format=service.Format.JSON_ARRAY,
                    wait_timeout="5s",
                    on_wait_timeout=service.ExecuteStatementRequestOnWaitTimeout.CONTINUE,
                )
            )
            return list(self._all_rows(done))
        except (Unauthenticated, PermissionDenied) as cause:
            message = (
                f"Databricks does not let this program read {self.describe()} ({type(cause).__name__}): the token may "
                "have expired, or its owner lacks CAN USE on the warehouse or SELECT on the tables. "
                "Sign in again and restart pi-datasource dashboard"
            )
            raise TablesUnavailable(message) from cause
        except (DatabricksError, TimeoutError, OSError) as cause:
            message = f"Databricks could not be asked ({type(cause).__name__}): {first_line(cause)}"
            raise TablesUnavailable(message) from cause

    def _wait(self, answer: service.StatementResponse) -> service.StatementResponse:
        """Polls until the statement has succeeded; cancels one that takes longer than ten minutes."""
        deadline = self._clock() + _TIMEOUT_S
        identity = answer.statement_id or ""
        while answer.status is not None and answer.status.state in _UNFINISHED:
            if self._closed or self._clock() > deadline:
                self._client.statement_execution.cancel_execution(identity)
                if self._closed:
                    raise TablesUnavailable(_STOPPING)
                message = (
                    f"the warehouse has not answered within {_TIMEOUT_S / 60:.0f} minutes; is it running?"
                )
                raise TablesUnavailable(message)
            self._sleep(self._poll_s)
            answer = self._client.statement_execution.get_statement(identity)
        status = answer.status
        if status is None or status.state is not service.StatementState.SUCCEEDED:
            raise TablesUnavailable(_failure(status))
        return answer

    def _all_rows(self, answer: service.StatementResponse) -> Iterator[Row]:
        manifest = answer.manifest
        schema = manifest.schema if manifest else None
        columns = [
            (str(column.name), column.type_name.value if column.type_name else "STRING")
            for column in (schema.columns if schema and schema.columns else [])
        ]
        if manifest and manifest.truncated:
            message = "the warehouse cut the answer; choose a shorter range"
            raise TablesUnavailable(message)
        chunk: service.ResultData | None = answer.result
        for _ in range(_MAX_CHUNKS):
            if chunk is None:
                return
            for values in chunk.data_array or []:
                yield {name: _value(text, kind) for (name, kind), text in zip(columns, values, strict=True)}
            if chunk.next_chunk_index is None:
                return
            chunk = self._client.statement_execution.get_statement_result_chunk_n(
                answer.statement_id or "", chunk.next_chunk_index
            )
        message = f"the answer has more than {_MAX_CHUNKS} parts; choose a shorter range"
        raise TablesUnavailable(message)

    def _table_name(self, key: str) -> str:
        return ".".join(map(_quoted, (self._catalog, TABLES[key].schema, TABLES[key].name)))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _value(text: str | None, kind: str) -> Any:
    if text is None:
        return None
    if kind in _INTEGERS:
        return int(text)
    if kind in _DECIMALS:
        number = float(text)
        return int(number) if kind == "DECIMAL" and number.is_integer() else number
    if kind == "BOOLEAN":
        return text.lower() == "true"
    return text


def _failure(status: Any) -> str:
    state = status.state.value if status and status.state else "no state"
    error = status.error if status else None
    if state == "CANCELED":
        return "the statement was cancelled in the workspace; the page asks again at its next refresh"
    if error is not None and error.message:
        code = f" ({error.error_code.value})" if error.error_code else ""
        return f"the warehouse could not run a statement{code}: {first_line(error.message)}"
    return f"the warehouse ended a statement with {state} and said no more"


def connect(version: str) -> WorkspaceClient:
    """A client with the credentials that databricks-sdk finds: environment, profile, or the workspace it runs in.

    Raises:
        TablesUnavailable: there are no credentials.
    """
    try:
        return WorkspaceClient(
            config=Config(
                product="pi-datasource",
                product_version=version,
                retry_timeout_seconds=60,
                http_timeout_seconds=60,
            )
        )
    except ValueError as cause:
        message = f"cannot sign in to Databricks: {first_line(cause)}. Set DATABRICKS_HOST and DATABRICKS_TOKEN, or a profile"
        raise TablesUnavailable(message) from cause
