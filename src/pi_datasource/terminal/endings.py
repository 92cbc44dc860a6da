"""How a command ends: a failure is one line and exit code 1, a stop leaves nothing and is exit code 130."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from pi_datasource.errors import PIError

err = Console(stderr=True)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns an error of ours, also one that comes back through Spark, into one line and exit code 1."""
    try:
        yield
    except PIError as error:
        fail(str(error))
    except Exception as error:
        text = ours_within(str(error))
        if text is None:
            raise
        fail(text)


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the command in order, and a reader that has seen enough is no error."""
    kept = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        err.print("Stopped; nothing was kept.")
        raise typer.Exit(130) from None
    except BrokenPipeError:  # what Python still holds for stdout must not fail again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
