"""The file with rules that an operator may name, read without the library that judges by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from services.api.actions.access import ROLES


def parse_policy_file(raw: Any) -> str:
    """A YAML file with rules for reader, member and admin, some or all. Raises ValueError with a sentence."""
    path = Path(str(raw)).expanduser()
    try:
        found = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(rule, str) for rule in found.values()):
        raise ValueError(f'{path} must map names to rules, as in `member: "role:dba"`')
    if strange := sorted(str(name) for name in found if name not in ROLES):
        raise ValueError(f"{path} has a rule for {', '.join(strange)}; there are {', '.join(ROLES)}")
    return str(path)
