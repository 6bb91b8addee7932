"""Datastore managers, one folder each, and the door to them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.datastore import Datastore
from shared.errors import Failure


def load_manager(name: str, datastore: Datastore, registered: Iterable[tuple[str, str]] = ()) -> BaseManager:
    """The manager called `name`: a registered name, or the dotted path of a class. Raises Failure."""
    return manager_class(name, registered)(datastore)


def manager_class(name: str, registered: Iterable[tuple[str, str]] = ()) -> type[BaseManager]:
    """The class of the manager called `name`. Raises Failure."""
    names = {known: path for path, known in registered}
    path = names.get(name, name)
    module, _, attribute = path.rpartition(".")
    try:
        chosen = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        # An administrator may name any module, and some end the program that imports them.
        known = ", ".join(sorted(names)) or "none"
        raise Failure(
            f"there is no datastore manager {name!r}: {error}",
            what_to_do=f"use one of DTROVE_DATASTORE_MANAGERS ({known}), or the dotted path of a class",
        ) from error
    if not (isinstance(chosen, type) and issubclass(chosen, BaseManager)):
        raise Failure(f"{path} is no datastore manager", what_to_do="derive it from BaseManager")
    return chosen
