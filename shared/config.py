"""Configuration: options are declared once, as fields of a settings dataclass, and read once, at start."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from shared.errors import DtroveError
from shared.secrets import Secret

S = TypeVar("S")
MASK, REQUIRED = "***", "(required)"
# `<option>_FILE` in the environment names a file in which the option's value stands.
FILE = "_FILE"
# Source: sysexits.h, EX_CONFIG. Supervisors and scripts tell by it that starting again will not help.
EXIT_CODE = 78
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
# A password may hold an @, and several URLs may stand one after the other with ; between.
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)\S*?@(?=[^@\s]*(?:;\w+://|\s|$))")

# What looks at several options at once: is given every value that is right by itself (defaults included), by option
# name, and yields pairs of the option to mend and a sentence.
Rule = Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]


class ConfigInvalid(DtroveError):
    """The configuration lacks something or holds something wrong; `problems` lists every one."""

    def __init__(self, problems: list[str]) -> None:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the configuration has {count}:\n{listing}",
                         what_to_do="mend config.yaml or the environment, then start again")  # fmt: skip
        self.problems = problems


@dataclass(frozen=True)
class Described:
    """One option as `dtrove config` shows it; a secret's value is masked. `problem` is why it is refused."""

    name: str
    value: str
    default: str
    meaning: str
    given: bool
    warning: str = ""
    problem: str = ""


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
    """Build `settings` from configured values by option name. Raises ConfigInvalid with all that is wrong.

    A settings class may have `wrong_together` and `unwise_together`, rules over several options.
    """
    built, problems = _read(settings, values)
    if problems:
        raise ConfigInvalid([text for _, text in problems])
    return settings(**built)


def with_files(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The options of a configuration file, those with what stands in a file for which the environment has `<option>_FILE`.

    So a secret needs to be in no environment, which is handed on to every child. The variable itself, where set, wins.
    Raises ConfigInvalid for files that cannot be read.
    """
    found, problems = dict(values), []
    for name in values:
        path = environ.get(name + FILE, "")
        if not path or environ.get(name) or name + FILE in values:
            continue
        try:
            found[name] = Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}{FILE}: {path} cannot be read: {error}")
    if problems:
        raise ConfigInvalid(problems)
    return found


def secret_names(settings: Iterable[type[Any]], environ: Mapping[str, str]) -> list[str]:
    """The options whose values in the environment are secrets, or URLs with a password."""
    hidden = {item.metadata["option"]: item.metadata["secret"] for one in settings for item in fields(one)}
    return [
        name
        for name, secret in hidden.items()
        if (value := environ.get(name)) and (secret or _PASSWORD_IN_URL.search(value))
    ]


def problems_of(settings: Iterable[type[Any]], values: Mapping[str, Any]) -> list[str]:
    """All that is wrong for any of these settings, each thing once."""
    return list(dict.fromkeys(text for one in settings for _, text in _read(one, values)[1]))


def describe(settings: type[Any], values: Mapping[str, Any]) -> list[Described]:
    """Every option of `settings` with value, default, meaning, warnings and problem."""
    built, problems = _read(settings, values)
    unwise = list(_rule(settings, "unwise_together")(_effective(settings, built, problems)))
    rows = []
    for item in fields(settings):
        name, default = item.metadata["option"], _default_of(item)
        value = built.get(item.name, default)
        warn = item.metadata["warn"]
        warnings = [warn(value)] if warn and value is not MISSING else []
        warnings += [text for about, text in unwise if about == name]
        rows.append(
            Described(
                name=name,
                value=_shown(item, value),
                default=REQUIRED if default is MISSING else _shown(item, default),
                meaning=item.metadata["meaning"],
                given=values.get(name) not in (None, ""),
                warning="; ".join(filter(None, warnings)),
                problem="; ".join(text for about, text in problems if about == name),
            )
        )
    return rows


def _shown(item: dataclasses.Field[Any], value: Any) -> str:
    if value is MISSING or value is None:
        return ""
    if item.metadata["secret"] or isinstance(value, Secret):
        return MASK if value else ""
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        value = " ".join(value)
    return _PASSWORD_IN_URL.sub(rf"\1{MASK}@", str(value))


def _read(settings: type[Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The values that are right, by field, and what is wrong: pairs of option name and sentence."""
    hints = get_type_hints(settings)
    built: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for item in fields(settings):
        name, raw = item.metadata["option"], values.get(item.metadata["option"])
        if raw is None or raw == "":
            if _default_of(item) is MISSING:
                problems.append((name, f"{name} is not set: {item.metadata['meaning']}"))
            continue
        try:
            parse = item.metadata["parse"]
            built[item.name] = parse(raw) if parse else _convert(hints[item.name], raw)
        except ValueError as error:
            problems.append((name, f"{name}: {error}"))
    rule = _rule(settings, "wrong_together")
    problems += [(name, f"{name}: {text}") for name, text in rule(_effective(settings, built, problems))]
    return built, problems


def _effective(settings: type[Any], built: Mapping[str, Any], problems: list[tuple[str, str]]) -> dict[str, Any]:
    """What holds, by option name; options that are wrong are absent."""
    wrong = {name for name, _ in problems}
    found = {item.metadata["option"]: built.get(item.name, _default_of(item)) for item in fields(settings)}
    return {name: value for name, value in found.items() if value is not MISSING and name not in wrong}


def _rule(settings: type[Any], name: str) -> Rule:
    rule: Rule = getattr(settings, name, lambda _: ())
    return rule


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
        return _number(kind, raw)
    return str(raw) if kind is str else raw


def _number(kind: type[int] | type[float], raw: Any) -> int | float:
    try:
        number = kind(str(raw))
    except ValueError:
        raise ValueError(f"{raw!r} is not a {'whole ' if kind is int else ''}number") from None
    if number < 0:
        raise ValueError(f"{raw!r} is below zero")
    return number


def _truth(raw: Any) -> bool:
    text = str(raw).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{raw!r} is neither true nor false")
