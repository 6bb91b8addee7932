"""Watching databases: who looks at which cluster and when, what is seen, and what is made of it."""

from services.datastore_agentless.watching.hands import Hands
from services.datastore_agentless.watching.looking import Looker
from services.datastore_agentless.watching.pace import Pace
from services.datastore_agentless.watching.watch import Watch

__all__ = ["Hands", "Looker", "Pace", "Watch"]
