"""Rows 4, 5 and 7: a real host reboots, its sshd goes away or has too many callers, or it is not who it was."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from bench.figures import at_most
from tests.faults.node import SSHD_PORT, Node
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(3600)]


def greets(addr: str, port: int = 22) -> bool:
    """Whether sshd answers there."""
    try:
        with socket.create_connection((addr, port), timeout=0.5) as line:
            line.settimeout(2)
            return line.recv(4) == b"SSH-"
    except OSError:
        return False


@pytest.mark.fault(4)
def test_a_reboot_under_a_job_is_noticed_soon_after_and_the_job_is_started_again(
    node: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, late = times(1, 5), []
    for number in range(rounds):
        command = f"echo $$ >> /root/boot-{number}; echo going; [ $(wc -l < /root/boot-{number}) -gt 1 ] || sleep 600"
        operation = node.perform(command)
        node.runs(operation)
        node.container.restart(timeout=0)
        wait_for(lambda: greets(node.addr), 60, 0.05, "sshd again")
        back = time.monotonic()
        # A container's kernel does not reboot with it: there the job has vanished, on a machine of its own it is lost.
        node.said(operation, ": starting it again")
        late.append(time.monotonic() - back)
        (result,) = node.performed(operation)
        assert (result["exit_code"], result["stdout"]) == (0, "going\n")
        assert len(node.sh(f"cat /root/boot-{number}").splitlines()) == 2
    figure(4, "reboots under a job, known for lost after SSH's return within", rounds, max(late), "s", at_most(15, "s"))


@pytest.mark.fault(5)
def test_no_operation_fails_while_sshd_is_away_for_less_than_a_minute(
    lined: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, seconds, failed = times(1, 4), times(8, 55), 0
    for _ in range(rounds):
        long = lined.perform("n=0; while [ $n -lt 20 ]; do echo $n; n=$((n+1)); sleep 0.5; done")
        lined.runs(long)
        lined.stop_sshd()
        meanwhile = [lined.perform(f"echo {number}") for number in range(3)]
        threading.Event().wait(seconds)
        lined.start_sshd()
        assert lined.performed(long)[0]["stdout"] == "".join(f"{n}\n" for n in range(20))
        assert [lined.performed(one)[0]["stdout"] for one in meanwhile] == ["0\n", "1\n", "2\n"]
    figure(5, f"operations failed while sshd was away for {seconds} s", 4 * rounds, failed, "", exactly(0))


@pytest.mark.fault(5)
def test_no_operation_fails_while_sshd_turns_most_callers_away(
    lined: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, seconds = times(1, 4), times(10, 50)
    for number in range(rounds):
        lined.stop_sshd()
        # Beyond one caller that has not logged in, nine of ten are turned away; from five on, all.
        lined.start_sshd("-o MaxStartups=1:90:5 -o LoginGraceTime=600")
        callers = [socket.create_connection((lined.addr, SSHD_PORT), timeout=5) for _ in range(3)]
        asked = [lined.perform(f"echo {number}-{one}") for one in range(3)]
        threading.Event().wait(seconds)
        for caller in callers:
            caller.close()
        for one, operation in enumerate(asked):
            assert lined.performed(operation)[0]["stdout"] == f"{number}-{one}\n"
    figure(5, f"operations failed under MaxStartups 1:90:5 for {seconds} s", 3 * rounds, 0, "", exactly(0))


@pytest.mark.fault(7)
def test_a_changed_host_key_blocks_all_work_is_told_and_nobody_tries_to_log_in(
    lined: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds = times(1, 10)
    lined.sh("ssh-keygen -q -t ed25519 -N '' -f /root/other-key <<END\ny\nEND")
    for _ in range(rounds):
        assert lined.performed(lined.perform("echo known"))[0]["stdout"] == "known\n"
        lined.stop_sshd()
        lined.sh(": > /var/log/sshd-2")
        lined.start_sshd("-o HostKey=/root/other-key")
        operation = lined.perform("touch /root/stranger")
        ended = lined.stack.end_of(operation)
        assert ended["status"] == "failed"
        assert "shows another host key than the pinned one" in ended["problem"]["message"]
        assert ended["problem"]["what_to_do"]
        log = lined.sh("cat /var/log/sshd-2")
        assert "Connection from" in log
        assert "userauth-request" not in log
        assert lined.sh("ls /root/stranger 2>/dev/null") == ""
        wait_for(lambda: _told(lined), 20, what="node.identity_changed")
        lined.stop_sshd()
        lined.start_sshd()
        assert lined.stack.ask("POST", f"/v1/operations/{operation}/retry").status_code == 202
        assert lined.stack.end_of(operation)["status"] == "succeeded"
        lined.sh("rm -f /root/stranger")
    figure(7, "changed host keys, logins attempted", rounds, 0, "", exactly(0))


def _told(node: Node) -> bool:
    """Whether the feed of events has it, whatever page it is on."""
    rows = node.stack.rows("api", "select payload from events where topic = 'node.identity_changed'")
    return any(payload["instance_id"] == node.instance for (payload,) in rows)
