"""DTROVE_PREFIX: the instance is reached only by a command on another host, and its quoting survives every shell between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.datastore_agentless.domain.instance import PROPERTIES, Instance
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.base import Job, Put, Run, Script
from services.datastore_agentless.hosts.prefix import fill
from services.datastore_agentless.hosts.runner import HostRunner
from shared.errors import Failure
from shared.secrets import Secret
from tests.component.hosts.sshd import Sshd

MakeRunner = Callable[..., HostRunner]
ODD = "two  blanks, 'single', \"double\", back\\slash, $HOME, $(id), `id`, %s, *, ;, &, |, <>, ä, \t."

# As OpenVZ's own does it: what follows `exec ID` is joined to a line, which bash of the container reads.
_JOINING = """#!/bin/bash
[ "$1" = exec ] || { echo "usage: vzctl exec CTID command" >&2; exit 2; }
id=$2; shift 2
export INSIDE="$id"
exec bash -c "$*"
"""
# As docker, lxc or nsenter do it: arguments stay what they are.
_KEEPING = """#!/bin/bash
id=$2; shift 2
export INSIDE="$id"
exec "$@"
"""


@pytest.fixture(params=[_JOINING, _KEEPING], ids=["joins its arguments", "keeps its arguments"])
def vzctl(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "vzctl"
    path.write_text(request.param)
    path.chmod(0o755)
    return path


@pytest.fixture
def inside(sshd: Sshd, runner: MakeRunner, vzctl: Path) -> HostRunner:
    prefix = fill(f"{vzctl} exec %(local_id)s ", {"local_id": "ct 101; echo '$x'"}, "root")
    return runner(target=sshd.target(prefix=prefix))


def test_commands_run_inside_and_the_value_is_quoted(inside: HostRunner) -> None:
    def script() -> Script:
        return (yield Run("echo $INSIDE")).text

    assert inside.execute(script()) == "ct 101; echo '$x'"


def test_quoting_survives_every_shell_between(inside: HostRunner) -> None:
    def script() -> Script:
        first = yield Run(("printf", "%s", ODD))
        second = yield Run("cat", stdin=ODD)
        third = yield Job("odd", "cat; echo; echo $INSIDE", stdin=ODD)
        return first.stdout, second.stdout, third.stdout

    assert inside.execute(script()) == (ODD, ODD, f"{ODD}\nct 101; echo '$x'\n")


def test_files_exit_codes_and_errors_come_through(inside: HostRunner, tmp_path: Path) -> None:
    def script() -> Script:
        written = yield Put(f"{tmp_path}/od d", ODD, owner=f"{os.geteuid()}:{os.getegid()}")
        failed = yield Run("echo oh >&2; exit 9", ok_codes=(9,))
        silent = yield Run("cat")
        return written.changed, failed.code, failed.stderr, silent.stdout

    assert inside.execute(script()) == (True, 9, "oh\n", "")
    assert (tmp_path / "od d").read_text() == ODD


def test_every_property_of_an_instance_can_be_named_and_none_is_a_secret() -> None:
    instance = Instance("i-1", "c-1", "it's", local_id="101", admin_password=Secret("hidden"), key=Key.create("k"))
    pattern = " ".join(f"%({name})s" for name in PROPERTIES)
    filled = fill(pattern, instance.properties, "root")
    assert "101" in filled
    assert "'it'\"'\"'s'" in filled
    assert "hidden" not in filled
    assert instance.key is not None
    assert instance.key.private.reveal() not in filled
    assert {"id", "cluster_id", "name", "addr", "user", "local_id", "server", "ssh_port", "ram_mb"} <= set(PROPERTIES)


def test_an_unknown_name_is_a_sentence_that_lists_the_known_ones() -> None:
    with pytest.raises(Failure, match="DTROVE_PREFIX names 'locl_id', which no instance has") as caught:
        fill("vzctl exec %(locl_id)s ", Instance("i", "c", "n").properties, "root")
    assert "local_id" in caught.value.what_to_do


@pytest.mark.parametrize("pattern", ["nice -n 5%", "x %(name)", "%d "])
def test_a_pattern_that_is_none_is_a_sentence(pattern: str) -> None:
    with pytest.raises(Failure, match="is no pattern"):
        fill(pattern, Instance("i", "c", "n").properties, "debian")


@pytest.mark.parametrize(("prefix", "user", "filled"), [
    ("sudo -n ", "root", ""), ("sudo -n ", "debian", "sudo -n "), ("sudo", "debian", "sudo "), ("", "debian", ""),
    ("sudo vzctl exec %(name)s", "root", "sudo vzctl exec n "), ("nice -n5 ", "root", "nice -n5 "),
])  # fmt: skip
def test_a_prefix_ends_in_one_blank_and_root_needs_no_plain_sudo(prefix: str, user: str, filled: str) -> None:
    assert fill(prefix, Instance("i", "c", "n").properties, user) == filled
