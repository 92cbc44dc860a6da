"""The ``pi-datasource`` command, a typer app over the library.

It may import every other package; no package imports it. Start reading at `commands`, where each command is declared;
the flags of the PI options are generated in `flags`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command, or says how to install it if the extra ``cli`` is missing."""
    try:
        from pi_datasource.cli.commands import app
    except ImportError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.stderr.write(
            "pi-datasource: the command needs two more packages: pip install 'pi-datasource[cli]'\n"
        )
        sys.exit(1)
    from pi_datasource.cli.exit_codes import exit_on_os_error

    with exit_on_os_error():
        app()
