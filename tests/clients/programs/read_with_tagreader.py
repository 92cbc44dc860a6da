"""Searches and reads with tagreader in every way it offers; prints what it gets as JSON."""

import json
import sys

import pandas as pd
import tagreader
from requests.auth import HTTPBasicAuth
from tagreader import IMSClient, ReaderType, web_handlers

settings = json.loads(sys.argv[1])
start, end = pd.Timestamp(settings["start"]), pd.Timestamp(settings["end"])
# Where it looks up data servers before a search is the address of the company it was written for.
web_handlers.get_url_pi = lambda: settings["url"]
sign_in = HTTPBasicAuth(settings["user"], settings["password"])
client = IMSClient(
    settings["server"],
    imstype="piwebapi",
    url=settings["url"],
    auth=sign_in,
    tz="UTC",
    handler_options={"max_rows": settings["page"]},
)
client.connect()


def rows(frame):
    columns = [frame[name].tolist() for name in frame.columns]
    return [[time.isoformat(), *values] for time, *values in zip(frame.index, *columns, strict=True)]


def read(tag, kind, **more):
    return rows(client.read(tag, start, end, 300, kind, **more))


figures = [getattr(ReaderType, name) for name in ("MIN", "MAX", "RNG", "AVG", "VAR", "STD")]
print(
    json.dumps(
        {
            "version": tagreader.__version__,
            "sources": tagreader.list_sources("piwebapi", url=settings["url"], auth=sign_in),
            "searches": {text: client.search(text) for text in settings["searches"]},
            "described": client.search(desc=settings["description"]),
            "units": client.get_units(settings["tags"]),
            "descriptions": client.get_descriptions(settings["tags"]),
            "raw": {tag: read(tag, ReaderType.RAW, get_status=True) for tag in settings["tags"]},
            "empty": len(client.read(settings["tags"][0], *settings["before"], 300, ReaderType.RAW)),
            "interpolated": {tag: read(tag, ReaderType.INT) for tag in settings["numeric"]},
            "summaries": {kind.name: read(settings["numeric"][0], kind) for kind in figures},
            "snapshots": {
                tag: rows(client.read(tag, end_time=end, read_type=ReaderType.SNAPSHOT))
                for tag in settings["numeric"]
            },
        },
        default=str,
    )
)
