"""Names and URLs of stores, as an administrator writes them: `local=file:///backups minio=s3://bucket/prefix?endpoint=...`,
`swift=swift://container/prefix`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from services.datastore_agentless.backup_stores.s3.place import S3Place
from services.datastore_agentless.backup_stores.swift.place import SwiftPlace
from shared.cloud import CloudAccount, parse_endpoint_type
from shared.secrets import Secret

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# Source: Amazon S3, "Bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESSING = ("path", "auto")
# Source: the API of OpenStack's Object Storage: up to 256 bytes without a slash; of these, what needs no quoting.
_CONTAINER = re.compile(r"[A-Za-z0-9_.-]{1,256}")


@dataclass(frozen=True)
class S3Key:
    """Who DTrove is to an S3; empty: whoever boto3 finds in its own places."""

    access_key_id: str = ""
    secret_access_key: Secret = field(default_factory=lambda: Secret(""))


def parse_stores(raw: Any) -> tuple[str, ...]:
    """Names and URLs, with blanks between, as `name=url` each. Raises ValueError with a sentence."""
    named = tuple(str(raw).split())
    names = [one.partition("=")[0] for one in named]
    for one, name in zip(named, names, strict=True):
        if "=" not in one or not _NAME.fullmatch(name):
            raise ValueError(f"{one!r} is not name=url, with a name of small letters, digits and hyphens")
        if names.count(name) > 1:
            raise ValueError(f"names the store {name} twice")
        try:
            _check(one.partition("=")[2])
        except ValueError as error:
            raise ValueError(f"the store {name} {error}") from None
    return named


def _check(url: str) -> None:
    kind = url.partition(":")[0]
    if kind == "file":
        folder(url)
    elif kind == "s3":
        place(url, S3Key())
    elif kind == "swift":
        swift_place(url, CloudAccount())
    else:
        raise ValueError(f"is at {url!r}: known are file:///folder, s3://bucket/prefix and swift://container/prefix")


def folder(url: str) -> Path:
    """The folder of a store beside DTrove. Raises ValueError with the rest of a sentence."""
    parts = urlsplit(url)
    if parts.netloc or parts.query or not parts.path.startswith("/") or parts.path == "/":
        raise ValueError(f"is at {url!r}, which is not file:///folder")
    return Path(unquote(parts.path))


def place(url: str, key: S3Key) -> S3Place:
    """The place of a store that speaks S3. Raises ValueError with the rest of a sentence."""
    parts = urlsplit(url)
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(
            f"names no bucket in {url!r}; it should read like s3://bucket/prefix?endpoint=https://host&region=here"
        )
    asked = _asked(parts.query, "endpoint", "region", "addressing")
    endpoint, region = asked.get("endpoint", ""), asked.get("region", "")
    _check_endpoint(asked)
    # Few others than Amazon have a name in DNS for each bucket.
    addressing = asked.get("addressing", "path" if endpoint else "auto")
    if addressing not in _ADDRESSING:
        raise ValueError(f"has the addressing {addressing!r}: known are {' and '.join(_ADDRESSING)}")
    return S3Place(parts.netloc, unquote(parts.path).strip("/"), endpoint, region, addressing == "path",
                   key.access_key_id, key.secret_access_key)  # fmt: skip


def swift_place(url: str, account: CloudAccount) -> SwiftPlace:
    """The place of a store in a Swift; the URL may name another cloud of clouds.yaml, region or kind of endpoint than `account`
    does. Raises ValueError with the rest of a sentence.
    """
    parts = urlsplit(url)
    if not _CONTAINER.fullmatch(parts.netloc):
        raise ValueError(f"names no container in {url!r}; it should read like swift://container/prefix?cloud=name")
    asked = _asked(parts.query, "cloud", "region", "interface", "endpoint")
    _check_endpoint(asked)
    interface = parse_endpoint_type(asked["interface"]) if "interface" in asked else ""
    account = replace(account, os_cloud=asked.get("cloud") or account.os_cloud,
                      os_region_name=asked.get("region") or account.os_region_name)  # fmt: skip
    return SwiftPlace(parts.netloc, unquote(parts.path).strip("/"), account, interface, asked.get("endpoint", ""))


def _check_endpoint(asked: dict[str, str]) -> None:
    endpoint = asked.get("endpoint", "")
    if "endpoint" in asked and not (endpoint.startswith(("https://", "http://")) and urlsplit(endpoint).hostname):
        raise ValueError(f"has the endpoint {endpoint!r}, which is no http or https URL")


def in_swift(named: str) -> bool:
    """Whether a store, written as `name=url`, is one in a Swift."""
    return named.partition("=")[2].startswith("swift:")


def wants_login(named: str) -> bool:
    """Whether it is one for which DTrove has to be somebody by the OS_* options."""
    return in_swift(named) and "cloud" not in parse_qs(urlsplit(named.partition("=")[2]).query)


def _asked(query: str, *known: str) -> dict[str, str]:
    """The options behind a URL. Raises ValueError for one that is not `known`."""
    asked = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise ValueError(f"has the unknown option {unknown[0]!r}: known are {', '.join(known[:-1])} and {known[-1]}")
    return asked
