"""What goes wrong is said in one sentence that names it, says what to do, and holds no secret."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from mock_server import Plant, running
from pi_datasource.cli.commands import app
from tests.integration.support import canary
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.faults import broken_server
from tests.integration.support.faulty_proxy import faulty_proxy

pytestmark = pytest.mark.integration

OURS = re.compile(r"pi_datasource\.errors\.(\w+): (.*)")
FRAMES = 4  # lines 'File "…"' of a traceback that a reader has to pass over
ONE_TAG = {"tags": "NORTH.A1.PRES_0001.PV", "start_time": "*-5m", "num_partitions": "1"}
QUICK = {"timeout": "1s", "max_retries": "1"}


@dataclass(frozen=True)
class Case:
    """``options`` for a ``server`` raise the error called ``kind``, whose text holds everything in ``says``."""

    name: str
    kind: str
    says: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    server: str = "secured"


CASES = [
    Case(
        "bad_url",
        "InvalidOption",
        ("option 'url'", "https://HOST/piwebapi"),
        {"url": "ftp://historian/piwebapi"},
    ),
    Case(
        "url_with_spaces",
        "InvalidOption",
        ("option 'url'", "https://HOST/piwebapi"),
        {"url": "the historian", "max_retries": "0"},
    ),
    Case(
        "url_with_one_slash",
        "InvalidOption",
        ("option 'url'", "https://HOST/piwebapi"),
        {"url": "http:/127.0.0.1:9/piwebapi", "max_retries": "0"},
    ),
    Case(
        "wrong_password",
        "AuthenticationFailed",
        ("GET dataservers", "HTTP 401", "check 'username' and 'password'", "it offers Basic, Bearer"),
        {"password": canary.WRONG},
    ),
    Case("wrong_token", "AuthenticationFailed", ("HTTP 401", "'token'"), {"token": canary.WRONG}),
    Case(
        "secret_that_is_nowhere",
        "InvalidOption",
        ("option 'password'", "'PI_TEST_NOWHERE'", "not set"),
        {"password": "env:PI_TEST_NOWHERE"},
    ),
    Case(
        "unreachable",
        "ServerUnreachable",
        ("GET dataservers", "cannot reach http://127.0.0.1:", "Connection refused", "option 'url'"),
        {"max_retries": "0"},
        server="nowhere",
    ),
    Case(
        "unparsable_time",
        "InvalidOption",
        ("option 'start_time'", "'yesterday-ish'", "'*-1d'"),
        {"start_time": "yesterday-ish"},
    ),
    Case(
        "end_before_start",
        "InvalidOption",
        ("option 'end_time' ('2026-01-01')", "option 'start_time' ('2026-01-02')", "swap"),
        {"start_time": "2026-01-02", "end_time": "2026-01-01"},
    ),
    Case(
        "relative_end_before_start",
        "InvalidOption",
        ("option 'end_time' ('*-2h')", "option 'start_time' ('*-1h')", "swap"),
        {"start_time": "*-1h", "end_time": "*-2h"},
    ),
    Case(
        "unknown_table",
        "InvalidOption",
        ("option 'table'", "'pi_timeserie'", "did you mean 'pi_timeseries'?"),
        {"table": "pi_timeserie"},
    ),
    Case("no_number", "InvalidOption", ("option 'page_size'", "integer"), {"page_size": "many"}),
    Case("no_tag_matches", "NoTagMatches", ("'NOSUCH*'", "spelling"), {"tags": "NOSUCH*"}),
    Case(
        "one_tag_does_not_exist",
        "NoTagMatches",
        ("option 'tags'", "matches 'NORTH.A1.FLOW_9999.PV';", "spelling"),
        {"tags": "NORTH.A1.FLOW_0001.PV,NORTH.A1.FLOW_9999.PV"},
    ),
    Case(
        "html", "UnexpectedReply", ("GET dataservers", "text/html", "check that 'url'"), QUICK, "broken html"
    ),
    Case("cut", "UnexpectedReply", ("GET dataservers", "cut", "check"), QUICK, "broken cut"),
    Case("hang", "ServerTimeout", ("GET dataservers", "within 1 s", "'timeout'"), QUICK, "broken hang"),
    Case("trickle", "ServerTimeout", ("GET dataservers", "within 1 s", "'timeout'"), QUICK, "broken trickle"),
]
BATCH_CASES = [
    Case("batch_html", "UnexpectedReply", ("POST batch", "text/html", "check that 'url'"), server="html"),
    Case("batch_cut", "UnexpectedReply", ("POST batch", "cut", "check"), server="cut"),
    Case("batch_hang", "ServerTimeout", ("POST batch", "within 1 s", "'batch_size'"), server="hang"),
    Case("batch_trickle", "ServerTimeout", ("POST batch", "within 1 s", "'timeout'"), server="trickle"),
]


def each(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=case.name) for case in cases]


@pytest.fixture(scope="module")
def secured() -> Iterator[str]:
    site = Plant(seed=1, tags=32, plants=4)
    signing = {"user": canary.USER, "password": canary.PASSWORD, "token": canary.TOKEN}
    with running(site, clock=Clock(NOW), **signing) as url:
        yield url


def options_of(case: Case, secured: str, servers: ExitStack) -> dict[str, str]:
    """All options of a case; the server it needs runs until ``servers`` end."""
    if case in BATCH_CASES:
        proxy = servers.enter_context(faulty_proxy(secured, batch=case.server))
        return {"url": proxy.url, **signing_in(), **QUICK, **ONE_TAG, **case.options}
    if case.server.startswith("broken "):
        url = servers.enter_context(broken_server(case.server.removeprefix("broken ")))
    elif case.server == "nowhere":
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/piwebapi"
    else:
        url = secured
    return {"url": url, **({} if "token" in case.options else signing_in()), **case.options}


def signing_in() -> dict[str, str]:
    return {"username": canary.USER, "password": canary.PASSWORD}


@dataclass(frozen=True)
class Said:
    """What a failed action said: the error's text, and everything that Python could print of it."""

    text: str
    all: str


def failure_of(action: Callable[[], object]) -> Said:
    """What Spark raises to the user."""
    with pytest.raises(PySparkException) as caught:
        action()
    everything = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return Said(str(caught.value), everything)


@pytest.fixture(scope="module")
def spark_says(spark: SparkSession, secured: str) -> Callable[[Case], Said]:
    """What Spark says in a case, asked once."""
    known: dict[str, Said] = {}

    def ask(case: Case) -> Said:
        if case.name not in known:
            with ExitStack() as servers:
                options = options_of(case, secured, servers)
                read = spark.read.format("pi").options(**options)
                known[case.name] = failure_of(lambda: read.load().collect())
        return known[case.name]

    return ask


def assert_one_sentence(said: str, kind: str, parts: tuple[str, ...]) -> None:
    found = OURS.findall(said)
    assert [name for name, _ in found] == [kind], said
    for part in parts:
        assert part in found[0][1], said


class TestThroughSpark:
    """``spark.read.format("pi")…load().collect()``."""

    @pytest.mark.parametrize("case", each(CASES + BATCH_CASES))
    def test_one_sentence_says_what_and_what_to_do(
        self, spark_says: Callable[[Case], Said], case: Case
    ) -> None:
        assert_one_sentence(spark_says(case).text, case.kind, case.says)

    @pytest.mark.parametrize("case", each(CASES + BATCH_CASES))
    def test_no_secret_is_in_anything_that_can_be_printed(
        self, spark_says: Callable[[Case], Said], case: Case
    ) -> None:
        assert canary.leaks(spark_says(case).all) == []

    @pytest.mark.parametrize("names", ["at_load", "while_planning", "while_reading"])
    def test_few_lines_stand_before_the_sentence(
        self, spark_says: Callable[[Case], Said], names: str
    ) -> None:
        chosen = {
            "at_load": ["bad_url", "unparsable_time", "end_before_start", "unknown_table", "no_number"],
            "while_planning": ["wrong_password", "unreachable", "no_tag_matches", "html", "cut", "hang"],
            "while_reading": [case.name for case in BATCH_CASES],
        }[names]
        counts = {c.name: spark_says(c).text.count('File "') for c in CASES + BATCH_CASES if c.name in chosen}
        assert {name: n for name, n in counts.items() if n > FRAMES} == {}

    def test_nothing_that_spark_logs_holds_a_secret(
        self, spark_says: Callable[[Case], Said], spark_stderr: Path
    ) -> None:
        for case in CASES + BATCH_CASES:
            spark_says(case)
        logged = spark_stderr.read_text(errors="replace")
        assert "POST batch" in logged  # the log does tell of failed tasks
        assert canary.leaks(logged) == []

    def test_an_unknown_option_suggests_the_nearest(self, spark: SparkSession, secured: str) -> None:
        read = spark.read.format("pi").option("url", secured).option("start_tiem", "*-1d")
        said = failure_of(read.load)
        assert_one_sentence(said.text, "UnknownOption", ("'start_tiem'", "did you mean 'start_time'?"))
        assert said.text.count('File "') <= FRAMES

    @pytest.mark.parametrize(
        ("schema", "parts"),
        [("tag string", ("'tag'", "tag_name")), ("value string", ("'value'", "double"))],
        ids=["unknown_column", "other_type"],
    )
    def test_a_schema_that_does_not_fit_names_the_column(
        self, spark: SparkSession, secured: str, schema: str, parts: tuple[str, ...]
    ) -> None:
        read = spark.read.format("pi").option("url", secured).schema(schema)
        assert_one_sentence(failure_of(lambda: read.load().collect()).text, "InvalidOption", parts)

    def test_a_path_for_load_is_refused(self, spark: SparkSession) -> None:
        said = failure_of(lambda: spark.read.format("pi").load("/data"))
        assert_one_sentence(said.text, "UnknownOption", ("load() takes no path", ".option('url'"))


class TestThroughSql:
    """Where Spark itself handles the options."""

    def test_create_table_points_to_a_temporary_view(self, spark: SparkSession, secured: str) -> None:
        def created_and_read() -> object:  # Spark before 4.2 asks the source at the first SELECT only
            spark.sql(f"CREATE TABLE pi_table USING pi OPTIONS (url '{secured}')")
            return spark.sql("SELECT * FROM pi_table").collect()

        try:
            said = failure_of(created_and_read)
        finally:
            spark.sql("DROP TABLE IF EXISTS pi_table")
        parts = ("CREATE TEMPORARY VIEW", "drops every option of CREATE TABLE")
        assert_one_sentence(said.text, "InvalidOption", parts)

    def test_no_plan_shows_a_secret(self, spark: SparkSession, secured: str) -> None:
        create = (
            f"CREATE OR REPLACE TEMPORARY VIEW secret_view USING pi OPTIONS (url '{secured}', "
            f"username '{canary.USER}', password '{canary.PASSWORD}', tags '*PRES*', start_time '*-5m')"
        )
        plans = [spark.sql(f"EXPLAIN EXTENDED {create}").collect()[0][0]]
        spark.sql(create)
        plans.append(spark.sql("EXPLAIN EXTENDED SELECT * FROM secret_view").collect()[0][0])
        plans.append(spark.sql("DESCRIBE EXTENDED secret_view").toPandas().to_string())
        token = spark.read.format("pi").option("url", secured).option("token", canary.TOKEN).load()
        plans.append(token._jdf.queryExecution().toString())

        assert "redacted" in plans[0]  # so the options are in what is looked at
        assert "BatchScan pi" in plans[1]
        assert [canary.leaks(plan) for plan in plans] == [[]] * len(plans)


class TestThroughAStream:
    """``spark.readStream.format("pi")`` with a wrong password."""

    @pytest.fixture(scope="class")
    @staticmethod
    def failed(
        spark: SparkSession, secured: str, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Said, Path]:
        checkpoint = tmp_path_factory.mktemp("stream")
        signing = {"username": canary.USER, "password": canary.WRONG}
        rows = spark.readStream.format("pi").option("url", secured).options(**signing).load()
        writer = rows.writeStream.format("noop").option("checkpointLocation", str(checkpoint))
        said = failure_of(lambda: writer.trigger(availableNow=True).start().awaitTermination(60))
        return said, checkpoint

    def test_one_sentence_says_what_and_what_to_do(self, failed: tuple[Said, Path]) -> None:
        parts = ("GET dataservers", "HTTP 401", "check 'username' and 'password'")
        assert_one_sentence(failed[0].text, "AuthenticationFailed", parts)

    def test_few_lines_stand_before_the_sentence(self, failed: tuple[Said, Path]) -> None:
        assert failed[0].text.count('File "') <= FRAMES

    def test_neither_error_nor_checkpoint_holds_a_secret(self, failed: tuple[Said, Path]) -> None:
        said, checkpoint = failed
        files = [file for file in checkpoint.rglob("*") if file.is_file()]
        assert files
        assert canary.leaks(said.all) == []
        assert [file for file in files if canary.leaks(file.read_bytes().decode(errors="replace"))] == []

    def test_a_checkpoint_of_a_working_stream_holds_no_secret(
        self, spark: SparkSession, secured: str, tmp_path: Path
    ) -> None:
        rows = spark.readStream.format("pi").options(url=secured, **signing_in(), **ONE_TAG).load()
        writer = rows.writeStream.format("noop").option("checkpointLocation", str(tmp_path))
        query = writer.trigger(availableNow=True).start()
        assert query.awaitTermination(60)

        assert (tmp_path / "commits" / "0").exists()
        texts = [file.read_bytes().decode(errors="replace") for file in tmp_path.rglob("*") if file.is_file()]
        assert [text for text in [*texts, str(query.lastProgress)] if canary.leaks(text)] == []


class TestThroughTheCommand:
    """``pi-datasource check`` and ``pi-datasource ingest``."""

    @pytest.mark.parametrize("case", each(CASES))
    def test_check_prints_one_line_and_fails(self, secured: str, case: Case) -> None:
        with ExitStack() as servers:
            options = options_of(case, secured, servers)
            arguments = [part for k, v in options.items() for part in (f"--{k.replace('_', '-')}", v)]
            result = CliRunner().invoke(app, ["check", *arguments])

        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        assert [line.startswith("pi-datasource: ") for line in lines] == [True], result.output
        assert not [part for part in case.says if part not in lines[0]], lines[0]
        assert canary.leaks(result.output) == []

    def test_an_unknown_flag_suggests_the_nearest(self) -> None:
        result = CliRunner().invoke(app, ["check", "--url", "historian", "--start-tiem", "*-1d"])
        assert result.exit_code == 2
        assert "--start-tiem" in result.output
        assert "--start-time" in result.output

    def test_a_missing_url_is_told_as_a_flag(self) -> None:
        result = CliRunner().invoke(app, ["check"])
        assert result.exit_code == 1
        assert "--url" in result.stderr

    def test_ingest_with_a_wrong_password_prints_one_line(self, secured: str, tmp_path: Path) -> None:
        """The error comes through Spark, from a stream, in a process of its own."""
        command = [str(Path(sys.executable).parent / "pi-datasource"), "ingest", "--lakehouse", "lake"]
        signing = ["--username", canary.USER, "--password", canary.WRONG]
        done = subprocess.run(
            [*command, "--url", secured, *signing],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("pi-datasource: ") == 1
        assert "HTTP 401" in done.stderr
        assert "check 'username' and 'password'" in done.stderr
        assert "Traceback" not in done.stderr
        assert 'File "' not in done.stderr
        assert "\tat " not in done.stderr
        assert canary.leaks(done.stdout + done.stderr) == []
        texts = [f.read_bytes().decode(errors="replace") for f in tmp_path.rglob("*") if f.is_file()]
        assert [text for text in texts if canary.leaks(text)] == []
