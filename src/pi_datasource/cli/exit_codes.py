"""Maps failures to exit codes: an error is one line on stderr and exit code 1, an interrupt is exit code 130."""

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
def exit_on_error() -> Iterator[None]:
    """Turns an error of this package, also one that Spark has wrapped, into one line and exit code 1."""
    try:
        yield
    except PIError as error:
        fail(str(error))
    except Exception as error:
        redact_error(error)
        match = re.search(r"pi_datasource\.errors\.\w+: (.+?)(?:\n|$)", str(error))
        if match is None:
            raise
        fail(match[1])


@contextmanager
def exit_on_os_error() -> Iterator[None]:
    """Turns errors of the operating system (output, files, threads) into one line and exit code 1.

    Stdout is flushed inside the block: that fails, too, when the disk is full.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (OSError, RuntimeError) as error:
        message = _os_error_message(error)
        if message is None:
            raise
        logging.getLogger(__name__).debug("The operating system refused a request", exc_info=error)
        _discard_stdout()
        _print_error(message)
        sys.exit(1)


def _os_error_message(error: OSError | RuntimeError) -> str | None:
    """The message for users, or None if ``error`` does not come from the operating system."""
    if isinstance(error, RuntimeError):
        if "start new thread" not in str(error):
            return None
        return (
            f"this machine allows the program no more threads ({error}); raise the limit of processes "
            "(ulimit -u, or that of the container), or end other programs"
        )
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"the output cannot be written: {reason}" if error.errno in _OUTPUT_ERRORS else None
    return f"{str(error.filename)!r} cannot be used: {reason}"


def _discard_stdout() -> None:
    """Sends what Python has buffered for stdout to the null device, so that flushing it at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def interruptible() -> Iterator[None]:
    """Ends the command with exit code 130 on Ctrl-C or SIGTERM, and without an error if the reader of a pipe exits."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        err.print("Stopped; nothing was kept.")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        _discard_stdout()
    finally:
        signal.signal(signal.SIGTERM, previous)


def fail(message: str) -> None:
    """Ends the command with ``message`` on stderr."""
    _print_error(message)
    raise typer.Exit(1)


def _print_error(message: str) -> None:
    err.print(f"pi-datasource: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
