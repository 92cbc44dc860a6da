"""Reads with OSIsoft's own generated client, in every way it offers; prints what it gets as JSON."""

import json
import sys
from urllib.parse import quote

from osisoft.pidevclub.piwebapi.models import PIRequest, PIRequestTemplate
from osisoft.pidevclub.piwebapi.pi_web_api_client import PIWebApiClient
from osisoft.pidevclub.piwebapi.rest import ApiException

settings = json.loads(sys.argv[1])
start, end, count = settings["start"], settings["end"], settings["max_count"]
client = PIWebApiClient(
    settings["url"], useKerberos=False, username=settings["user"], password=settings["password"]
)


def events(items):
    return [
        [i.timestamp, i.value, i.good, i.questionable, i.substituted, i.units_abbreviation] for i in items
    ]


server = client.dataServer.get_by_name(settings["server"])
listed, first = [], 0
while True:
    page = client.dataServer.get_points(server.web_id, max_count=50, start_index=first)
    listed += [[p.name, p.id, p.point_type, p.engineering_units, p.descriptor, p.web_id] for p in page.items]
    if len(page.items) < 50:
        break
    first += 50
points = {tag: client.point.get_by_path(f"\\\\{server.name}\\{tag}") for tag in settings["tags"]}
web_ids = [point.web_id for point in points.values()]
streams = {
    tag: events(client.stream.get_recorded(p.web_id, start_time=start, end_time=end, max_count=count).items)
    for tag, p in points.items()
}
together = client.streamSet.get_recorded_ad_hoc(
    web_ids[:4], start_time=start, end_time=end, max_count=settings["set_count"]
)
frame = client.data.get_recorded_values(
    f"pi:\\\\{server.name}\\{settings['tags'][0]}", start_time=start, end_time=end, max_count=count
)
root = settings["url"]
window = f"startTime={quote(start)}&endTime={quote(end)}&maxCount={count}"
batch = client.batch.execute(
    {
        "points": PIRequest(
            method="GET",
            resource=f"{root}/dataservers/{server.web_id}/points?nameFilter=*FLOW*&maxCount=3",
        ),
        "events": PIRequest(
            method="GET",
            request_template=PIRequestTemplate(resource="{0}?" + window),
            parameters=["$.points.Content.Items[*].Links.RecordedData"],
            parent_ids=["points"],
        ),
    }
)
try:
    client.stream.get_recorded(web_ids[0], max_count=10**9)
    refusal = None
except ApiException as error:
    refusal = [error.status, error.error["Errors"]]
print(
    json.dumps(
        {
            "home": client.home.get().links.data_servers,
            "product": client.system.landing().product_title,
            "server": [server.name, server.is_connected, server.server_version],
            "listed": listed,
            "streams": streams,
            "set": {item.name: events(item.items) for item in together.items},
            "frame": frame.values.tolist(),
            "columns": list(frame.columns),
            "batch": {name: [each.status, each.content] for name, each in batch.items()},
            "refusal": refusal,
        }
    )
)
