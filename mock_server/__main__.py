"""`python -m mock_server`: serve a simulated plant until interrupted."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from inspect import signature
from pathlib import Path
from ssl import SSLError
from threading import Event as Signal
from typing import Any

from mock_server.cli import oracle_command
from mock_server.cli.help_text import EPILOG
from mock_server.cli.plant_options import add_plant_options, plant_of, utc
from mock_server.plant.clock import Clock
from mock_server.server.auth import CHALLENGES
from mock_server.server.faults import Faults
from mock_server.server.limits import UrlLimit
from mock_server.server.oidc import Oidc
from mock_server.server.server_thread import running
from mock_server.webapi.generations import GENERATIONS, LATEST


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, or print the truth if the first word is `oracle`; the result is the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["oracle"]:
        return oracle_command.main(arguments[1:])
    options = _parser().parse_args(arguments)
    stop = Signal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        plant = plant_of(options)
        settings = _settings(options)
        settings["clock"] = Clock(options.now, options.speed)
        with running(plant, options.port, **settings) as url:
            _say(f"PI Web API simulator: {url} ({len(plant.catalog)} points, seed {options.seed})")
            stop.wait()
    except ValueError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(_os_problem(error, options))
    return 0


def _os_problem(error: OSError, options: argparse.Namespace) -> str:
    reason = (error.strerror or str(error)).partition(" (while")[0]
    if error.filename is not None or isinstance(error, SSLError):
        file = error.filename or options.tls_client_ca
        return f"cannot use {file} ({reason}); see --tls-ca and --tls-client-ca"
    return f"cannot listen on {options.host}:{options.port} ({reason}); choose another --port, or 0 for a free one"


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What `running` takes: its parameters are named like the flags, but for those that are made from several."""
    settings = {name: value for name, value in vars(options).items() if name in signature(running).parameters}
    del settings["port"]
    points = dict(options.fault_point)
    settings["faults"] = Faults(points=points)
    if options.faults is not None:
        settings["faults"] = Faults.parse(options.faults, tries=options.fault_tries, points=points)
    if options.client_id is not None:
        settings["oidc"] = Oidc(options.client_id, options.client_secret or "", options.token_lifetime)
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mock_server",
        description="A PI Web API server that simulates a plant.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_plant_options(parser)
    _add_clock(parser.add_argument_group("the clock"))
    _add_server(parser.add_argument_group("the server"))
    _add_sign_in(
        parser.add_argument_group("authentication (any configured method is accepted; none: anonymous)")
    )
    _add_tls(parser.add_argument_group("TLS"))
    _add_limits(parser.add_argument_group("limits of a real server"))
    _add_faults(parser.add_argument_group("faults"))
    return parser


def _add_clock(group: Any) -> None:
    group.add_argument(
        "--now", type=utc, metavar="TIME", help="ISO time at which the clock starts (default: the wall clock)"
    )
    group.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="X",
        help="simulated seconds per real second, 0 stands still (default 1)",
    )


def _add_server(group: Any) -> None:
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    group.add_argument(
        "--port", type=_port, default=8010, help="port to listen on, 0 for a free one (default 8010)"
    )
    group.add_argument(
        "--version",
        choices=list(GENERATIONS),
        default=LATEST,
        help=f"release of PI Web API to simulate (default {LATEST})",
    )
    group.add_argument(
        "--admin",
        action="store_true",
        help="serve /admin, which changes faults, limits, clock and points; GET /admin lists its calls",
    )
    group.add_argument("--gzip", action="store_true", help="compress responses for clients that accept it")
    group.add_argument(
        "--access-log", type=Path, metavar="FILE", help="append a line for each request to FILE (see below)"
    )


def _add_sign_in(group: Any) -> None:
    group.add_argument("--user", help="require Basic authentication with this user")
    group.add_argument("--password", help="the user's password")
    group.add_argument("--token", help="require this bearer token")
    group.add_argument(
        "--client-id",
        help="require a bearer token, which this client gets from the token endpoint in "
        "/piwebapi/.well-known/openid-configuration",
    )
    group.add_argument("--client-secret", help="the client's secret")
    group.add_argument(
        "--token-lifetime",
        type=_at_least(1),
        default=3600,
        metavar="SECONDS",
        help="lifetime of such a token (default 3600)",
    )
    group.add_argument(
        "--auth",
        choices=[*CHALLENGES],
        help="challenge for Kerberos (401, WWW-Authenticate: Negotiate) or NTLM; the simulator cannot verify "
        "the response and always rejects it",
    )


def _add_tls(group: Any) -> None:
    group.add_argument("--tls", action="store_true", help="serve https with a certificate made for this run")
    group.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="write its certificate authority to FILE, as PEM"
    )
    group.add_argument(
        "--tls-client-ca",
        type=Path,
        metavar="FILE",
        help="require client certificates signed by an authority in FILE (PEM)",
    )


def _add_limits(group: Any) -> None:
    group.add_argument(
        "--rate-limit",
        type=_at_least(0),
        default=0,
        metavar="N",
        help="maximum requests per second and client, including those in batches; beyond it 429 "
        "(default 0: no limit; a real server's default is 1000)",
    )
    group.add_argument(
        "--max-items",
        type=_at_least(1),
        default=150_000,
        metavar="N",
        help="maximum items per call, MaxReturnedItemsPerCall (default 150000)",
    )
    group.add_argument(
        "--max-collect",
        type=_at_least(1),
        default=1_500_000,
        metavar="N",
        help="maximum events the archive collects for one reply, such as a summary or plot of a long "
        "window, ArcMaxCollect; beyond it 500 (default 1500000)",
    )
    group.add_argument(
        "--max-url",
        type=_url_limit,
        default="httpsys",
        metavar="STYLE[:BYTES]",
        help="the server that rejects long addresses with an HTML page: httpsys (16384 bytes with headers, 260 characters "
        "between slashes; 400 or 414), iis (4096, query 2048; 404), nginx (8192; 414), off (default httpsys)",
    )


def _add_faults(group: Any) -> None:
    group.add_argument(
        "--faults", metavar="SEED[:PROFILE]", help="inject reproducible faults into some requests (see below)"
    )
    group.add_argument(
        "--fault-tries",
        type=_at_least(0),
        default=2,
        metavar="N",
        help="maximum failures in a row of the same request; 0: failures are permanent (default 2)",
    )
    group.add_argument(
        "--fault-point",
        type=_fault_point,
        action="append",
        default=[],
        metavar="TAG=FAULT",
        help="every request for the data of this point gets this fault; repeatable",
    )
    group.add_argument(
        "--skew",
        type=_seconds,
        default=timedelta(0),
        metavar="SECONDS",
        help="how far the server's clock is ahead of the client's; negative: behind (default 0)",
    )
    group.add_argument(
        "--stale",
        type=_seconds,
        default=timedelta(0),
        metavar="SECONDS",
        help="maximum age of cached replies about points; a real server: 300 (default 0)",
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise ValueError(text)
    return number


def _at_least(low: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        number = int(text)
        if number < low:
            raise ValueError(text)
        return number

    return count


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


def _url_limit(text: str) -> str:
    return str(UrlLimit.parse(text))


def _fault_point(text: str) -> tuple[str, str]:
    tag, equals, fault = text.rpartition("=")
    if not equals:
        raise ValueError(text)
    return tag, fault


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(message: str) -> int:
    sys.stderr.write(f"mock_server: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
