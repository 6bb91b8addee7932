"""What the provisioner can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.provisioner.providers import provider_class
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.fake.faults import FAULTS, parse_faults
from services.provisioner.providers.static import parse_inventory
from shared import options
from shared.config import option
from shared.secrets import Secret


def parse_provider(raw: Any) -> str:
    """A provider that imports. Raises ValueError with a sentence."""
    try:
        provider_class(str(raw))
    except ProviderError as error:
        raise ValueError(f"{error.message}; {error.what_to_do}") from error
    return str(raw)


def given_faults(raw: Any) -> str:
    """A text that means faults. Raises ValueError with a sentence."""
    parse_faults(str(raw))
    return str(raw)


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = options.database_url("PROVISIONER_DATABASE_URL", "the provisioner's")
    amqp_uri: str = options.amqp_uri()
    keyring: str = options.keyring()
    home: str = options.home()
    provider: str = option(
        "DTROVE_PROVIDER", "where servers come from: local, static, fake, or the dotted path of a provider class",
        default="local", parse=parse_provider,
    )  # fmt: skip
    ssh_user: str = option("DTROVE_SSH_USER", "the user that servers let in over SSH", default="root")
    local_publish: str = option(
        "DTROVE_LOCAL_PUBLISH", "provider local: always publish the ports of hosts on loopback, or auto: where they "
        "cannot be reached otherwise", default="auto", parse=options.one_of("auto", "always"),
    )  # fmt: skip
    static_hosts: str = option(
        "DTROVE_STATIC_HOSTS", "provider static: the YAML file that lists the hosts it may lease", default="",
        parse=parse_inventory,
    )  # fmt: skip
    fake_build_seconds: float = option(
        "DTROVE_FAKE_BUILD_SECONDS", "provider fake: seconds that a server takes to come up", default=0.2
    )
    fake_faults: str = option(
        "DTROVE_FAKE_FAULTS", "provider fake: what goes wrong, as call:fault*times, several with commas between: "
        f"`create:busy*2,update_status:500`; a fault is one of {', '.join(sorted(FAULTS))}", default="", parse=given_faults,
    )  # fmt: skip
    workers: int = option("DTROVE_PROVISIONER_WORKERS", "steps of the provisioner that run at the same time",
                          default=16, parse=options.whole(1, 256))  # fmt: skip
    server_deadline: float = option("DTROVE_SERVER_DEADLINE", "seconds a server may take to come up", default=600.0)
    os_auth_url: str = option(
        "OS_AUTH_URL", "the URL of OpenStack's identity service", default="http://0.0.0.0:5000/v2.0"
    )
    os_nova_bypass_url: str = option("OS_NOVA_BYPASS_URL", "Nova's URL, instead of the catalogue's", default="")
    os_nova_endpoint_type: str = option("OS_NOVA_ENDPOINT_TYPE", "type of the Nova endpoint", default="publicURL")
    os_username: str = option("OS_USERNAME", "OpenStack user that owns all servers", default="")
    os_password: Secret = option("OS_PASSWORD", "that user's password", default=Secret(""), secret=True)
    os_project_id: str = option("OS_PROJECT_ID", "that user's project", default="")
    log_level: str = options.log_level()

    @staticmethod
    def wrong_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The keyring must be there; a provider wants what it works with."""
        yield from options.keyring_is_wrong(chosen)
        if chosen.get("DTROVE_PROVIDER") == "static" and chosen.get("DTROVE_STATIC_HOSTS") == "":
            yield "DTROVE_STATIC_HOSTS", "is not set: the provider static needs the file that lists its hosts"

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many."""
        yield from options.sqlite_is_unwise("PROVISIONER_DATABASE_URL", chosen)
