"""How a command ends: a failure is one line and exit code 1, a stop leaves nothing and is exit code 130."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from pi_datasource.errors import PIError
from pi_datasource.redaction import redact_error

err = Console(stderr=True)
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF, errno.EAGAIN)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns an error of ours, also one that comes back through Spark, into one line and exit code 1."""
    try:
        yield
    except PIError as error:
        fail(str(error))
    except Exception as error:
        redact_error(error)
        text = ours_within(str(error))
        if text is None:
            raise
        fail(text)


@contextmanager
def without_tracebacks() -> Iterator[None]:
    """Turns what this machine refuses (output, files, threads) into one line and exit code 1, for every command.

    Stdout is flushed: a disk that is full by then is an error, too.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (OSError, RuntimeError) as error:
        message = _refusal(error)
        if message is None:
            raise
        logging.getLogger(__name__).debug("Refused by this machine", exc_info=error)
        _discard_stdout()
        err.print(f"pi-datasource: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


def _refusal(error: OSError | RuntimeError) -> str | None:
    """What this machine refused, or None where ``error`` is about something else."""
    if isinstance(error, RuntimeError):
        if "start new thread" not in str(error):
            return None
        return (
            f"this machine lets the program start no further thread ({error}); raise the limit of processes "
            "(ulimit -u, or that of the container), or end other programs"
        )
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"the output cannot be written: {reason}" if error.errno in _OUTPUT_ERRORS else None
    return f"{str(error.filename)!r} cannot be used: {reason}"


def _discard_stdout() -> None:
    """What Python still holds for stdout must not fail again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the command in order, and a reader that has seen enough is no error."""
    kept = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        err.print("Stopped; nothing was kept.")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        _discard_stdout()
    finally:
        signal.signal(signal.SIGTERM, kept)


def fail(message: str) -> None:
    """Ends the command with ``message`` on stderr."""
    err.print(f"pi-datasource: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1)


def ours_within(text: str) -> str | None:
    """The message of an error of this package inside Spark's text of it, or None."""
    match = re.search(r"pi_datasource\.errors\.\w+: (.+?)(?:\n|$)", text)
    return match[1] if match else None
