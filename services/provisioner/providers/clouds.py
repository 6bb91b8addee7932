"""The provider in every account: the service's own, and those that projects have lent."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from services.provisioner.domain.delegation import Delegation
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import BaseProvider, Found, ProviderError
from shared.errors import DtroveError

OWN = ""
log = logging.getLogger(__name__)


class Lent(Protocol):
    """What projects have lent; store.delegations has the real one."""

    def find(self, project_id: str) -> Delegation | None:
        """A project's, if it has lent anything."""

    def every(self) -> list[Delegation]:
        """All of them."""


class Clouds:
    """Which provider answers for what. An account is called by the project that has lent it, the service's own by nothing."""

    def __init__(self, own: BaseProvider, lent: Lent | None = None) -> None:
        self.own = own
        self._lent = lent
        self._known: dict[str, tuple[Delegation, BaseProvider]] = {}

    def of(self, instance: Instance) -> BaseProvider:
        """The provider in the account that an instance is built in. Raises ProviderError where it is lent no more."""
        return self.account(instance.account)

    def account(self, name: str) -> BaseProvider:
        """The provider in an account. Raises ProviderError where nobody has lent it."""
        if name == OWN:
            return self.own
        there = self._lent.find(name) if self._lent else None
        if there is None:
            raise ProviderError(f"project {name} has not lent DTrove its project of the cloud",
                                what_to_do="lend it with `dtrove project delegate`, then retry")  # fmt: skip
        return self._bound(there)

    def ours_in(self, name: str) -> list[Found]:
        """What the provider holds of ours in an account. Raises ProviderError, ProviderBusy."""
        return _named(name, self.account(name))

    def list_ours(self) -> list[Found]:
        """What it holds in all accounts. One that a project has lent and that lets nobody in any more is left out, with a
        word in the log: the others are looked after all the same. Raises ProviderError, ProviderBusy.
        """
        seen = self.ours_in(OWN)
        for one in self._lent.every() if self._lent else ():
            try:
                seen += _named(one.project_id, self._bound(one))
            except DtroveError as error:
                log.warning(
                    "what is ours in the account of project %s cannot be seen: %s", one.project_id, error.message
                )
        return seen

    def _bound(self, delegation: Delegation) -> BaseProvider:
        """Kept, with its token, until the project lends something else."""
        known = self._known.get(delegation.project_id)
        if known is None or known[0] != delegation:
            known = self._known[delegation.project_id] = delegation, self.own.on_behalf(delegation)
        return known[1]


def _named(account: str, provider: BaseProvider) -> list[Found]:
    return [replace(one, account=account) for one in provider.list_ours()]
