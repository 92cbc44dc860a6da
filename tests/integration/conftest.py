"""Real Spark, real HTTP: one Spark session and one simulated PI server for the whole run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from benchmarks.kill.quick import LONG_LIVED
from mock_server import Plant, running
from pi_datasource.delta import local_spark
from tests.integration.support import canary
from tests.integration.support.batch_patches import BatchPatch, PatchBatches
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.connect_server import connect_server

LONGEST = (
    "test_kill.py",
    "test_pipeline_crashes.py",
    "test_pipeline_history.py",
    "test_pipeline.py",
    "test_demo.py",
    "test_engine_under_faults.py",
    "test_examples.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", name="NOW")
def _now() -> datetime:
    """What the shared server's clock always shows."""
    return NOW


@pytest.fixture(scope="session")
def spark_stderr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that Spark and its Python workers have said on stderr so far."""
    return tmp_path_factory.mktemp("stderr") / "spark.log"


@contextmanager
def _stderr_into(path: Path) -> Iterator[None]:
    """Processes that are started within write their stderr to ``path`` for as long as they live."""
    kept = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    except BaseException:
        os.write(kept, path.read_bytes())
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """``classic`` or ``connect``."""
    return str(request.config.getoption("--engine"))


@pytest.fixture(scope="session")
def batch_patches() -> list[BatchPatch]:
    """On Spark Connect: what is replaced in the workers of the queries that start from now on."""
    return []


@pytest.fixture
def patch_batches(
    engine: str, batch_patches: list[BatchPatch], monkeypatch: pytest.MonkeyPatch
) -> PatchBatches:
    """Replaces an attribute of a module or class where micro-batches are written: in this process, or in a worker of the server.

    The replacement is pickled for the latter: it can raise, but it can change nothing in this process.
    """

    @contextmanager
    def patched(owner: Any, name: str, replacement: Any) -> Iterator[None]:
        if engine == "classic":
            with monkeypatch.context() as here:
                here.setattr(owner, name, replacement)
                yield
            return
        batch_patches.append(BatchPatch(owner, name, replacement))
        try:
            yield
        finally:
            batch_patches.pop()

    return patched


@pytest.fixture(scope="session")
def spark(
    tmp_path_factory: pytest.TempPathFactory, spark_stderr: Path, engine: str, batch_patches: list[BatchPatch]
) -> Iterator[SparkSession]:
    """The one session of the run; everything that it writes by itself lies in a temporary folder."""
    folder = tmp_path_factory.mktemp("spark")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    arguments = (
        f"--conf spark.sql.warehouse.dir={folder}/warehouse --conf spark.local.dir={folder}/local "
        f"--conf spark.default.parallelism=1 {LONG_LIVED}"
    )
    os.environ.update(canary.ENVIRONMENT)  # workers inherit what the JVM was started with
    with ExitStack() as servers:
        with _stderr_into(spark_stderr):
            if engine == "classic":
                os.environ["PYSPARK_SUBMIT_ARGS"] = f"{arguments} pyspark-shell"
                session = local_spark("integration", master="local[2]")
            else:
                address = servers.enter_context(connect_server(arguments))
                session = _connected(address, batch_patches)
                os.environ["SPARK_REMOTE"] = address  # other processes that a test starts use the same server
        session.conf.set("spark.sql.shuffle.partitions", "1")
        yield session
        session.stop()


def _connected(address: str, batch_patches: list[BatchPatch]) -> SparkSession:
    """A session that refuses what serverless compute refuses."""
    session = SparkSession.builder.remote(address).getOrCreate()
    from tests.integration.support import serverless

    serverless.refuse()
    serverless.watch_batches(batch_patches)
    return session


@pytest.fixture(scope="session")
def plant() -> Plant:
    """The site behind ``pi_url``; tests must not add points to it."""
    return Plant(seed=1, tags=128, plants=4)


@pytest.fixture(scope="session")
def pi_url(plant: Plant) -> Iterator[str]:
    """A simulated PI server that holds ``plant`` and whose clock stands at ``NOW``."""
    with running(plant, clock=Clock(NOW)) as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    """A clock for ``server_factory`` that stands at ``NOW`` until the test moves it."""
    return Clock(NOW)


@pytest.fixture
def server_factory(plant: Plant) -> Iterator[Callable[..., str]]:
    """Starts a server with any arguments of ``running`` and gives its URL; it ends with the test.

    Without arguments it holds ``plant`` and its clock stands at ``NOW``.
    """
    with ExitStack() as servers:

        def start(site: Plant = plant, **arguments: Any) -> str:
            return servers.enter_context(running(site, **{"clock": Clock(NOW), **arguments}))

        yield start
