"""Searches and reads with piwebx; prints what it gets as JSON."""

import asyncio
import json
import sys
from datetime import datetime

from httpx import AsyncClient
from piwebx import (
    find_points_type,
    find_points_web_id,
    get_interpolated,
    get_recorded,
    get_recorded_at_time,
)

settings = json.loads(sys.argv[1])
start, end = (datetime.fromisoformat(settings[key]) for key in ("start", "end"))


async def rows(stream):
    return [[time.isoformat(), values] async for time, values in stream]


async def read():
    sign_in = (settings["user"], settings["password"])
    async with AsyncClient(base_url=settings["url"] + "/", auth=sign_in, timeout=60) as client:
        found, missing = await find_points_web_id(client, [*settings["tags"], "NO-SUCH"])
        web_ids = [web_id for _, web_id in found]
        interpolated = get_interpolated(client, web_ids, start, end, interval=60, timezone="UTC")
        snapshot = await get_recorded_at_time(client, web_ids, end, timezone="UTC")
        return {
            "found": found,
            "missing": missing,
            "types": await find_points_type(client, web_ids),
            "recorded": {
                tag: await rows(get_recorded(client, [web_id], start, end, timezone="UTC"))
                for tag, web_id in found
            },
            "empty": await rows(
                get_recorded(
                    client,
                    web_ids[:1],
                    datetime.fromisoformat(settings["before"][0]),
                    datetime.fromisoformat(settings["before"][1]),
                    timezone="UTC",
                )
            ),
            "interpolated": await rows(interpolated),
            "snapshot": [snapshot[0].isoformat(), snapshot[1]],
        }


print(json.dumps(asyncio.run(read())))
