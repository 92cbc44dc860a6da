r"""PI's name filters: `*` any text, `?` one character, `[ab]` and `[!ab]` sets, `\` escapes a character."""

import re

_WILD = frozenset("*?[")


def has_wildcards(text: str) -> bool:
    """Whether the filter can match more than one name."""
    return bool(_WILD & set(re.sub(r"\\.", "", text, flags=re.DOTALL)))


def unescape(text: str) -> str:
    """The name that a filter without wildcards matches."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def folded(name: str) -> str:
    """A key that is equal for names that PI treats as equal; WebIDs contain names in upper case."""
    return name.upper().casefold()


def wildcard_pattern(text: str) -> "re.Pattern[str]":
    """The case-insensitive regular expression that matches exactly the names the filter matches."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        piece, at = _piece(text, at)
        parts.append(piece)
    return re.compile("".join(parts) + r"\Z", re.IGNORECASE | re.DOTALL)


def _piece(text: str, at: int) -> tuple[str, int]:
    char = text[at]
    if char == "\\" and at + 1 < len(text):
        return re.escape(text[at + 1]), at + 2
    if char == "[" and (end := text.find("]", at + 2)) > 0:
        inside = text[at + 1 : end]
        negated = inside.startswith("!") and len(inside) > 1
        chars = inside[1:] if negated else inside
        return f"[{'^' if negated else ''}{_set_members(chars)}]", end + 1
    return {"*": ".*", "?": "."}.get(char, re.escape(char)), at + 1


def _set_members(chars: str) -> str:
    """The set's characters, escaped; an ascending range such as `a-z` remains one."""

    def escaped(match: "re.Match[str]") -> str:
        low, high = match[1], match[2]
        return f"{re.escape(low)}-{re.escape(high)}" if low <= high else re.escape(match[0])

    parts = re.split(r"(.-.)", chars, flags=re.DOTALL)
    return "".join(
        re.sub(r"(.)-(.)", escaped, part, flags=re.DOTALL) if len(part) == 3 else re.escape(part)
        for part in parts
    )
