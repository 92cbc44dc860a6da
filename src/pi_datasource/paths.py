"""Paths of folders and files on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from pi_datasource.errors import InvalidOption

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # one letter is a drive of Windows
_ADVICE = {
    "file": "give the path alone, such as /data/lake",
    "dbfs": "use a volume, /Volumes/CATALOG/SCHEMA/VOLUME/..., or where DBFS is mounted, /dbfs/...",
}
_ELSEWHERE = "mount it as a folder{}"


def local(path: str | Path, what: str, otherwise: str = "") -> Path:
    """``path`` if it is a path on this machine; the message calls it ``what`` and advises ``otherwise``.

    Raises:
        InvalidOption: it is a URL, for which a folder such as ``s3:`` would be made on this machine.
    """
    found = _SCHEME.match(str(path))
    if found:
        scheme = found[1].lower()
        advice = _ADVICE.get(scheme, _ELSEWHERE.format(f", or {otherwise}" if otherwise else ""))
        message = f"{what}: {str(path)!r} is an address ({scheme}:) and not a path on this machine; {advice}"
        raise InvalidOption(message)
    return Path(path)
