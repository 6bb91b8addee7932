"""The `local` provider: servers are containers of Docker or Podman on this machine, real hosts with sshd."""

from services.provisioner.providers.local.clean_up import clean_up
from services.provisioner.providers.local.provider import Provider

__all__ = ["Provider", "clean_up"]
