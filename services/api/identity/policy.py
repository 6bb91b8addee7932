"""Which of DTrove's roles somebody has whom Keystone knows, in oslo.policy's language and from its kind of file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from oslo_config import cfg
from oslo_policy import policy

from services.api.actions.access import ROLES
from services.api.identity.keystone import Identity

DEFAULTS = {"admin": "role:admin", "member": "rule:admin or role:member", "reader": "rule:member or role:reader"}


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


class Policy:
    """Rules from `file`, where one is named, over the defaults; a file that changes is read again."""

    def __init__(self, file: str = "") -> None:
        conf = cfg.ConfigOpts()
        conf([], project="dtrove", default_config_files=[])
        # Without a file of its own the library would look for one in places that are not ours.
        self._enforcer = policy.Enforcer(conf, policy_file=file or os.devnull)
        conf.set_override("policy_dirs", [], group="oslo_policy")
        self._enforcer.register_defaults([policy.RuleDefault(name, rule) for name, rule in DEFAULTS.items()])

    def role_of(self, identity: Identity) -> str:
        """The highest role that the rules give; empty for none."""
        known = {
            "roles": list(identity.roles), "user_id": identity.user_id, "project_id": identity.project_id,
            "project_domain_id": identity.domain_id,
        }  # fmt: skip
        target = {"project_id": identity.project_id, "user_id": identity.user_id}
        return next((role for role in reversed(ROLES) if self._enforcer.enforce(role, target, known)), "")
