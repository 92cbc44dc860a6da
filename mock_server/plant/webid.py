"""WebID 2.0, the identifiers of PI Web API.

A WebID is a type letter, the version `1`, a marker (two letters, or three with an owner), then the fields, each in
unpadded base64url: GUIDs in .NET byte order, point ids as little-endian int32, and last the upper-cased path without
its leading backslashes. WebIDs are case-sensitive.
"""

import base64
import binascii
import re
import uuid
from dataclasses import dataclass
from functools import lru_cache

KINDS = {"Full": "F", "IDOnly": "I", "PathOnly": "P", "LocalIDOnly": "L", "DefaultIDOnly": "D"}

DATA_SERVER = "DS"
POINT = "DP"
DIGITAL_SET = "MSS"  # an enumeration set owned by a data server
DIGITAL_STATE = "MVS"
ASSET_SERVER = "RS"
ASSET_DATABASE = "RD"
ELEMENT = "Em"
EVENT_FRAME = "Fm"
ELEMENT_TEMPLATE = "ET"
ANALYSIS = "Xs"
ANALYSIS_TEMPLATE = "XT"
TABLE = "Bl"
UNIT = "Ut"
UNIT_CLASS = "UC"
ELEMENT_CATEGORY = "EC"
ATTRIBUTE_CATEGORY = "AC"
ANALYSIS_CATEGORY = "XC"
TABLE_CATEGORY = "BC"
# Owned objects carry their owner's id before their own; the third letter says what the owner is.
ELEMENT_ATTRIBUTE = "AbE"
FRAME_ATTRIBUTE = "AbF"
ATTRIBUTE_TEMPLATE = "ATE"
ENUMERATION_SET = "MSR"
ENUMERATION_VALUE = "MVR"
ANALYSIS_RULE = "XRX"
TIME_RULE = "TRX"
OWNED = (
    *(ELEMENT_ATTRIBUTE, FRAME_ATTRIBUTE, ATTRIBUTE_TEMPLATE, ENUMERATION_SET, ENUMERATION_VALUE),
    *(ANALYSIS_RULE, TIME_RULE),
)
_MARKERS = (
    *(DATA_SERVER, POINT, DIGITAL_SET, DIGITAL_STATE, *OWNED, ASSET_SERVER, ASSET_DATABASE),
    *(ELEMENT, EVENT_FRAME, ELEMENT_TEMPLATE, ANALYSIS, ANALYSIS_TEMPLATE, TABLE, UNIT, UNIT_CLASS),
    *(ELEMENT_CATEGORY, ATTRIBUTE_CATEGORY, ANALYSIS_CATEGORY, TABLE_CATEGORY),
)
_SERVERS = (DATA_SERVER, ASSET_SERVER)

_GUID_CHARS = 22
_INT_CHARS = 6
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*\Z")

ObjectId = int | uuid.UUID


class MalformedWebId(ValueError):
    """The text is not a WebID 2.0 of an object this server can have."""


@dataclass(frozen=True)
class WebId:
    """A decoded WebID; fields that its type omits are None."""

    kind: str
    marker: str
    server: uuid.UUID | None
    object_id: ObjectId | None
    name: str | None
    owner: uuid.UUID | None = None


def encode(
    kind: str,
    marker: str,
    server: uuid.UUID,
    object_id: ObjectId | None,
    path: str,
    *,
    owner: uuid.UUID | None = None,
) -> str:
    """The WebID of an object; `kind` is a letter of `KINDS`, a server has no `object_id` of its own.

    The name of a PI object omits the leading backslashes of its path. Markers in `OWNED` need an `owner`.
    """
    fields = f"{kind}1{marker}"
    if kind in "FI":
        fields += _guid_text(server)
        if owner is not None:
            fields += _id_text(owner)
        if object_id is not None:
            fields += _id_text(object_id)
    elif kind in "LD":
        fields += _id_text(server if object_id is None else object_id)
    if kind in "FP":
        fields += _text(path.removeprefix("\\\\").upper().encode())
    return fields


@lru_cache(maxsize=16_384)
def decode(text: str) -> WebId:
    """The fields of a WebID.

    Raises:
        MalformedWebId: when the text is not a WebID 2.0 of an object that PI Web API knows.
    """
    kind, marker = text[:1], _marker(text)
    if kind not in KINDS.values() or text[1:2] != "1" or not marker or not _ALPHABET.match(text):
        raise MalformedWebId(text)
    rest = text[2 + len(marker) :]
    server: uuid.UUID | None = None
    object_id: ObjectId | None = None
    owner: uuid.UUID | None = None
    if kind in "FI":
        server, rest = _guid(rest[:_GUID_CHARS]), rest[_GUID_CHARS:]
    if kind in "FI" and marker in OWNED:
        owner, rest = _guid(rest[:_GUID_CHARS]), rest[_GUID_CHARS:]
    if kind in "LD" or (kind in "FI" and marker not in _SERVERS):
        object_id, rest = _object_id(marker, rest)
    if kind in "FP":
        return WebId(kind, marker, server, object_id, _name(rest), owner)
    if rest:
        raise MalformedWebId(text)
    return WebId(kind, marker, server, object_id, None, owner)


def _marker(text: str) -> str:
    return next((marker for marker in _MARKERS if text.startswith(marker, 2)), "")


def _text(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode()


@lru_cache(maxsize=1_024)
def _guid_text(guid: uuid.UUID) -> str:
    return _text(guid.bytes_le)


def _id_text(object_id: ObjectId) -> str:
    if isinstance(object_id, uuid.UUID):
        return _guid_text(object_id)
    return _text(object_id.to_bytes(4, "little", signed=True))


def _raw(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise MalformedWebId(text) from error


def _guid(text: str) -> uuid.UUID:
    raw = _raw(text)
    if len(raw) != 16:
        raise MalformedWebId(text)
    return uuid.UUID(bytes_le=raw)


def _object_id(marker: str, rest: str) -> tuple[ObjectId, str]:
    if marker != POINT:
        return _guid(rest[:_GUID_CHARS]), rest[_GUID_CHARS:]
    raw = _raw(rest[:_INT_CHARS])
    if len(raw) != 4:
        raise MalformedWebId(rest)
    return int.from_bytes(raw, "little", signed=True), rest[_INT_CHARS:]


def _name(text: str) -> str:
    raw = _raw(text)
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedWebId(text) from error
    if not name:
        raise MalformedWebId(text)
    return name
