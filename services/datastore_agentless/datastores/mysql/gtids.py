"""Global transaction ids of MariaDB: how far a server's history has come, and whether one history has another in it.

A position has one id for each domain, the last one. A state has one for each domain and server that ever wrote in it: so it tells
what a server wrote that nobody ever heard of, which a position hides behind the same number of another server.

Source: MariaDB's documentation, "Global Transaction ID" (`gtid_binlog_state`, `gtid_strict_mode`: numbers of a domain only grow).
"""

from __future__ import annotations

import re

_ID = re.compile(r"(\d+)-(\d+)-(\d+)")
# Where a cluster writes, unless a session says otherwise.
DOMAIN = 0
State = dict[tuple[int, int], int]


def read(text: str) -> State:
    """The last number of each domain and server; also of a text like `[0-1-7, 0-2-9]`. Raises ValueError for anything else."""
    found: State = {}
    for one in filter(None, (part.strip() for part in text.strip().strip("[]").split(","))):
        matched = _ID.fullmatch(one)
        if matched is None:
            raise ValueError(f"no global transaction id: {one[:100]!r}")
        domain, server, number = map(int, matched.groups())
        found[domain, server] = max(number, found.get((domain, server), 0))
    return found


def write(state: State) -> str:
    """As MariaDB writes it, in the order of domains and servers."""
    return ",".join(f"{domain}-{server}-{number}" for (domain, server), number in sorted(state.items()))


def both(first: State, second: State) -> State:
    """What a history has that is known in two halves."""
    return {key: max(first.get(key, 0), second.get(key, 0)) for key in first.keys() | second.keys()}


def within(state: State, other: State) -> bool:
    """Whether all that is in one history is in the other.

    The log of a replica that began with a copy does not know who wrote what lies before it: a server that it has never heard of
    counts as known up to where its log does.
    """
    return all(number <= other.get((domain, server), _begin(other, domain))
               for (domain, server), number in state.items())  # fmt: skip


def position(state: State) -> str:
    """The last id of each domain."""
    last: State = {}
    for domain in {domain for domain, _ in state}:
        number, server = max((number, server) for (of, server), number in state.items() if of == domain)
        last[domain, server] = number
    return write(last)


def newest(state: State) -> str:
    """The last id of the domain in which a cluster writes; empty where there is none."""
    return position({key: number for key, number in state.items() if key[0] == DOMAIN})


def _begin(state: State, domain: int) -> int:
    return min((number for (of, _), number in state.items() if of == domain), default=0)
