"""Read config.yaml as nameko reads it, without nameko: `${VAR:default}`, where a default may hold another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import regex
import yaml

from shared.config import with_files

# Source of the syntax: nameko's documentation, "Environment variables in YAML config".
_VARIABLE = regex.compile(r"\$\{([^{}:\s]+)(?::((?:[^{}]|\{(?2)\})*))?\}")


class _Loader(yaml.SafeLoader):
    """A loader of its own, so that the tags are not added to everyone's."""

    environ: Mapping[str, str] = {}


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace each `${VAR:default}` by the variable's value, or by its default where it is not set."""

    def value_of(match: Any) -> str:
        name, default = match.groups()
        return environ[name] if name in environ else expand(default or "", environ)

    return str(_VARIABLE.sub(value_of, text))


def load(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The options of the file at `path`. Raises OSError, yaml.YAMLError or ConfigInvalid."""
    loader = type("Loader", (_Loader,), {"environ": environ})
    with path.open() as file:
        found = yaml.load(file, Loader=loader) or {}  # noqa: S506  (a SafeLoader, with two tags more)
    return with_files(found, environ)


def _plain(loader: _Loader, node: yaml.ScalarNode) -> Any:
    raw = str(loader.construct_scalar(node))
    value = expand(raw, loader.environ)
    return value if value == raw else yaml.safe_load(value)


def _raw(loader: _Loader, node: yaml.ScalarNode) -> str:
    return expand(str(loader.construct_scalar(node)), loader.environ)


_Loader.add_constructor("!env_var", _plain)
_Loader.add_constructor("!raw_env_var", _raw)
_Loader.add_implicit_resolver("!env_var", regex.compile(r".*\$\{.*\}.*"), None)
