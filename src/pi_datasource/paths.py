"""Folders and files of this machine, as people name them."""

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
    """``path`` itself, which names a place of this machine; ``what`` says in the message what is named.

    ``otherwise`` is what else a user can do who means another place.

    Raises:
        InvalidOption: it is the address of another place, for which a folder called ``s3:`` would be made here.
    """
    found = _SCHEME.match(str(path))
    if found:
        scheme = found[1].lower()
        advice = _ADVICE.get(scheme, _ELSEWHERE.format(f", or {otherwise}" if otherwise else ""))
        message = f"{what}: {str(path)!r} is an address ({scheme}:) and not a path on this machine; {advice}"
        raise InvalidOption(message)
    return Path(path)
