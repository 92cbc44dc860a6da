"""Time zones by IANA name, and by the Windows names that a real server knows."""

from datetime import timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WINDOWS = {
    "alaskan standard time": "America/Anchorage",
    "arab standard time": "Asia/Riyadh",
    "arabian standard time": "Asia/Dubai",
    "atlantic standard time": "America/Halifax",
    "aus eastern standard time": "Australia/Sydney",
    "cen. australia standard time": "Australia/Adelaide",
    "central european standard time": "Europe/Warsaw",
    "central europe standard time": "Europe/Budapest",
    "central standard time": "America/Chicago",
    "central standard time (mexico)": "America/Mexico_City",
    "china standard time": "Asia/Shanghai",
    "e. australia standard time": "Australia/Brisbane",
    "e. europe standard time": "Europe/Chisinau",
    "e. south america standard time": "America/Sao_Paulo",
    "eastern standard time": "America/New_York",
    "egypt standard time": "Africa/Cairo",
    "fle standard time": "Europe/Helsinki",
    "gmt standard time": "Europe/London",
    "greenwich standard time": "Atlantic/Reykjavik",
    "gtb standard time": "Europe/Bucharest",
    "hawaiian standard time": "Pacific/Honolulu",
    "india standard time": "Asia/Kolkata",
    "israel standard time": "Asia/Jerusalem",
    "korea standard time": "Asia/Seoul",
    "mountain standard time": "America/Denver",
    "new zealand standard time": "Pacific/Auckland",
    "newfoundland standard time": "America/St_Johns",
    "pacific standard time": "America/Los_Angeles",
    "pacific sa standard time": "America/Santiago",
    "romance standard time": "Europe/Paris",
    "russian standard time": "Europe/Moscow",
    "sa pacific standard time": "America/Bogota",
    "se asia standard time": "Asia/Bangkok",
    "singapore standard time": "Asia/Singapore",
    "south africa standard time": "Africa/Johannesburg",
    "taipei standard time": "Asia/Taipei",
    "tokyo standard time": "Asia/Tokyo",
    "turkey standard time": "Europe/Istanbul",
    "us mountain standard time": "America/Phoenix",
    "w. australia standard time": "Australia/Perth",
    "w. central africa standard time": "Africa/Lagos",
    "w. europe standard time": "Europe/Berlin",
}


class UnknownZone(ValueError):
    """There is no time zone of that name."""


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """The zone of that name (Windows names in any case); UTC for an empty one.

    Raises:
        UnknownZone: when there is none.
    """
    if name.upper() in ("", "UTC", "Z"):
        return timezone.utc
    try:
        return ZoneInfo(_WINDOWS.get(name.lower(), name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZone(name) from error
