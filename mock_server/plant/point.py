"""The data server and its points, without their events."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import NamedTuple

from mock_server.plant import ticks, webid
from mock_server.plant.sensors import DigitalSet, Sensor


@dataclass(frozen=True)
class DataServer:
    """The PI Data Archive that owns every point."""

    name: str
    guid: uuid.UUID

    @property
    def path(self) -> str:
        """How PI Web API spells the path of a data server."""
        return f"\\\\PIServers[{self.name}]"

    def web_id(self, kind: str = "Full") -> str:
        """The server's WebID; `kind` is a webIdType such as `IDOnly`."""
        return _server_web_id(kind, self.guid, self.name)

    def set_guid(self, digital_set: DigitalSet) -> uuid.UUID:
        """The id of one of its digital sets."""
        return uuid.uuid5(self.guid, digital_set.name)

    def state_guid(self, digital_set: DigitalSet, code: int) -> uuid.UUID:
        """The id of one state of a digital set."""
        return uuid.uuid5(self.set_guid(digital_set), str(code))


class Point(NamedTuple):
    """One tag; `index` is its place in server order, `created_ticks` the timestamp of its first event.

    Points with the same `machine` are mounted on the same pump, valve or motor. A tuple: a listing creates a million.
    """

    server: DataServer
    index: int  # type: ignore[assignment]  # and not how often a value occurs in the tuple
    name: str
    plant: str
    area: str
    sensor: Sensor
    created_ticks: int
    machine: int = 0

    def __hash__(self) -> int:
        return self.index

    @property
    def point_id(self) -> int:
        """PI's int32 number of the point, never reused."""
        return self.index + 1

    @property
    def sensor_type(self) -> str:
        """The sensor part of the name."""
        return self.sensor.name

    @property
    def point_type(self) -> str:
        """PI's type: Float32, Float64, Int32, Digital, String or Timestamp."""
        return self.sensor.point_type

    @property
    def descriptor(self) -> str:
        """The description of what the tag measures."""
        return f"{self.sensor.descriptor}, {self.plant.title()} {self.area}"

    @property
    def engineering_units(self) -> str:
        """The unit of its numbers, or ""."""
        return self.sensor.units

    @property
    def digital_set_name(self) -> str:
        """The digital set of a Digital point, else ""."""
        return self.sensor.digital_set

    @property
    def created(self) -> datetime:
        """The creation time of the point (UTC), which is the timestamp of its first event."""
        return ticks.to_datetime(self.created_ticks)

    @property
    def path(self) -> str:
        r"""`\\SERVER\TAG`."""
        return f"\\\\{self.server.name}\\{self.name}"

    def web_id(self, kind: str = "Full") -> str:
        """The point's WebID; `kind` is a webIdType such as `IDOnly`."""
        return webid.encode(webid.KINDS[kind], webid.POINT, self.server.guid, self.point_id, self.path)


class Points(tuple[Point, ...]):
    """Points that are read together; hashed once, so that caches find what they know of hundreds of points quickly."""

    @classmethod
    def of(cls, points: Iterable[Point]) -> "Points":
        """These points as `Points`; the same object if they are that already."""
        return points if isinstance(points, cls) else cls(points)

    @cached_property
    def are_plain(self) -> bool:
        """Whether all of them are tags of the data server."""
        return all(isinstance(point, Point) for point in self)

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        return self._hash


@lru_cache(maxsize=64)
def _server_web_id(kind: str, guid: uuid.UUID, name: str) -> str:
    return webid.encode(webid.KINDS[kind], webid.DATA_SERVER, guid, None, name)
