"""The `static` provider: a pool of hosts that somebody else has set up, leased one by one over SSH."""

from services.provisioner.providers.static.inventory import parse_inventory
from services.provisioner.providers.static.provider import Provider

__all__ = ["Provider", "parse_inventory"]
