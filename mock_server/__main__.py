"""`python -m mock_server`: serve a simulated plant until interrupted."""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from threading import Event as Signal

from mock_server.plant import Plant
from mock_server.serve import running

_EPILOG = """\
examples:
  python -m mock_server                                128 points on port 8010, no sign-in
  python -m mock_server --port 0 --tags 1000000        a million points on a free port
  python -m mock_server --user pi --password secret    with Basic authentication

The events are a pure function of seed, tag and time: nothing is stored, and a second server with the same
seed, tags, plants and history start holds the same data.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the result is the exit code."""
    options = _parser().parse_args(arguments)
    stop = Signal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        plant = Plant(options.seed, options.tags, options.plants, options.history_start)
    except ValueError as error:
        return _fail(str(error))
    try:
        with running(
            plant,
            options.port,
            host=options.host,
            user=options.user,
            password=options.password,
            token=options.token,
            max_items=options.max_items,
            admin=options.admin,
            gzip=options.gzip,
            access_log=options.access_log,
        ) as url:
            _say(f"PI Web API simulator: {url} ({options.tags} points, seed {options.seed})")
            stop.wait()
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        return _fail(
            f"cannot listen on {options.host}:{options.port} ({reason}); choose another --port, or 0 for a free one"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mock_server",
        description="A PI Web API server that simulates a plant.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plant = parser.add_argument_group("the plant")
    plant.add_argument(
        "--tags", type=int, default=128, help="number of points, up to 10,000,000 (default 128)"
    )
    plant.add_argument("--plants", type=int, default=4, help="plants they are spread over (default 4)")
    plant.add_argument("--seed", type=int, default=1, help="another seed makes other data (default 1)")
    plant.add_argument(
        "--history-start",
        type=_utc,
        default="2020-01-01",
        metavar="TIME",
        help="ISO time at which the first points were created, UTC (default 2020-01-01)",
    )
    server = parser.add_argument_group("the server")
    server.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    server.add_argument(
        "--port", type=_port, default=8010, help="port to listen on, 0 for a free one (default 8010)"
    )
    server.add_argument("--user", help="require Basic authentication with this user")
    server.add_argument("--password", help="the user's password")
    server.add_argument("--token", help="require this bearer token (or --user, if given as well)")
    server.add_argument(
        "--max-items",
        type=_positive,
        default=150_000,
        metavar="N",
        help="most items one call may ask for, MaxReturnedItemsPerCall (default 150000)",
    )
    server.add_argument("--admin", action="store_true", help="allow POST /admin/points, which adds points")
    server.add_argument("--gzip", action="store_true", help="compress answers for clients that ask for it")
    server.add_argument(
        "--access-log", type=Path, metavar="FILE", help="append a line for each request to FILE"
    )
    return parser


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise ValueError(text)
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(message: str) -> int:
    sys.stderr.write(f"mock_server: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
