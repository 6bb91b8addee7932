"""What MariaDB says of where a node stands: the question, how its answer is read, and what a well server answers.

Source: MariaDB's documentation, "Global Transaction ID" and "SHOW REPLICA STATUS".
"""

from __future__ import annotations

import re

from services.datastore_agentless.domain.standing import Standing
from shared.errors import Failure

# Two tables; the client prints them with tabs, and a line break inside a value as two letters: an error's text stays a value.
QUESTION = (
    "SELECT @@GLOBAL.read_only AS read_only, @@GLOBAL.gtid_current_pos AS has, @@GLOBAL.gtid_slave_pos AS applied;\n"
    "SHOW SLAVE STATUS;\n"
)
POSITION = re.compile(r"(\d+-\d+-\d+(,\d+-\d+-\d+)*)?")


def read(output: str) -> Standing:
    """The Standing in an answer. One that follows counts what it has received, one that does not what it has written.

    Raises Failure for a position that is none.
    """
    told = _fields(output)
    follows = told.get("Master_Host", "")
    reached = [told.get("Gtid_IO_Pos", ""), told.get("applied", "")] if follows else [told.get("has", "")]
    if not all(POSITION.fullmatch(one) for one in reached):
        raise Failure(f"MariaDB says a position that is none: {reached}"[:200], what_to_do="look at its replication")
    position = max(reached, key=transactions)
    lag = told.get("Seconds_Behind_Master", "NULL")
    return Standing(
        writable=told.get("read_only") == "0", received=transactions(position), position=position, follows=follows,
        streams=told.get("Slave_IO_Running") == "Yes", lag_seconds=float(lag) if lag.isdigit() else None,
    )  # fmt: skip


def trouble(output: str) -> str:
    """Why what is received is not applied; empty where its thread runs."""
    told = _fields(output)
    if told.get("Slave_SQL_Running") == "Yes":
        return ""
    return told.get("Last_SQL_Error", "")[:500] or "its applying thread does not run"


def transactions(position: str) -> int:
    """How many transactions a position counts: the sequence number of domain 0, where a cluster writes."""
    numbers = (one.split("-") for one in position.split(",") if one)
    return max((int(sequence) for domain, _, sequence in numbers if domain == "0"), default=0)


def well(follows: str, *, writable: bool | None = None) -> str:
    """What a server answers that is well, and follows this address; a primary where it is empty."""
    read_only = bool(follows) if writable is None else not writable
    answer = f"read_only\thas\tapplied\n{int(read_only)}\t0-1-7\t0-1-7\n"
    if follows:
        answer += (
            "Master_Host\tSlave_IO_Running\tSlave_SQL_Running\tSeconds_Behind_Master\tGtid_IO_Pos\n"
            f"{follows}\tYes\tYes\t0\t0-1-7\n"
        )
    return answer


def _fields(output: str) -> dict[str, str]:
    """The values of both tables by the names of their columns."""
    lines = output.split("\n")
    told: dict[str, str] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        told |= dict(zip(names.split("\t"), values.split("\t"), strict=False))
    return told
