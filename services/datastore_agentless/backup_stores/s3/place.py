"""Where a store that speaks S3 is, and as whom: plain values, for who only reads configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.secrets import Secret


@dataclass(frozen=True)
class S3Place:
    """Where in which S3: `prefix` stands before every key. No endpoint: Amazon's own, in `region`. `path_style` addresses a bucket by
    the path, where others than Amazon have no name for each. No credentials: boto3 looks where it always does.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool = False
    access_key_id: str = ""
    secret_access_key: Secret = field(default_factory=lambda: Secret(""))
