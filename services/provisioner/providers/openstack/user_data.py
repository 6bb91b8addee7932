"""What a server is told at its first boot: which key to show, and whom to let in."""

from __future__ import annotations

import base64
import json
from typing import Any

from services.provisioner.domain.instance import Instance


def user_data(instance: Instance) -> str:
    """cloud-init's user-data, in base64. Any image with cloud-init understands it; JSON is YAML."""
    cloud_config = "#cloud-config\n" + json.dumps(_config(instance))
    return base64.b64encode(cloud_config.encode()).decode()


def _config(instance: Instance) -> dict[str, Any]:
    # The image's own user would be a second way in, so it is not made.
    root = instance.user == "root"
    user = {
        "name": instance.user, "ssh_authorized_keys": [instance.public_key], "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/bash", "lock_passwd": True,
    }  # fmt: skip
    return {
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": instance.host_key_private.reveal(), "ed25519_public": instance.host_key},
        "ssh_pwauth": False,
        "disable_root": not root,
        "users": [] if root else [user],
        "ssh_authorized_keys": [instance.public_key] if root else [],
    }
