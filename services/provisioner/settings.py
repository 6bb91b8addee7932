"""What the provisioner can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.provisioner.providers import provider_class
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.fake.faults import FAULTS, parse_faults
from services.provisioner.providers.openstack.settings import OpenStackSettings
from services.provisioner.providers.static import parse_inventory
from shared import options
from shared.cloud import no_authority, nobody_to_be
from shared.config import option


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


@dataclass(frozen=True, kw_only=True)
class Settings(OpenStackSettings):
    """One field per option."""

    database_url: str = options.database_url("PROVISIONER_DATABASE_URL", "the provisioner's")
    amqp_uri: str = options.amqp_uri()
    keyring: str = options.keyring()
    home: str = options.home()
    provider: str = option(
        "DTROVE_PROVIDER", "where servers come from: local, static, openstack, fake, or the dotted path of a provider class",
        default="local", parse=parse_provider,
    )  # fmt: skip
    clusters_in: str = option(
        "DTROVE_CLUSTERS_IN", "whose project of the cloud clusters are made in: service (that of DTrove's own account), or project "
        "(that which a DTrove project has lent with `dtrove project delegate`)", default="service",
        parse=options.one_of("service", "project"),
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
    log_level: str = options.log_level()

    @staticmethod
    def wrong_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The keyring must be there; a provider wants what it works with."""
        yield from options.keyring_is_wrong(chosen)
        if chosen.get("DTROVE_PROVIDER") == "static" and chosen.get("DTROVE_STATIC_HOSTS") == "":
            yield "DTROVE_STATIC_HOSTS", "is not set: the provider static needs the file that lists its hosts"
        provider = str(chosen.get("DTROVE_PROVIDER") or "")
        if chosen.get("DTROVE_CLUSTERS_IN") == "project" and not provider_class(provider).supports_delegation:
            yield (
                "DTROVE_CLUSTERS_IN",
                f"cannot be project: the provider {provider} knows no accounts but the service's own",
            )
        if provider == "openstack":
            yield from no_authority(chosen)
            yield from nobody_to_be(chosen, "the provider openstack")

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many."""
        yield from options.sqlite_is_unwise("PROVISIONER_DATABASE_URL", chosen)
