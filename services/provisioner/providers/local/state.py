"""What a container's state means of the server that it is."""

from __future__ import annotations

from docker.models.containers import Container

from services.provisioner.domain.instance import Instance, Status

# Exit codes of a host that was told to go: by SIGKILL and by SIGTERM.
KILLED = (137, 143)
_STATES = {"running": "ACTIVE", "created": "BUILD", "exited": "SHUTOFF", "stopped": "SHUTOFF", "dead": "ERROR",
           "configured": "BUILD", "initialized": "BUILD", "restarting": "BUILD", "paused": "UNKNOWN"}  # fmt: skip
_WORDS = {"paused": "the host is frozen, and would go on where it stopped"}


def read_state(container: Container, instance: Instance) -> tuple[str, int]:
    """Set what an instance is told of its server, from what the engine has just said; returns its status and percent."""
    instance.server_status, instance.message = (
        _STATES.get(container.status, "UNKNOWN"),
        _WORDS.get(container.status, ""),
    )
    settings = container.attrs["NetworkSettings"]
    networks = settings.get("Networks") or {}
    instance.addr = next((one["IPAddress"] for one in networks.values() if one.get("IPAddress")), instance.addr)
    instance.reach = {
        port.partition("/")[0]: f"127.0.0.1:{bound[0]['HostPort']}"
        for port, bound in (settings.get("Ports") or {}).items() if bound
    }  # fmt: skip
    if instance.server_status == "SHUTOFF" and container.attrs["State"].get("ExitCode") not in (0, *KILLED):
        instance.message = f"the host ended with code {container.attrs['State']['ExitCode']}"
        if instance.status in (Status.REQUESTED, Status.BUILDING):
            instance.server_status = "ERROR"
    instance.progress = 100 if instance.server_status == "ACTIVE" else 50
    return instance.server_status, instance.progress
