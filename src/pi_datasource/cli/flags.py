"""Command line flags made from the declaration of options: one option, one flag, one text."""

from __future__ import annotations

import inspect
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Annotated, Any, Optional, get_args

import typer

from pi_datasource import schema
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.tables import registry

PANEL = "PI options"


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with a flag for every option; it gets what was given as ``options``, a dict of strings.

    Every flag can also be given as an environment variable: ``--start-time`` as ``PI_START_TIME``.
    """
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "options"
    ]
    flags = [
        _flag(name, field.description or "", _values(name)) for name, field in Options.model_fields.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in Options.model_fields if name in given}
        command(options={name: value for name, value in options.items() if value is not None}, **given)

    parameters = [*own, *flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def completes(values: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell offers for the beginning of one of ``values``, or of the last one of a list."""

    def offer(incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        return [before + comma + value for value in values if value.startswith(begun)]

    return offer


_OFFERED: dict[str, Callable[[], list[str]]] = {
    "table": lambda: list(registry.TABLES),
    "columns": lambda: schema.timeseries().names,
    "time_zone": lambda: sorted(zoneinfo.available_timezones()),
}


def _values(name: str) -> list[str]:
    if name in _OFFERED:
        return _OFFERED[name]()
    kind = Options.model_fields[name].annotation
    return (
        ["true", "false"]
        if kind is bool
        else [str(value) for value in get_args(kind) if isinstance(value, str)]
    )


def _flag(name: str, description: str, values: list[str]) -> inspect.Parameter:
    flag = typer.Option(
        f"--{name.replace('_', '-')}",
        envvar=f"PI_{name.upper()}",
        help=description.replace("`", ""),
        rich_help_panel=PANEL,
        show_default=False,
        show_envvar=False,
        autocompletion=completes(values) if values else None,
    )
    annotation = Annotated[Optional[str], flag]  # noqa: UP045 - evaluated by typer on Python 3.10
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def override(
    context: typer.Context, options: Mapping[str, str], name: str, spelling: str, value: str | None
) -> dict[str, str]:
    """``options`` with ``value``, from another ``spelling`` of the flag of option ``name``; as they are without one.

    It takes precedence over an environment variable.

    Raises:
        InvalidOption: the flag itself was given another value on the same command line.
    """
    if value is None:
        return dict(options)
    source = context.get_parameter_source(name)
    if source is not None and source.name == "COMMANDLINE" and options[name] != value:
        message = (
            f"{spelling} and --{name.replace('_', '-')} are the same option and differ; give one of them"
        )
        raise InvalidOption(message)
    return {**options, name: value}


def checked(options: dict[str, str]) -> Options:
    """The options of a command line, which must name a server.

    Raises:
        InvalidOption: an option that cannot be used.
    """
    if "url" not in options:
        message = (
            "give the address of PI Web API: --url https://HOST/piwebapi, or the environment variable PI_URL"
        )
        raise InvalidOption(message)
    sound = Options.parse(options)
    registry.lookup(sound.table).schema(sound)
    return sound
