"""Reads metadata and events with kukur's source for PI Web API; prints them as JSON."""

import json
import sys
from datetime import datetime

from kukur import SeriesSearch, SeriesSelector
from kukur.source.piwebapi_da import from_config

settings = json.loads(sys.argv[1])
source = from_config(settings["config"])


found = {each.series.name: dict(each.iter_serialized()) for each in source.search(SeriesSearch("pi"))}
start, end = (datetime.fromisoformat(settings[key]) for key in ("start", "end"))
rows = {}
for name in settings["tags"]:
    table = source.get_data(SeriesSelector("pi", name), start, end)
    rows[name] = [[row["ts"].isoformat(), row["value"], row["quality"]] for row in table.to_pylist()]
long_ago = [datetime.fromisoformat(text) for text in settings["before"]]
before = {name: source.get_data(SeriesSelector("pi", name), *long_ago).num_rows for name in settings["tags"]}
print(json.dumps({"metadata": found, "rows": rows, "before": before}, default=str))
