"""The options that define the plant, shared by the server and the oracle command."""

import argparse
from datetime import datetime
from inspect import signature
from pathlib import Path

from mock_server.plant.clock import parse_time
from mock_server.simulation import Plant


def add_plant_options(parser: argparse.ArgumentParser) -> None:
    """Add the options from which `plant_of` makes a plant."""
    plant = parser.add_argument_group("the plant")
    plant.add_argument(
        "--tags", type=int, default=128, help="number of points up to 10,000,000 (default 128)"
    )
    plant.add_argument("--plants", type=int, default=4, help="plants they are spread over (default 4)")
    plant.add_argument("--seed", type=int, default=1, help="seed of the generated data (default 1)")
    plant.add_argument(
        "--history-start",
        type=utc,
        default="2020-01-01",
        metavar="TIME",
        help="ISO time at which the first points were created, UTC (default 2020-01-01)",
    )
    plant.add_argument(
        "--rate",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="factor on the frequency of events, which stays between 10 Hz and once a day (default 1)",
    )
    plant.add_argument(
        "--period",
        dest="period_s",
        type=float,
        metavar="SECONDS",
        help="one nominal period for all instruments, 0.1 to 86400",
    )
    plant.add_argument(
        "--changes",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of events that arrive late, and of those edited, deleted or dropped by compression (default 0)",
    )
    plant.add_argument(
        "--churn",
        type=float,
        default=0.0,
        metavar="N",
        help="number of tags created, renamed or deleted per day (default 0)",
    )
    plant.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="serve this CSV or Parquet file (tag, timestamp, value, optional quality) instead of generated signals",
    )


def plant_of(options: argparse.Namespace) -> Plant:
    """The plant that the options define.

    Raises:
        ValueError: when an option is out of its range, or the data file is not valid.
    """
    return Plant(**{name: getattr(options, name) for name in signature(Plant).parameters})


def utc(text: str) -> datetime:
    """An ISO time; UTC unless it has an offset."""
    try:
        return parse_time(text)
    except ValueError as error:
        msg = f"'{text}' is not an ISO time such as 2025-06-02T12:00:00Z"
        raise argparse.ArgumentTypeError(msg) from error
