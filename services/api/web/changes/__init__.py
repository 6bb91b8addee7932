"""Every change of a cluster that is shown as a plan before it is done, by the name that its page has."""

from __future__ import annotations

from services.api.web.changes import accounts, contents, nodes, parameters
from services.api.web.changes.base import Kind

KINDS: dict[str, Kind] = {**nodes.KINDS, **accounts.KINDS, **parameters.KINDS, **contents.KINDS}
