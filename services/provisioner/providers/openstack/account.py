"""Who asks the cloud, and how: one connection, with a bound on the calls under way and on the time of each."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, cast

import requests
from keystoneauth1.identity import v3
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

from services.provisioner.domain.delegation import Delegation, Kind
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.openstack.settings import OpenStackSettings
from shared.cloud import login

# What says who somebody is, apart from the project that he works in.
_PERSON = ("username", "user_id", "password", "user_domain_name", "user_domain_id")


class Gate(TCPKeepAliveAdapter):
    """Lets so many HTTP exchanges through at a time, each with a time limit, and counts them.

    It stands below everything that openstacksdk does, so that a token asked for in the middle of a call does not wait
    for that call.
    """

    def __init__(self, at_once: int, seconds: float) -> None:
        self.calls = 0
        self._gate, self._seconds = threading.BoundedSemaphore(at_once), seconds
        super().__init__(pool_maxsize=at_once, pool_block=False)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """One exchange. Raises requests.RequestException."""
        kwargs["timeout"] = kwargs.get("timeout") or self._seconds
        with self._gate:
            self.calls += 1
            answer: requests.Response = super().send(request, *args, **kwargs)
        return answer


def connect(chosen: OpenStackSettings, gate: Gate, lent: Delegation | None = None) -> Connection:
    """A connection through `gate`, which asks for its token at first use; with `lent` to the project that is lent.

    Raises openstack.exceptions.ConfigException, ProviderError.
    """
    line = requests.Session()
    for scheme in ("http://", "https://"):
        line.mount(scheme, gate)
    files = [chosen.os_client_config_file] if chosen.os_client_config_file else None
    constructor = cast("type[Session]", partial(Session, session=line))
    config = OpenStackConfig(
        config_files=files, load_yaml_config=bool(chosen.os_cloud), load_envvars=False, session_constructor=constructor
    )
    region = config.get_one(cloud=chosen.os_cloud or None, **_overrides(chosen))
    if lent is not None:
        # The same cloud in all but who comes in: where it is said to be, nobody who lends has a word in.
        region = CloudRegion(
            name=region.name, config=region.config, auth_plugin=_who_is_let_in(region, lent), openstack_config=config,
            session_constructor=constructor,
        )  # fmt: skip
    return Connection(config=region)


def _who_is_let_in(region: CloudRegion, lent: Delegation) -> BaseAuthPlugin:
    """Whom to come in as, instead of the service's account in its own project."""
    own = region.config["auth"]
    if lent.kind is Kind.APPLICATION_CREDENTIAL:
        return v3.ApplicationCredential(
            own["auth_url"], application_credential_id=lent.credential_id,
            application_credential_secret=lent.secret.reveal(),
        )  # fmt: skip
    if not own.get("password"):
        raise ProviderError("a trust can be used by a user with a password only, and the service's own account is none",
                            what_to_do="lend an application credential instead")  # fmt: skip
    return v3.Password(own["auth_url"], trust_id=lent.credential_id, **{name: own.get(name) for name in _PERSON})


def _overrides(chosen: OpenStackSettings) -> dict[str, Any]:
    asked: dict[str, Any] = {"api_timeout": chosen.call_seconds, **login(chosen)}
    if not chosen.os_cloud:
        asked["compute_interface"] = chosen.os_nova_endpoint_type
    if chosen.os_nova_bypass_url:
        asked["compute_endpoint_override"] = chosen.os_nova_bypass_url
    return asked
