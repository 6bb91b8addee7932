"""What stands in Redis's access list, and what its users may: asked of Redis itself, for it words its lists in ways of its own.

Source: Redis's documentation, "ACL", "ACL SETUSER", "ACL DRYRUN".
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.accounts import REDIS, AccountGrant, Accounts, Privilege

ACCESS_FILE = "/etc/redis/users.acl"
# An administrator's commands are nobody's but the administrator's: they reach the host's files.
MAY = {
    Privilege.READ: "&* +@read +@connection +@transaction -@admin -@dangerous +info",
    Privilege.WRITE: "&* +@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous +info",
    Privilege.ALL: "&* +@all -@admin",
}
NOTHING = "resetkeys resetchannels clearselectors -@all"
# By these a privilege is known: whether a user may run each of them, whatever the key.
_TRIED = ("GET key", "SET key value", "FLUSHALL", "CONFIG GET port")
_KNOWN: dict[tuple[bool, ...], Privilege] = {
    (True, False, False, False): Privilege.READ,
    (True, True, False, False): Privilege.WRITE,
    (True, True, True, False): Privilege.ALL,
}
_REFUSED = "permissions to run"
# What a server answers on which all is well.
NOBODY = f"user {REDIS.root} off -@all\n"


def lines_of(output: str) -> dict[str, str]:
    """The lines of a list by the names in them."""
    found = [line.rstrip("\r") for line in output.splitlines() if line.startswith("user ")]
    return {line.split(" ")[1]: line for line in found}


def trials(users: Sequence[str]) -> list[str]:
    """Ask what these users may; nothing is done."""
    return [f"ACL DRYRUN {user} {tried}" for user in users for tried in _TRIED]


def grants_of(lines: dict[str, str], users: Sequence[str], output: str) -> dict[str, tuple[AccountGrant, ...]]:
    """What each of the users may, by the answers to their trials; what has no name here is OTHER."""
    answers = output.splitlines()[-len(_TRIED) * len(users) :]
    found: dict[str, tuple[AccountGrant, ...]] = {}
    for number, user in enumerate(users):
        mine = answers[number * len(_TRIED) : (number + 1) * len(_TRIED)]
        may = tuple(_REFUSED not in answer for answer in mine)
        patterns = tuple(word[1:] for word in lines.get(user, "").split(" ")[2:] if word.startswith("~"))
        found[user] = (AccountGrant(privilege=_KNOWN.get(may, Privilege.OTHER), patterns=patterns),) if any(may) else ()
    return found


def line_of(user: str, words: Sequence[str]) -> str:
    """What a well server's list has once a user was set so."""
    return f"{NOBODY}user {user} on {' '.join(word for word in words if not word.startswith(('reset', 'clear')))}\n"


def list_of(expected: Accounts) -> str:
    """What a well server's list has that knows these."""
    lines = [f"user {REDIS.root} {'on' if expected.root else 'off'} -@all"]
    for user in expected.users:
        keys = [f"~{pattern}" for grant in user.grants for pattern in grant.patterns]
        lines.append(" ".join(["user", user.name, "on", *keys]))
    return "\n".join(lines) + "\n"


def answers_of(grants: Sequence[tuple[AccountGrant, ...]]) -> str:
    """What a well server answers to the trials of users who may this."""
    mays = {privilege: may for may, privilege in _KNOWN.items()}
    said = [mays.get(Privilege(held[0].privilege), (True,) * 4) if held else (False,) * 4 for held in grants]
    return "".join("OK\n" if may else f"no {_REFUSED} it\n" for mine in said for may in mine)
