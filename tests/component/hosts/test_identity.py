"""A host is believed by its pinned key alone."""

from __future__ import annotations

import pytest

from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.base import HostKeyChanged, HostUnreachable
from services.datastore_agentless.hosts.ssh import SshPool
from tests.component.hosts.sshd import Sshd


def test_a_host_with_the_pinned_key_is_spoken_to(own_sshd: Sshd, pool: SshPool) -> None:
    assert pool.run(own_sshd.target(), "echo hello").stdout == b"hello\n"


@pytest.mark.fault(7)
def test_a_changed_key_blocks_before_anything_is_authenticated(own_sshd: Sshd, pool: SshPool) -> None:
    pinned = own_sshd.target()
    own_sshd.stop()
    own_sshd.change_key()
    own_sshd.start()
    before = len(own_sshd.log())
    with pytest.raises(HostKeyChanged) as caught:
        pool.run(pinned, "echo hello")
    assert caught.value.seen == own_sshd.host_key
    assert caught.value.expected == pinned.known_host
    assert "Accepted" not in own_sshd.log()[before:]
    assert "userauth" not in own_sshd.log()[before:]


def test_while_a_host_key_is_replaced_both_are_believed(own_sshd: Sshd, pool: SshPool) -> None:
    old = own_sshd.host_key
    own_sshd.stop()
    own_sshd.change_key()
    own_sshd.start()
    assert pool.run(own_sshd.target(known_host=f"{old}\n{own_sshd.host_key}"), "true").code == 0


@pytest.mark.fault(7)
def test_a_host_without_an_ed25519_key_counts_as_changed(own_sshd: Sshd, pool: SshPool) -> None:
    import subprocess

    pinned = own_sshd.target()
    own_sshd.stop()
    for name in ("host_key", "host_key.pub"):
        (own_sshd.directory / name).unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", own_sshd.directory / "host_key"], check=True)
    own_sshd.start()
    with pytest.raises(HostKeyChanged, match="nothing was sent to it"):
        pool.run(pinned, "true")


def test_a_host_that_refuses_the_key_says_whose_key_and_which_user(own_sshd: Sshd, pool: SshPool) -> None:
    stranger = Key.create("stranger")
    with pytest.raises(HostUnreachable, match=f"refuses the cluster's key for {own_sshd.user}"):
        pool.run(own_sshd.target(private_key=stranger.private, passphrase=stranger.passphrase), "true")
