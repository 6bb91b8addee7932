"""What is shown of the last day of nodes."""

from __future__ import annotations

from typing import cast

from marshmallow import fields

from services.api.schemas.answer import Shown, identity, many, moment, text

MEASURED = {
    "load": "how many processes ran or waited, on average of a minute",
    "disk_free_percent": "of the disk with the data",
    "lag_seconds": "how far a replica was behind",
    "connections": "clients that were connected",
    "operations_per_second": "statements (mysql), transactions (pgsql) or commands (redis) since the sample before",
}


def _measured(words: str) -> fields.Float:
    return fields.Float(required=True, allow_none=True, metadata={"description": f"{words}; null: not known"})


# A schema has a method `load`, so that the field of that name cannot stand in a class.
Sample = cast(
    "type[Shown]",
    Shown.from_dict({"at": moment(), **{name: _measured(words) for name, words in MEASURED.items()}}, name="Sample"),
)
Sample.__doc__ = "What was measured of a node at a moment."


class NodeSamples(Shown):
    """A node's, the oldest first."""

    instance = identity()
    name = text()
    samples = many(Sample)


class Samples(Shown):
    """Those of a cluster's nodes of which there are any."""

    nodes = many(NodeSamples)
