"""The `fake` provider: a cloud in memory, or in one small file, whose faults are ordered; no server is ever real."""

from services.provisioner.providers.fake.cloud import Cloud
from services.provisioner.providers.fake.faults import Fault, Faults
from services.provisioner.providers.fake.provider import Provider

__all__ = ["Cloud", "Fault", "Faults", "Provider"]
