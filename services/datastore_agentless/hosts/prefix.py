"""DTROVE_PREFIX: what stands before every remote command, with the properties of the instance that it is for.

`sudo ` for a user who is not root; `sudo vzctl exec %(local_id)s ` to work through the console of the compute host, where
the instance itself is not reached over SSH.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.datastore_agentless.hosts.base import quote
from shared.errors import Failure


def fill(prefix: str, properties: Mapping[str, object], user: str) -> str:
    """The prefix for one instance, each value quoted for the shell. Root needs no plain sudo.

    Raises Failure for a name that no instance has.
    """
    words = prefix.strip()
    if not words or (user == "root" and words.startswith("sudo") and not names_instance(prefix)):
        return ""
    try:
        return words % {name: quote(value) for name, value in properties.items()} + " "
    except KeyError as error:
        raise Failure(
            f"DTROVE_PREFIX names {error}, which no instance has",
            what_to_do=f"use one of {', '.join(sorted(properties))}, then start datastore_agentless again",
        ) from error
    except (TypeError, ValueError) as error:
        raise Failure(
            f"DTROVE_PREFIX {prefix!r} is no pattern: {error}",
            what_to_do="write properties as %(local_id)s and a percent sign as %%",
        ) from error


def names_instance(prefix: str) -> bool:
    """Whether a prefix leads somewhere else than the host that is logged in to: it says which instance it means."""
    return "%(" in prefix
