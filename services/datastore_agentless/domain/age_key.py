"""The key that a project's backups are encrypted to: nodes are told its public half alone, unless they restore."""

from __future__ import annotations

from dataclasses import dataclass

from pyrage import x25519

from shared.secrets import Secret


@dataclass(frozen=True)
class AgeKey:
    """A pair for the tool `age`: `public` is a recipient, as in `age1...`, `private` an identity. Source: age's C2SP spec."""

    project_id: str
    public: str
    private: Secret

    @classmethod
    def create(cls, project_id: str) -> AgeKey:
        """A new X25519 pair."""
        identity = x25519.Identity.generate()
        return cls(project_id, str(identity.to_public()), Secret(str(identity)))
