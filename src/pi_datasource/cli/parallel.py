"""Reads tasks with several threads, without Spark; a bounded queue of batches limits memory."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from enum import Enum
from queue import Full, Queue
from threading import Event, Lock, Thread

import pyarrow as pa

from pi_datasource.options.declaration import Options
from pi_datasource.tables import registry
from pi_datasource.tables.table import Task
from pi_datasource.webapi.client import PIClient

log = logging.getLogger(__name__)

QUEUED_BATCHES = 4  # read ahead while the writer is busy; each has about 50,000 rows at most
POLL_S = 0.5  # how often a thread that waits for a free place checks whether the read has ended


class _Done(Enum):
    TASK = "a task has been read"
    THREAD = "a thread has ended"


class ParallelReader:
    """Reads ``tasks`` with ``jobs`` threads, each with its own client."""

    def __init__(self, tasks: Sequence[Task], options: Options, schema: pa.Schema, jobs: int) -> None:
        self.tasks, self.tasks_done = len(tasks), 0
        self._options, self._schema = options, schema
        self._jobs = min(jobs, len(tasks))
        self._remaining = iter(tasks)
        self._lock = Lock()
        self._ended = Event()
        self._queue: Queue[pa.RecordBatch | BaseException | _Done] = Queue(QUEUED_BATCHES)

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """The batches of all tasks as they arrive; with one job, in the order of the tasks.

        If the caller stops early, the threads end at their next batch.

        Raises:
            PIError: as ``Table.read`` does; the first one ends the read.
        """
        # Daemon threads, unlike those of an executor: Ctrl-C must not wait for the response of a slow server.
        threads = [Thread(target=self._run, name=f"reader-{n}", daemon=True) for n in range(self._jobs)]
        working = 0
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:  # this machine allows no more threads
                if not working:
                    raise
                log.warning(
                    "Reading with %d of %d jobs: this machine allows no more threads", working, len(threads)
                )
                break
            working += 1
        try:
            while working:
                arrived = self._queue.get()
                if isinstance(arrived, BaseException):
                    raise arrived
                if arrived is _Done.TASK:
                    self.tasks_done += 1
                elif arrived is _Done.THREAD:
                    working -= 1
                else:
                    yield arrived
        finally:
            self._ended.set()

    def _run(self) -> None:
        try:
            with PIClient(self._options) as client:
                while (task := self._next()) is not None:
                    for batch in registry.lookup(task.table).read(client, task, self._schema, self._options):
                        if not self._put(batch):
                            return
                    self._put(_Done.TASK)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            self._put(error)
        finally:
            self._put(_Done.THREAD)

    def _next(self) -> Task | None:
        with self._lock:
            return next(self._remaining, None)

    def _put(self, what: pa.RecordBatch | BaseException | _Done) -> bool:
        """Puts ``what`` into the queue; False if the read has ended meanwhile."""
        while not self._ended.is_set():
            try:
                self._queue.put(what, timeout=POLL_S)
            except Full:
                continue
            return True
        return False
