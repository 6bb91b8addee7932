"""Names and URLs of stores, as an administrator writes them: `local=file:///backups minio=s3://bucket/prefix?endpoint=...`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from services.datastore_agentless.backup_stores.s3.place import S3Place
from shared.secrets import Secret

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# Source: Amazon S3, "Bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESSING = ("path", "auto")


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
    else:
        raise ValueError(f"is at {url!r}: known are file:///folder and s3://bucket/prefix")


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
    asked = parse_qs(parts.query, keep_blank_values=True)
    unknown = sorted(set(asked) - {"endpoint", "region", "addressing"})
    if unknown:
        raise ValueError(f"has the unknown option {unknown[0]!r}: known are endpoint, region and addressing")
    endpoint, region = (asked.get(name, [""])[-1] for name in ("endpoint", "region"))
    if "endpoint" in asked and not (endpoint.startswith(("https://", "http://")) and urlsplit(endpoint).hostname):
        raise ValueError(f"has the endpoint {endpoint!r}, which is no http or https URL")
    # Few others than Amazon have a name in DNS for each bucket.
    addressing = asked.get("addressing", ["path" if endpoint else "auto"])[-1]
    if addressing not in _ADDRESSING:
        raise ValueError(f"has the addressing {addressing!r}: known are {' and '.join(_ADDRESSING)}")
    return S3Place(parts.netloc, unquote(parts.path).strip("/"), endpoint, region, addressing == "path",
                   key.access_key_id, key.secret_access_key)  # fmt: skip
