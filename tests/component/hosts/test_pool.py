"""The pool: one warm connection per host, bounded everything, and dead hosts that hold up nobody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.datastore_agentless.hosts.base import HostUnreachable
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.hosts.ssh.connection import connect
from tests.component.hosts.conftest import QUICK
from tests.component.hosts.sshd import Sshd, reaches
from tests.support.installation import wait_for
from tests.support.proxy import Proxy


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a host that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def test_commands_share_one_connection(line: Proxy, sshd: Sshd, pool: SshPool) -> None:
    target = sshd.target(port=line.port)
    for _ in range(20):
        pool.run(target, "true")
    assert line.accepted == 1


def test_small_packets_are_sent_at_once(sshd: Sshd) -> None:
    transport = connect(sshd.target(), None, QUICK)
    # Otherwise each of them would wait for the other side's delayed acknowledgement, 40 ms.
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.close()


def test_more_callers_than_channels_take_turns_on_one_connection(line: Proxy, sshd: Sshd, pool: SshPool) -> None:
    target = sshd.target(port=line.port)
    with ThreadPoolExecutor(30) as threads:
        results = list(threads.map(lambda n: pool.run(target, f"sleep 0.1; echo {n}").stdout, range(30)))
    assert results == [f"{n}\n".encode() for n in range(30)]
    assert line.accepted == 1


def test_no_more_channels_are_open_at_once_than_allowed(sshd: Sshd, tmp_path: object) -> None:
    pool = SshPool(PoolSettings(channels=3))
    begun = threading.Barrier(12)

    def work(_: int) -> int:
        begun.wait()
        mine = f"{tmp_path}/open-$$"
        return int(pool.run(sshd.target(), f": > {mine}; ls {tmp_path} | grep -c open-; sleep 0.1; rm {mine}").stdout)

    with ThreadPoolExecutor(12) as threads:
        assert max(threads.map(work, range(12))) <= 3
    pool.close()


def test_new_connections_are_spread_over_time(sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(new_per_second=5))
    lines = [Proxy(sshd.port) for _ in range(6)]
    began = time.monotonic()
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda one: pool.run(sshd.target(port=one.port), "true"), lines))
    assert time.monotonic() - began >= 5 / 5
    pool.close()
    for one in lines:
        one.close()


def test_idle_connections_close_though_nothing_new_connects(sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(idle_ttl=0.3, watch_seconds=0.1))
    pool.run(sshd.target(), "true")
    assert pool.connected() == 1
    wait_for(lambda: pool.connected() == 0, 5, what="closing the idle connection")
    assert pool.run(sshd.target(), "echo again").stdout == b"again\n"
    wait_for(lambda: pool.connected() == 0, 5, what="closing it once more")


def test_a_connection_in_use_is_not_idle(sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(idle_ttl=0.2, watch_seconds=0.05))
    assert pool.run(sshd.target(), "sleep 1; echo done").stdout == b"done\n"
    pool.close()


def test_a_connection_that_died_while_idle_is_replaced_unseen(line: Proxy, sshd: Sshd, pool: SshPool) -> None:
    target = sshd.target(port=line.port)
    pool.run(target, "true")
    line.cut()
    assert pool.run(target, "echo back").stdout == b"back\n"
    assert line.accepted == 2


def test_a_line_cut_under_a_command_says_that_nothing_is_known(line: Proxy, sshd: Sshd, pool: SshPool) -> None:
    target = sshd.target(port=line.port)
    threading.Timer(0.3, line.cut).start()
    with pytest.raises(HostUnreachable, match="was lost"):
        pool.run(target, "sleep 20")
    assert reaches(pool, target)


@pytest.mark.fault(6)
def test_a_host_that_accepts_and_never_answers_does_not_hold_up_others(sshd: Sshd, pool: SshPool, mute: int) -> None:
    hanging = [threading.Thread(target=reaches, args=(pool, sshd.target(port=mute)), daemon=True) for _ in range(5)]
    for one in hanging:
        one.start()
    began = time.monotonic()
    assert pool.run(sshd.target(), "echo quick").stdout == b"quick\n"
    assert time.monotonic() - began < QUICK.connect_timeout
    with pytest.raises(HostUnreachable):
        pool.run(sshd.target(port=mute), "true")


def test_a_host_that_stalls_after_login_is_given_up_in_bounded_time(line: Proxy, sshd: Sshd, pool: SshPool) -> None:
    target = sshd.target(port=line.port)
    pool.run(target, "true")
    line.silence()
    began = time.monotonic()
    with pytest.raises(HostUnreachable):
        pool.run(target, "true", timeout=1)
    assert time.monotonic() - began < 3 * QUICK.connect_timeout + 2


def test_the_breaker_refuses_a_dead_host_at_once_and_lets_one_attempt_through_later(own_sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(connect_timeout=2, breaker_failures=3, breaker_first=0.2, breaker_cap=0.4))
    target = own_sshd.target()
    own_sshd.stop()
    for _ in range(3):
        with pytest.raises(HostUnreachable, match="does not answer"):
            pool.run(target, "true")
    with pytest.raises(HostUnreachable, match=r"failed 3 times in a row .*; next attempt in"):
        pool.run(target, "true")
    own_sshd.start()
    wait_for(lambda: reaches(pool, target), 5, what="the attempt that heals the host")
    pool.close()


def test_a_host_behind_a_jump_host_is_reached_through_it(sshd: Sshd, own_sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(idle_ttl=0.2, watch_seconds=0.05))
    target = own_sshd.target(jump=sshd.target(name="hop"))
    assert pool.run(target, "echo through").stdout == b"through\n"
    # While a command runs behind it, the hop is in use and stays.
    assert pool.run(target, "sleep 1; echo $SSH_CONNECTION").stdout.split()[-1] == str(own_sshd.port).encode()
    wait_for(lambda: pool.connected() == 0, 5, what="closing both")


def test_a_dead_jump_host_is_named(own_sshd: Sshd, pool: SshPool, mute: int) -> None:
    hop = own_sshd.target(name="bastion", port=1)
    with pytest.raises(HostUnreachable, match="bastion"):
        pool.run(own_sshd.target(jump=hop), "true")


def test_an_idle_connection_is_kept_alive(line: Proxy, sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(keepalive=1))
    pool.run(sshd.target(port=line.port), "true")
    before = line.sent
    wait_for(lambda: line.sent > before, 5, what="a sign of life")
    pool.close()


class Unclosable:
    """A channel whose connection breaks under the good-bye."""

    def close(self) -> None:
        raise EOFError


def test_the_watch_goes_on_though_a_channel_cannot_be_closed(line: Proxy, sshd: Sshd) -> None:
    pool = SshPool(PoolSettings(connect_timeout=2, watch_seconds=0.05))
    pool.run(sshd.target(), "true")
    (broken,) = pool._connections.values()
    broken.commands[0] = (0.0, Unclosable())  # type: ignore[assignment]
    # Where no timeout of the library reaches, only the watch ends a command.
    wait_for(lambda: pool.connected() == 0, 10, what="giving up that connection")
    target = sshd.target(port=line.port)
    pool.run(target, "true")
    line.silence()
    with pytest.raises(HostUnreachable):
        pool.run(target, "true", timeout=0.5)
    pool.close()


@pytest.mark.parametrize("size", range(1650, 1800, 30))
def test_a_line_that_breaks_during_the_login_is_no_refusal_of_the_key(
    line: Proxy, sshd: Sshd, pool: SshPool, size: int
) -> None:
    line.cut_after(size)
    with pytest.raises(HostUnreachable) as caught:
        pool.run(sshd.target(port=line.port), "true")
    assert "refuses" not in caught.value.message


def test_a_line_that_falls_silent_during_the_login_is_no_refusal_of_the_key(
    line: Proxy, sshd: Sshd, pool: SshPool
) -> None:
    line.silence_after(1_100)
    with pytest.raises(HostUnreachable) as caught:
        pool.run(sshd.target(port=line.port), "true")
    assert "refuses" not in caught.value.message
