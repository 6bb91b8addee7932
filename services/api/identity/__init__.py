"""Who asks, where Keystone says so: its tokens, and a policy that turns its roles into ours."""

from __future__ import annotations

from services.api.identity.judge import KeystoneJudge
from services.api.identity.keystone import Identity, Keystone
from services.api.identity.policy import Policy, parse_policy_file

__all__ = ["Identity", "Keystone", "KeystoneJudge", "Policy", "parse_policy_file"]
