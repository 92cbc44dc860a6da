"""The ``pi-datasource`` command: translation of a command line to the library, and of results to a person."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command; without the extra ``cli`` says how to get it."""
    try:
        from pi_datasource.cli.commands import app
    except ImportError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.stderr.write(
            "pi-datasource: the command needs two more packages: pip install 'pi-datasource[cli]'\n"
        )
        sys.exit(1)
    from pi_datasource.cli.exit_codes import without_tracebacks

    with without_tracebacks():
        app()
