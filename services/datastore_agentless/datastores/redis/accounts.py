"""Users of Redis, in the access list of every node: replication does not carry it.

The primary's list is the one that counts. After a change, and when a node joins, the others are made equal to it. Redis has no
databases that could be granted: a user may read, write or all, with keys by their patterns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.accounts import AccountKeeper, in_order
from services.datastore_agentless.datastores.base.topology import REPLICATION_USER
from services.datastore_agentless.datastores.redis import access
from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Script
from shared.contracts.accounts import REDIS, AccountGrant, Accounts, AccountUser, Action, Privilege
from shared.errors import Failure, Retryable
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

_LOG = "look at the database's own log, then retry the operation"


class RedisAccounts(AccountKeeper):
    """Works as the administrator. A user's line in the list, `user NAME on #HASH ~keys +commands`, is how it is known."""

    manager: RedisManager
    dialect = REDIS

    def create_user(self, primary: Instance, change: Change) -> Script:
        """Without any right so far; one that is there keeps its own."""
        yield from self._set(
            primary, change.user, f"on resetpass #{change.verifier.reveal()}", f"create user {change.user}"
        )

    def delete_user(self, primary: Instance, change: Change) -> Script:
        """Redis ends its sessions itself."""
        lines = yield from self._told(primary, f"ACL DELUSER {change.user}", title=f"delete user {change.user}")
        if change.user in lines:
            raise CommandFailed(f"user {change.user} is still in the access list", code=1, what_to_do=_LOG)

    def change_password(self, primary: Instance, change: Change) -> Script:
        """Sessions that are open stay open."""
        yield from self._see_there(primary, change.user)
        rules = f"on resetpass #{change.verifier.reveal()}"
        yield from self._set(primary, change.user, rules, f"change the password of {change.user}")

    def grant(self, primary: Instance, change: Change) -> Script:
        """In place of what was granted before: there is one grant."""
        yield from self._see_there(primary, change.user)
        keys, may = [f"~{pattern}" for pattern in change.patterns], access.MAY[Privilege(change.privilege)]
        rules = " ".join([access.NOTHING, *map(self.manager.argument, keys), may])
        lines = yield from self._set(primary, change.user, rules, f"let {change.user} {change.privilege}", shown=keys)
        yield from self._prove(primary, lines, change.user, (change.grant,))

    def revoke(self, primary: Instance, change: Change) -> Script:
        """The login stays."""
        yield from self._see_there(primary, change.user)
        lines = yield from self._set(primary, change.user, access.NOTHING, f"take the rights of {change.user}")
        yield from self._prove(primary, lines, change.user, ())

    def enable_root(self, primary: Instance, change: Change) -> Script:
        """`default` may all, and has a password."""
        rules = f"reset on #{change.verifier.reveal()} ~* &* +@all"
        yield from self._set(primary, self.dialect.root, rules, "let default log in")

    def disable_root(self, primary: Instance, change: Change) -> Script:
        """Who has come in as `default` is sent away."""
        yield from self._told(primary, f"ACL SETUSER {self.dialect.root} reset off",
                              f"CLIENT KILL USER {self.dialect.root}", title="let default log in no more")  # fmt: skip

    def look(self, primary: Instance, expected: Accounts) -> Script:
        """The access list but for DTrove's own, and what each user may."""
        lines = yield from self._told(primary, title="list users", sample=access.list_of(expected))
        names = [name for name in lines if not self._own(primary, name)]
        known = {user.name: user.grants for user in expected.users}
        held = yield from self._tried(primary, lines, names, [known.get(name, ()) for name in names])
        users = [AccountUser(name=name, grants=held[name]) for name in names]
        return in_order((), users, root=" on " in lines.get(self.dialect.root, ""))

    def carried(self, primary: Instance) -> Script:
        """Its lines, as the others are to have them."""
        lines = yield from self._told(primary, title="read the access list")
        return Secret("\n".join(line for name, line in lines.items() if not self._system(primary, name)))

    def tell(self, replica: Instance, changes: Sequence[Change], carried: Secret) -> Script:
        """Have it know whom the primary knows, and nobody else."""
        wanted = access.lines_of(carried.reveal())
        there = yield from self._told(replica, title="read the access list")
        surplus = [name for name in there if name not in wanted and not self._own(replica, name)]
        commands = [f"ACL DELUSER {self.manager.argument(name)}" for name in surplus]
        for name, line in wanted.items():
            # Each server lists the words in an order of its own.
            if set(there.get(name, "").split(" ")) != set(line.split(" ")):
                words = " ".join(self.manager.argument(word) for word in line.split(" ")[2:])
                commands.append(f"ACL SETUSER {self.manager.argument(name)} reset {words}")
        if any(change.action == Action.DISABLE_ROOT for change in changes):
            commands.append(f"CLIENT KILL USER {self.dialect.root}")
        if commands:
            yield from self._told(replica, *commands, title="let in whom the primary lets in")

    def _set(self, node: Instance, user: str, rules: str, title: str, shown: Sequence[str] = ()) -> Script:
        """Returns the list afterwards, in which the user has the password and the login that these rules set."""
        sample = access.line_of(user, shown or rules.split())
        lines = yield from self._told(node, f"ACL SETUSER {user} {rules}", title=title, sample=sample)
        wanted = {word for word in rules.split() if word.startswith("#") or word == "on"}
        if lines and not wanted <= set(lines.get(user, "").split(" ")):
            raise CommandFailed(f"user {user}: the server does not show it afterwards", code=1, what_to_do=_LOG)
        return lines

    def _prove(self, node: Instance, lines: dict[str, str], user: str, wanted: tuple[AccountGrant, ...]) -> Script:
        """Raises CommandFailed where a user may anything else."""
        held = yield from self._tried(node, lines, [user], [wanted])
        now = tuple(one if wanted else replace(one, patterns=()) for one in held[user])
        if lines and now != wanted:
            raise CommandFailed(f"user {user} may {[one.privilege for one in now]} afterwards", code=1, what_to_do=_LOG)

    def _tried(
        self, node: Instance, lines: dict[str, str], users: Sequence[str], expected: Sequence[tuple[AccountGrant, ...]]
    ) -> Script:
        """What users may, by name."""
        if not users:
            return {}
        commands = access.trials([self.manager.argument(user) for user in users])
        answer = yield self.manager.asked(node, *commands, title="see what users may", changes=False,
                                          sample=access.answers_of(expected))  # fmt: skip
        self._see_well(answer, "what users may")
        return access.grants_of(lines, users, answer.stdout)

    def _see_there(self, node: Instance, user: str) -> Script:
        lines = yield from self._told(node, title="read the access list", sample=access.line_of(user, ()))
        if lines and user not in lines:
            raise Failure(f"there is no user {user} on the server", what_to_do="create it first")

    def _told(self, node: Instance, *commands: str, title: str, sample: str = access.NOBODY) -> Script:
        """Give commands, then read the list, and keep it in the file that Redis reads at its start; returns lines by user.

        The list is hidden from the transcript, for it has what is kept of everybody's password. Raises CommandFailed where one
        of the commands was refused, Retryable while Redis reads its data.
        """
        asked = self.manager.asked(node, *commands, "ACL LIST", title=title, sample=sample)
        answer = yield replace(asked, hides=True)
        self._see_well(answer, title)
        lines = access.lines_of(answer.stdout)
        if self.dialect.root in lines:
            yield Put(access.ACCESS_FILE, Secret("".join(f"{line}\n" for line in lines.values())), mode=0o640,
                      owner="redis:redis", title="keep the access list")  # fmt: skip
        elif answer.stdout:
            raise CommandFailed(f"{title}: Redis does not show its access list", code=1, what_to_do=_LOG)
        return lines

    @staticmethod
    def _see_well(answer: Result, what: str) -> None:
        for line in answer.stdout.splitlines():
            if line.startswith("LOADING"):
                raise Retryable(f"{what}: Redis still reads its data from the disk")
            if line.startswith(("ERR ", "NOPERM", "NOAUTH", "WRONGPASS", "MISCONF")):
                raise CommandFailed(f"{what}: {line}", code=1, what_to_do=_LOG)

    def _own(self, node: Instance, name: str) -> bool:
        return name == self.dialect.root or self._system(node, name)

    @staticmethod
    def _system(node: Instance, name: str) -> bool:
        return name in (node.admin_user, REPLICATION_USER)
