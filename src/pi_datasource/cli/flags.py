"""Generates the command line flags from the declaration of the options: one flag per option, with its description."""

from __future__ import annotations

import inspect
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from itertools import chain
from typing import Annotated, Any, Optional, get_args

import typer

from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.tables import registry

PANEL = "PI options"


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds a flag for every option to ``command``, which gets the given ones as ``options``, a dict of strings.

    An environment variable replaces a missing flag: ``PI_START_TIME`` that of ``--start-time``.
    """
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "options"
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in Options.model_fields if name in given}
        command(options={name: value for name, value in options.items() if value is not None}, **given)

    parameters = [*own, *map(_flag, Options.model_fields)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def completer(values: Iterable[str]) -> Callable[[str], list[str]]:
    """A shell completion for one of ``values``, or for the last item of a comma-separated list of them."""

    def complete(incomplete: str) -> list[str]:
        before, comma, prefix = incomplete.rpartition(",")
        return [before + comma + value for value in values if value.startswith(prefix)]

    return complete


_COMPLETIONS: dict[str, Callable[[], list[str]]] = {
    "table": lambda: list(registry.TABLES),
    "columns": lambda: list(dict.fromkeys(chain.from_iterable(map(registry.column_names, registry.TABLES)))),
    "time_zone": lambda: sorted(zoneinfo.available_timezones()),
}


def _values(name: str) -> list[str]:
    if name in _COMPLETIONS:
        return _COMPLETIONS[name]()
    kind = Options.model_fields[name].annotation
    literals = [value for value in get_args(kind) if isinstance(value, str)]
    return ["true", "false"] if kind is bool else literals


def _flag(name: str) -> inspect.Parameter:
    values = _values(name)
    flag = typer.Option(
        f"--{name.replace('_', '-')}",
        envvar=f"PI_{name.upper()}",
        help=(Options.model_fields[name].description or "").replace("`", ""),
        rich_help_panel=PANEL,
        show_default=False,
        show_envvar=False,
        autocompletion=completer(values) if values else None,
    )
    annotation = Annotated[Optional[str], flag]  # noqa: UP045 - evaluated by typer on Python 3.10
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def override(
    context: typer.Context, options: Mapping[str, str], name: str, spelling: str, value: str | None
) -> dict[str, str]:
    """``options`` with the ``value`` of another ``spelling`` of the flag of option ``name``, if one was given.

    It takes precedence over the environment variable.

    Raises:
        InvalidOption: both flags were given on the command line, with different values.
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


def parse_options(options: dict[str, str]) -> Options:
    """Validates the options of a command line, which must include ``url``.

    Raises:
        InvalidOption: an option is missing or invalid.
    """
    if "url" not in options:
        message = (
            "give the address of PI Web API: --url https://HOST/piwebapi, or the environment variable PI_URL"
        )
        raise InvalidOption(message)
    parsed = Options.parse(options)
    registry.lookup(parsed.table).schema(parsed)
    return parsed
