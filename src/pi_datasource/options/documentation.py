"""The README's table of options and the texts of the command line's help, made from the declaration."""

from __future__ import annotations

from datetime import timedelta

from pi_datasource.options.declaration import Options


def describe() -> list[tuple[str, str, str]]:
    """Name, default and description of every option, in the order of the README's table."""
    return [
        (name, _default_text(field.default), field.description or "")
        for name, field in Options.model_fields.items()
    ]


def markdown() -> str:
    """The README's table of options."""
    rows = [
        f"| `{name}` | {default} | {text.replace('|', chr(92) + '|')} |" for name, default, text in describe()
    ]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def _default_text(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, timedelta):
        return f"`{int(default.total_seconds())}s`"
    if default is None or default == ():
        return "–"
    return "required" if repr(default) == "PydanticUndefined" else f"`{default}`"
