"""Where in a Swift a store is, and as whom: plain values, for who only reads configuration."""

from __future__ import annotations

from dataclasses import dataclass

from shared.cloud import CloudAccount


@dataclass(frozen=True)
class SwiftPlace:
    """A container of `account`'s project; `prefix` stands before every key. `interface`: another kind of endpoint than the account's.
    `endpoint`: where nodes and readers find Swift, where that is not where its catalogue says: scheme, host and what stands before `/v1/`.
    """

    container: str
    prefix: str
    account: CloudAccount
    interface: str = ""
    endpoint: str = ""
