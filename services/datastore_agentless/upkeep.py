"""What the service does from time to time, asked by nobody."""

from __future__ import annotations

from services.datastore_agentless import actions, catalogue, dependencies
from services.datastore_agentless.store import health, samples


def announce_catalogue() -> None:
    """Say what datastores there are, at start and from time to time: consumers may be new."""
    catalogue.seed(dependencies.database(), dependencies.settings().managers)


def forget_old() -> None:
    """Drop events and tasks that were done with long ago."""
    dependencies.database().forget_old()
    health.forget_old(dependencies.database())
    samples.forget_old(dependencies.database())


def purge_restores() -> None:
    """Have go what was there before restores that nobody has confirmed or undone in time."""
    actions.purge(dependencies.database())


def count_secrets() -> None:
    """See by which keys secrets are sealed."""
    dependencies.state().count_secrets()


def look_at_stores() -> None:
    """See whether the stores of backups answer."""
    dependencies.reaching().look()
