"""Searches and reads with piwebapiconnect in every way it offers; prints what it gets as JSON."""

import asyncio
import json
import sys

from piwebapiconnect import get_service

settings = json.loads(sys.argv[1])
window = settings["start"], settings["end"]


async def read():
    service = get_service(
        url=settings["url"],
        username=settings["user"],
        password=settings["password"],
        server_name=settings["server"],
    )
    tags = settings["tags"]
    asset_servers = await service.get_asset_servers()
    answer = {
        "found": await service.search_tags("*"),
        "flows": await service.search_tags("*flow*"),
        "attributes": {tag: await service.get_tag_attributes(tag) for tag in tags},
        "snapshots": {tag: await service.get_current_value(tag) for tag in tags},
        "together": await service.get_multiple_current_values(tags),
        "recorded": {tag: await service.get_recorded_values(tag, *window) for tag in tags},
        "interpolated": {tag: await service.get_interpolated_values(tag, *window, "5m") for tag in tags},
        "summaries": {
            tag: await service.get_summary_data(tag, *window, "Maximum") for tag in settings["numeric"]
        },
        "asset_servers": asset_servers,
        "databases": await service.get_organizations(asset_servers[0]),
    }
    await service.close()
    return answer


print(json.dumps(asyncio.run(read())))
