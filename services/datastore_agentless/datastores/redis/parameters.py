"""Redis's parameters, from CONFIG GET; of what kind each is, Redis says itself when it is asked to set a value that is none.

Such a question changes nothing: CONFIG SET of several pairs is all or nothing, and the last pair is always refused.

Source: Redis's documentation, "CONFIG SET" and "Redis configuration", and configSetCommand in its config.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.parameters import Catalogue, Definitions, Parameters, refusals
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script
from shared.contracts.parameters import BOOLEAN, ENUM, INTEGER, TEXT, ParameterDefinition

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

_OWN = "it is DTrove's own"
# No word, no number: a text is all that it can be. And less than any number may be.
_NO_VALUE, _TOO_LITTLE = "dtrove?", "-9223372036854775807"
_REFUSED_PAIR, _OTHER_PAIR = "maxmemory-samples", "hz"
_ANSWER = re.compile(r"related to argument '([^']+)'\) - (.*)")
_RANGE = re.compile(r"argument must be between (-?\d+) and (-?\d+) inclusive")
_CHOICE = re.compile(r"argument\(s\) must be one of the following: (.*)")
_SUFFIXES = {"b": 1, "k": 1000, "kb": 2**10, "m": 1000**2, "mb": 2**20, "g": 1000**3, "gb": 2**30}
_SETTING = re.compile(r"^([a-z][a-z0-9-]*) (.*)$", re.MULTILINE)
# Names of before; Redis knows each by both.
_OLD_WORDS = (("slave", "replica"), ("ziplist", "listpack"), ("lua-time-limit", "busy-reply-threshold"))


class RedisParameters(Parameters):
    """By CONFIG GET and CONFIG SET."""

    manager: RedisManager

    floors = {"maxclients": 20, "repl-timeout": 10}
    refused = refusals(
        (_OWN, "dir dbfilename appendfilename appenddirname bind* port unixsocket* protected-mode daemonize supervised pidfile"
               " replicaof *announce* replica-read-only replica-priority min-replicas-* repl-ping-replica-period cluster-*"
               " socket-mark-id set-proc-title proc-title-template ignore-warnings"),
        ("DTrove reads the log where it is", "logfile syslog-* crash-log-enabled"),
        ("it decides who comes in, and how", "aclfile acl-pubsub-default requirepass masterauth masteruser user tls-*"),
        ("it would load code, rename a command, or open what is shut", "loadmodule rename-command include enable-*"),
        ("a restart could lose what was acknowledged", "appendonly aof-load-truncated shutdown-on-* rdb-del-sync-files"),
    )  # fmt: skip

    def catalogue(self, node: Instance) -> Script:
        """Every name and value, then what Redis answers to a value that is none, and to a number that is too little."""
        told = yield self.manager.asked(node, "INFO server", "CONFIG GET *", title="read what parameters there are",
                                        changes=False, sample=_SAMPLE)  # fmt: skip
        engine, values = self.manager.told(told).get("redis_version", ""), _pairs(told.stdout)
        names = [name for name in sorted(values) if not _is_old(name, values)]
        open_ones = [name for name in names if not self.define(ParameterDefinition(name=name, kind=TEXT)).refused]
        kinds = yield self._tried(node, open_ones, _NO_VALUE, "ask of what kind each is", _SAMPLE_KINDS)
        said = dict(_ANSWER.findall(kinds.stdout))
        numbers = [name for name in open_ones if "integer" in said.get(name, "")]
        ranges = yield self._tried(node, numbers, _TOO_LITTLE, "ask how large each may be", "")
        spans = {name: found for name, words in _ANSWER.findall(ranges.stdout) if (found := _RANGE.search(words))}
        return Catalogue(engine, tuple(
            self.define(_definition(name, values[name], said.get(name, ""), spans.get(name))) for name in names
        ))  # fmt: skip

    def live(self, node: Instance, names: Iterable[str], sample: Mapping[str, str]) -> Script:
        """Ask for each by its name."""
        wanted = list(names)
        told = yield self.manager.asked(
            node, *(f"CONFIG GET {name}" for name in wanted), title="see with what it runs", changes=False,
            sample="".join(f"{name}\n{value}\n" for name, value in sample.items()),
        )  # fmt: skip
        found = _pairs(told.stdout)
        return {name: found[name] for name in wanted if name in found}

    def statements(self, goals: Mapping[str, str], known: Definitions) -> list[str]:
        """One for each."""
        return [f"CONFIG SET {name} {self.manager.argument(goal)}" for name, goal in goals.items()]

    def apply(self, node: Instance, goals: Mapping[str, str], known: Definitions) -> Script:
        """Set each; redis-cli's exit code does not say whether it was taken."""
        told = yield self.manager.asked(
            node, *self.statements(goals, known), title="have it take them while it runs", sample="OK\n"
        )
        wrong = [line for line in told.stdout.splitlines() if line.strip() and not line.startswith("OK")]
        if wrong:
            raise CommandFailed(f"Redis does not take it: {wrong[0]}", code=1, stderr="\n".join(wrong),
                                what_to_do="correct the value")  # fmt: skip

    def written(self, text: str) -> dict[str, str]:
        """Lines `name value`."""
        return {name: value.strip('"') for name, value in _SETTING.findall(text)}

    def _tried(self, node: Instance, names: Iterable[str], value: str, title: str, sample: str) -> Run:
        words = []
        for name in names:
            refused = _OTHER_PAIR if name == _REFUSED_PAIR else _REFUSED_PAIR
            words.append(f"CONFIG SET {name} {value} {refused} {_NO_VALUE}")
        return self.manager.asked(node, *words, title=title, changes=False, sample=sample)


def _definition(name: str, value: str, said: str, span: re.Match[str] | None) -> ParameterDefinition:
    kind, suffixes = TEXT, dict[str, float]()
    values: tuple[str, ...] = ()
    fixed = "immutable" in said
    choice = _CHOICE.search(said)
    if choice:
        kind, values = ENUM, tuple(one.strip() for one in choice[1].split(","))
    elif "'yes' or 'no'" in said or (fixed and value in ("yes", "no")):
        kind, values = BOOLEAN, ("no", "yes")
    elif "into an integer" in said or (fixed and re.fullmatch(r"-?\d+", value)):
        kind = INTEGER
    elif said == "argument must be a memory value":
        kind, suffixes = INTEGER, dict(_SUFFIXES)
    return ParameterDefinition(
        name=name, kind=kind, unit="bytes" if suffixes else "", suffixes=suffixes, values=values, default=value, restart=fixed,
        minimum=span[1] if span else "0" if suffixes else "", maximum=span[2] if span else "",
    )  # fmt: skip


def _pairs(output: str) -> dict[str, str]:
    """What CONFIG GET prints: a name on a line, its value on the next, which may be empty. Lines of other answers are none."""
    lines, found, position = output.split("\n"), dict[str, str](), 0
    while position + 1 < len(lines):
        name = lines[position].strip()
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            position += 1
            continue
        found[name] = lines[position + 1].strip("\r")
        position += 2
    return found


def _is_old(name: str, values: Mapping[str, str]) -> bool:
    return any(old in name and name.replace(old, new) in values for old, new in _OLD_WORDS)


_SAMPLE = (
    "redis_version:7.0.0\n\nmaxmemory\n0\nmaxmemory-policy\nnoeviction\ntimeout\n0\ndatabases\n16\nactiverehashing\nyes\n"
    "maxmemory-samples\n5\ndir\n/var/lib/redis\n"
)
_SAMPLE_KINDS = "".join(
    f"ERR CONFIG SET failed (possibly related to argument '{name}') - {words}\n\n" for name, words in (
        ("maxmemory", "argument must be a memory value"),
        ("maxmemory-policy", "argument(s) must be one of the following: volatile-lru, allkeys-lru, noeviction"),
        ("timeout", "argument couldn't be parsed into an integer"),
        ("databases", "can't set immutable config"),
        ("activerehashing", "argument must be 'yes' or 'no'"),
        ("maxmemory-samples", "argument couldn't be parsed into an integer"),
    )
)  # fmt: skip
