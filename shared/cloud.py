"""Who somebody is to an OpenStack, as the OS_* options say it: for every service that asks one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import options
from shared.config import option
from shared.secrets import Secret

ENDPOINT_TYPES = ("public", "internal", "admin")


def parse_endpoint_type(raw: Any) -> str:
    """public, internal or admin, also as publicURL and so on. Raises ValueError with a sentence."""
    text = str(raw).removesuffix("URL").lower()
    if text not in ENDPOINT_TYPES:
        raise ValueError(f"{str(raw)!r} is none of {', '.join(ENDPOINT_TYPES)} (or publicURL, ...)")
    return text


@dataclass(frozen=True, kw_only=True)
class CloudAccount:
    """One field per option; the six that dtrove 0.1 had keep their names and meaning."""

    os_auth_url: str = option(
        "OS_AUTH_URL", "the URL of OpenStack's identity service", default="http://0.0.0.0:5000/v2.0"
    )
    os_username: str = option("OS_USERNAME", "OpenStack user that owns all servers", default="")
    os_password: Secret = option("OS_PASSWORD", "that user's password", default=Secret(""), secret=True)
    os_project_id: str = option("OS_PROJECT_ID", "that user's project", default="")
    os_project_name: str = option(
        "OS_PROJECT_NAME", "that user's project by its name, where no id is given", default=""
    )
    os_user_domain_name: str = option("OS_USER_DOMAIN_NAME", "the domain that the user belongs to", default="Default")
    os_project_domain_name: str = option(
        "OS_PROJECT_DOMAIN_NAME", "the domain that the project belongs to", default="Default"
    )
    os_application_credential_id: str = option(
        "OS_APPLICATION_CREDENTIAL_ID", "an application credential, instead of a user and a password", default=""
    )
    os_application_credential_secret: Secret = option(
        "OS_APPLICATION_CREDENTIAL_SECRET", "its secret", default=Secret(""), secret=True
    )
    os_cloud: str = option("OS_CLOUD", "a cloud of clouds.yaml, instead of all of these", default="")
    os_client_config_file: str = option(
        "OS_CLIENT_CONFIG_FILE", "the clouds.yaml to look in; empty: where openstacksdk looks for one", default=""
    )
    os_region_name: str = option("OS_REGION_NAME", "the region, where the cloud has several", default="")
    os_interface: str = option(
        "OS_INTERFACE", "type of the endpoints of all services but Nova", default="public", parse=parse_endpoint_type
    )
    os_cacert: str = option(
        "OS_CACERT", "a PEM file with the authority that has signed the cloud's certificates", default=""
    )


def login(account: CloudAccount) -> dict[str, Any]:
    """What openstacksdk is to be told of it, beside the name of a cloud of clouds.yaml."""
    asked: dict[str, Any] = {}
    if not account.os_cloud:
        asked |= {"interface": account.os_interface, **_identity(account)}
    if account.os_region_name:
        asked["region_name"] = account.os_region_name
    if account.os_cacert:
        asked["cacert"] = str(Path(account.os_cacert).expanduser())
    return asked


def no_authority(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rule: the authority's file can be read, by whoever asks a cloud; others may not even have it."""
    if chosen.get("OS_CACERT"):
        try:
            options.existing_file(chosen["OS_CACERT"])
        except ValueError as error:
            yield "OS_CACERT", str(error)


def nobody_to_be(chosen: Mapping[str, Any], whose: str) -> Iterator[tuple[str, str]]:
    """Rule: somebody to be, for `whose`, as in "the provider openstack"."""
    if chosen.get("OS_CLOUD"):
        return
    if chosen.get("OS_APPLICATION_CREDENTIAL_ID"):
        if not chosen.get("OS_APPLICATION_CREDENTIAL_SECRET"):
            yield "OS_APPLICATION_CREDENTIAL_SECRET", "is not set: the application credential needs its secret"
        return
    for name in ("OS_USERNAME", "OS_PASSWORD"):
        if not chosen.get(name):
            yield name, f"is not set: {whose} needs it, or OS_APPLICATION_CREDENTIAL_ID, or OS_CLOUD"
    if not (chosen.get("OS_PROJECT_ID") or chosen.get("OS_PROJECT_NAME")):
        yield "OS_PROJECT_ID", f"is not set: {whose} needs a project to work in"


def _identity(account: CloudAccount) -> dict[str, Any]:
    # Version 2 of the identity API is gone everywhere: from the bare URL the library finds the one there is.
    url = account.os_auth_url.rstrip("/").removesuffix("/v2.0")
    if account.os_application_credential_id:
        return {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": url, "application_credential_id": account.os_application_credential_id,
                "application_credential_secret": account.os_application_credential_secret.reveal(),
            },
        }  # fmt: skip
    auth = {
        "auth_url": url, "username": account.os_username, "password": account.os_password.reveal(),
        "user_domain_name": account.os_user_domain_name,
    }  # fmt: skip
    if account.os_project_id:
        auth["project_id"] = account.os_project_id
    else:
        auth |= {"project_name": account.os_project_name, "project_domain_name": account.os_project_domain_name}
    return {"auth_type": "password", "auth": auth}
