"""A container of Swift's, with bounds on all that is asked of it.

Source: the API of OpenStack's Object Storage, and of its middleware `tempurl`: a URL is signed by HMAC-SHA256 over the method, the
second when it ends and the path, with a key that is known to the container or to the account.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import requests
from keystoneauth1.adapter import Adapter
from openstack.config import OpenStackConfig

from services.datastore_agentless.backup_stores.swift.errors import in_our_words
from services.datastore_agentless.backup_stores.swift.place import SwiftPlace
from shared.cloud import login
from shared.errors import Failure, NotFound
from shared.once import once
from shared.secrets import Secret

CALL_SECONDS, ATTEMPTS = 60.0, 4
KEY_OF_CONTAINER, KEY_OF_ACCOUNT = "X-Container-Meta-Temp-Url-Key", "X-Account-Meta-Temp-Url-Key"
_SERVICE = "object-store"
_PAGE = 10_000


@dataclass(frozen=True)
class Seen:
    """What Swift says of an object: how large it is, and its MD5."""

    size: int
    etag: str


@dataclass(frozen=True)
class Signer:
    """Makes URLs that are good for one `method` on one object, until the second `expires`; `path` is the container's, from its version
    on, and `host` what stands before it.
    """

    host: str
    path: str
    method: str
    expires: int
    key: Secret

    def url(self, name: str, **query: str) -> str:
        """The URL for the object called `name`."""
        path = f"{self.path}/{name}"
        words = f"{self.method}\n{self.expires}\n{path}"
        signed = hmac.new(self.key.reveal().encode(), words.encode(), hashlib.sha256).hexdigest()
        asked = urlencode({"temp_url_sig": signed, "temp_url_expires": self.expires, **query})
        return f"{self.host}{quote(path)}?{asked}"


def split(endpoint: str) -> tuple[str, str]:
    """The URL of an account in two: what a proxy before Swift may have changed, and what is signed, which begins with the version."""
    host, _, account = f"{endpoint.rstrip('/')}/".partition("/v1/")
    return host, f"/v1/{unquote(account)}".rstrip("/")


class Container:
    """The container of one place, for the store called `store`. Raises Retryable, NotFound, Failure."""

    def __init__(self, store: str, place: SwiftPlace) -> None:
        self._store, self._place, self.name = store, place, place.container
        self._line: Callable[[], Adapter] = once(self._connect)

    def put(self, name: str, body: bytes, **query: str) -> None:
        """Keep an object, in place of one of that name."""
        self._ask("PUT", name, f"keep {name}", query, data=body, headers={"Content-Type": "application/json"})

    def get(self, name: str, **query: str) -> bytes:
        """What an object holds."""
        return self._ask("GET", name, f"give {name}", query).content

    def look(self, name: str) -> Seen | None:
        """How an object is; None where there is none."""
        try:
            headers = self._ask("HEAD", name, f"look at {name}").headers
        except NotFound:
            return None
        return Seen(int(headers["Content-Length"]), headers.get("Etag", "").strip('"'))

    def see(self) -> None:
        """Raises Failure where the container itself is not there: that is another one than backups were put in."""
        try:
            self._ask("HEAD", "", "look at its container")
        except NotFound as error:
            raise Failure(f"the store {self._store} has no container {self.name}",
                          what_to_do="see what DTROVE_BACKUP_STORES says of it") from error  # fmt: skip

    def delete(self, name: str) -> None:
        """Let an object go; fine where there is none."""
        try:
            self._ask("DELETE", name, f"remove {name}")
        except NotFound:
            return

    def listed(self, prefix: str) -> dict[str, Seen]:
        """Every object whose name begins so. What has just come or gone may not be listed yet, or still be."""
        return {one["name"]: Seen(one["bytes"], one["hash"]) for one in self._pages(prefix)}

    def signer(self, method: str, seconds: int) -> Signer:
        """What signs URLs for `method`, good for so many seconds from now on."""
        key = self._key()
        with in_our_words(self._store, "say where it is"):
            host, account = split(str(self._line().get_endpoint()))
        host = self._place.endpoint.rstrip("/") or host
        return Signer(host, f"{account}/{self.name}", method, int(time.time()) + seconds, key)

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        marker = ""
        while True:
            query = {"format": "json", "prefix": prefix, "limit": str(_PAGE), "marker": marker}
            try:
                page = self._ask("GET", "", "list its objects", query).json()
            except NotFound:
                return
            yield from page
            if not page:
                return
            marker = page[-1]["name"]

    def _key(self) -> Secret:
        """What URLs are signed with: the container's key, else the account's, else one that the container gets now.

        It is asked for each time, for whoever owns the container may change it. Where two processes give it one at the same moment,
        that of the later one counts: so what the container says afterwards is taken.
        """
        found: Mapping[str, str] = {}
        try:
            found = self._ask("HEAD", "", "look at its container").headers
        except NotFound:
            self._ask("PUT", "", "make its container")
        key = found.get(KEY_OF_CONTAINER) or self._ask("HEAD", None, "look at its account").headers.get(KEY_OF_ACCOUNT)
        if not key:
            self._ask("POST", "", "keep a key for URLs", headers={KEY_OF_CONTAINER: secrets.token_hex(32)})
            key = self._ask("HEAD", "", "look at its container").headers.get(KEY_OF_CONTAINER)
        if not key:
            raise Failure(f"the store {self._store} does not show the key that its URLs are signed with",
                          what_to_do="give DTrove's user a role that owns the project's containers (such as member)")  # fmt: skip
        return Secret(key)

    def _ask(self, method: str, name: str | None, doing: str, query: Mapping[str, str] | None = None,
             **more: Any) -> requests.Response:  # fmt: skip
        """One request for an object; for the container where `name` is empty, for the account where it is None."""
        path = "" if name is None else f"/{quote(self.name)}" + (f"/{quote(name)}" if name else "")
        with in_our_words(self._store, doing):
            # Not in keystoneauth's own log either: it writes headers down, and the key is among them.
            return self._line().request(path, method, params=dict(query or {}), log=False, **more)

    def _connect(self) -> Adapter:
        account = self._place.account
        config = OpenStackConfig(
            config_files=[account.os_client_config_file] if account.os_client_config_file else None,
            load_yaml_config=bool(account.os_cloud), load_envvars=False,
        )  # fmt: skip
        region = config.get_one(cloud=account.os_cloud or None, api_timeout=CALL_SECONDS, **login(account))
        return Adapter(
            session=region.get_session(), service_type=_SERVICE, interface=self._place.interface or region.get_interface(_SERVICE),
            region_name=region.get_region_name(_SERVICE), endpoint_override=region.get_endpoint(_SERVICE),
            connect_retries=ATTEMPTS - 1, status_code_retries=ATTEMPTS - 1,
        )  # fmt: skip
