"""Configuration: options are declared once, as fields of a settings dataclass, and read once, at start."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, get_args, get_type_hints

from shared.errors import DtroveError
from shared.secrets import Secret

S = TypeVar("S")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class ConfigInvalid(DtroveError):
    """The configuration lacks something or holds something wrong; `problems` lists every one."""

    def __init__(self, problems: list[str]) -> None:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the configuration has {len(problems)} problem(s):\n{listing}",
                         what_to_do="mend config.yaml or the environment, then start again")  # fmt: skip
        self.problems = problems


@dataclass(frozen=True)
class Described:
    """One option as `dtrove config` shows it; a secret's value is masked."""

    name: str
    value: str
    source: str
    default: str
    meaning: str
    warning: str = ""


def option(
    name: str,
    meaning: str,
    *,
    default: Any = MISSING,
    secret: bool = False,
    parse: Callable[[Any], Any] | None = None,
    warn: Callable[[Any], str] | None = None,
) -> Any:
    """Declare an option as a dataclass field.

    `parse` turns the configured value into the field's and raises ValueError with a sentence for a wrong one;
    `warn` returns a sentence for a value that works but is unwise, else an empty string. No `default`: required.
    """
    metadata = {"option": name, "meaning": meaning, "secret": secret, "parse": parse, "warn": warn}
    if default is MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def read(settings: type[S], values: Mapping[str, Any]) -> S:
    """Build `settings` from configured values by option name. Raises ConfigInvalid with all that is wrong."""
    built, problems = _read(settings, values)
    if problems:
        raise ConfigInvalid(problems)
    return settings(**built)


def describe(settings: type[Any], values: Mapping[str, Any]) -> list[Described]:
    """Every option of `settings` with value, source, default, meaning and warning."""
    built, _ = _read(settings, values)
    rows = []
    for item in fields(settings):
        name, default = item.metadata["option"], _default_of(item)
        value = built.get(item.name, default)
        masked = item.metadata["secret"] or isinstance(value, Secret)
        given = values.get(name) not in (None, "")
        warn = item.metadata["warn"]
        rows.append(
            Described(
                name=name,
                value="***" if masked and value else "" if value is MISSING else str(value),
                source="configured" if given else "default",
                default="(required)" if default is MISSING else "" if masked else str(default),
                meaning=item.metadata["meaning"],
                warning=warn(value) if warn and value is not MISSING else "",
            )
        )
    return rows


def _read(settings: type[Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    hints = get_type_hints(settings)
    built: dict[str, Any] = {}
    problems: list[str] = []
    for item in fields(settings):
        name, raw = item.metadata["option"], values.get(item.metadata["option"])
        if raw is None or raw == "":
            if _default_of(item) is MISSING:
                problems.append(f"{name} is not set: {item.metadata['meaning']}")
            continue
        try:
            parse = item.metadata["parse"]
            built[item.name] = parse(raw) if parse else _convert(hints[item.name], raw)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return built, problems


def _default_of(item: dataclasses.Field[Any]) -> Any:
    if item.default is not MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not MISSING else MISSING


def _convert(kind: Any, raw: Any) -> Any:
    kind = next((arg for arg in get_args(kind) if arg is not type(None)), kind) if get_args(kind) else kind
    if kind is bool:
        return _truth(raw)
    if kind is Secret:
        return Secret(str(raw))
    if kind in (int, float):
        try:
            return kind(raw)
        except (TypeError, ValueError):
            raise ValueError(f"{raw!r} is not a number") from None
    return str(raw) if kind is str else raw


def _truth(raw: Any) -> bool:
    text = str(raw).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{raw!r} is neither true nor false")
