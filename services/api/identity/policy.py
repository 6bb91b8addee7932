"""Which of DTrove's roles somebody has whom Keystone knows, in oslo.policy's language and from its kind of file."""

from __future__ import annotations

import os

from oslo_config import cfg
from oslo_policy import policy

from services.api.actions.access import ROLES
from services.api.identity.keystone import Identity

DEFAULTS = {"admin": "role:admin", "member": "rule:admin or role:member", "reader": "rule:member or role:reader"}


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
