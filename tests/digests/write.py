"""Reads everything again and says which rows are no longer those recorded; with ``--accept`` records what was read.

    python -m tests.digests.write [--accept]

Only for changes that are meant: the commit says which rows differ, and why. The exit code is 1 if anything differs and is
not accepted.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack

from pi_datasource.delta import local_spark
from tests.digests import recorded


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accept", action="store_true", help="record what was read")
    accept = parser.parse_args().accept
    before = recorded.load()
    with ExitStack() as stack:
        spark = local_spark("digests", master="local[2]")
        stack.callback(spark.stop)
        found = dict(recorded.every(recorded.Sites(stack), spark))
    told = [
        *(f"{name}: is no longer read" for name in before if name not in found),
        *(f"{name}: is new, {each['rows']:,} rows" for name, each in found.items() if name not in before),
        *(f"{name}: {said}" for name in before if name in found and (said := recorded.changes(before[name], found[name]))),
    ]  # fmt: skip
    say("\n".join(told) or f"{len(found)} reads give the rows that are recorded")
    if told and not accept:
        say(f"{len(told)} differences; nothing is recorded without --accept")
        return 1
    if told:
        recorded.FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        say(f"{recorded.FILE.name} is written")
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
