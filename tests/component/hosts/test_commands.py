"""Commands over a real sshd: both ways at once, exit codes, signals, timeouts."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.datastore_agentless.hosts.base import CommandFailed, Run, Script
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import SshPool
from shared.secrets import Secret
from tests.component.hosts.sshd import Sshd
from tests.support.installation import wait_for

MEGABYTES = 1024 * 1024


def one(command: Run) -> Script:
    return (yield command)


def test_input_larger_than_the_window_flows_while_the_command_talks_on_both_streams(sshd: Sshd, pool: SshPool) -> None:
    data = random.Random(1).randbytes(6 * MEGABYTES)
    done = pool.run(sshd.target(), "tee /dev/stderr", data, timeout=60)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    assert hashlib.sha256(done.stderr).digest() == hashlib.sha256(data).digest()


def test_a_command_that_talks_before_it_listens_does_not_stop_for_ever(sshd: Sshd, pool: SshPool) -> None:
    done = pool.run(
        sshd.target(), "head -c 8000000 /dev/zero; head -c 8000000 /dev/zero >&2; wc -c >&2", b"x" * 5_000_000, 60
    )
    assert len(done.stdout) == 8_000_000
    assert done.stderr[8_000_000:] == b"5000000\n"


def test_a_command_may_end_without_reading_its_input(sshd: Sshd, pool: SshPool) -> None:
    assert pool.run(sshd.target(), "exit 3", b"x" * 5_000_000, 20).code == 3


@pytest.mark.parametrize("code", [0, 1, 2, 124, 137, 255])
def test_exit_codes_come_back_as_they_are(sshd: Sshd, pool: SshPool, code: int) -> None:
    assert pool.run(sshd.target(), f"exit {code}").code == code


def test_a_command_that_a_signal_ended_is_no_lost_connection(sshd: Sshd, pool: SshPool) -> None:
    done = pool.run(sshd.target(), "exec sh -c 'kill -9 $$'")
    assert done.code == 137
    assert b"signal" in done.stderr


def test_what_a_command_leaves_in_the_background_does_not_hold_the_caller(sshd: Sshd, pool: SshPool) -> None:
    assert pool.run(sshd.target(), "sleep 300 & echo started", timeout=20).stdout == b"started\n"


def test_past_its_timeout_a_command_is_ended_on_the_host_as_well(
    runner: Callable[..., HostRunner], tmp_path: Path
) -> None:
    mark = f"{tmp_path}/marked-sleep"
    with pytest.raises(CommandFailed, match="did not end within 1 s") as caught:
        runner().execute(one(Run(f"cp /bin/sleep {mark}; echo why >&2; {mark} 60 & {mark} 60", timeout=1)))
    assert caught.value.code == 124
    assert caught.value.stderr == "why"
    wait_for(lambda: subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).returncode == 1, 10,
             what="the end of what the command started")  # fmt: skip


def test_a_failed_command_tells_the_code_the_command_and_its_last_words(runner: Callable[..., HostRunner]) -> None:
    with pytest.raises(CommandFailed) as caught:
        runner().execute(one(Run("for n in $(seq 50); do echo line $n >&2; done; exit 7", title="count")))
    assert caught.value.code == 7
    assert caught.value.stderr.splitlines()[-1] == "line 50"
    assert len(caught.value.stderr.splitlines()) == 20
    assert "seq 50" in caught.value.command


def test_output_without_end_is_cut_and_the_command_still_ends(sshd: Sshd, pool: SshPool) -> None:
    done = pool.run(sshd.target(), "head -c 30000000 /dev/zero", timeout=60)
    assert done.code == 0
    assert len(done.stdout) == 16 * MEGABYTES


def test_a_secret_on_standard_input_shows_nowhere(
    sshd: Sshd, runner: Callable[..., HostRunner], tmp_path: Path
) -> None:
    canary = Secret("canary'\"\\$(x)-4711")
    script = f"read -r a; cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' > {tmp_path}/argv; env > {tmp_path}/env; echo got $a"
    for prefix in ("", "env A=B "):
        driver = runner(target=sshd.target(prefix=prefix))
        result = driver.execute(one(Run(script, stdin=canary)))
        assert canary.reveal() in result.stdout
        assert "canary" not in (tmp_path / "argv").read_text()
        assert "canary" not in (tmp_path / "env").read_text()
        assert all("canary" not in repr(entry) for entry in driver.transcript.entries)
        assert "got ***" in driver.transcript.entries[-1].stdout


def test_short_commands_side_by_side_never_end_the_connection_that_they_share(
    runner: Callable[..., HostRunner], sshd: Sshd
) -> None:
    pool, logged = SshPool(), len(sshd.log())
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda n: runner(pool=pool).execute(one(Run(f"echo {n}"))).text, range(1500)))
        fed = list(threads.map(
            lambda n: runner(pool=pool).execute(one(Run(f"echo {n}", stdin="x" * 300_000))).text, range(300)
        ))  # fmt: skip
    assert (said, fed) == ([str(n) for n in range(1500)], [str(n) for n in range(300)])
    assert "nonexistent channel" not in sshd.log()[logged:]
    pool.close()


def test_commands_that_bring_a_new_epoch_at_the_same_moment_all_run(runner: Callable[..., HostRunner]) -> None:
    # With the patience of a service: a busy machine takes its time to open eight sessions.
    pool = SshPool()
    for epoch in range(1, 6):
        with ThreadPoolExecutor(8) as threads:
            said = threads.map(
                lambda n, e=epoch: runner(epoch=e, pool=pool).execute(one(Run(f"echo {n}"))).text, range(8)
            )
            assert list(said) == [str(n) for n in range(8)]
    pool.close()
