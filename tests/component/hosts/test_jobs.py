"""Detached jobs on a real sshd: started once, followed to their end whatever happens to the line."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.datastore_agentless.hosts.base import CommandFailed, Job, Result
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from shared.clock import SystemClock
from shared.errors import StaleEpoch
from shared.secrets import Secret
from tests.component.hosts.driving import folder_of, one
from tests.component.hosts.sshd import Sshd
from tests.support.proxy import Proxy

MakeRunner = Callable[..., HostRunner]


def test_a_job_brings_its_output_its_errors_and_its_exit_code(runner: MakeRunner) -> None:
    job = Job("mixed", "cat; echo oh >&2; exit 4", stdin="hello\n", ok_codes=(4,))
    assert runner().execute(one(job)) == Result(4, "hello\n", "oh\n")


def test_a_failed_job_runs_anew_at_the_next_try(runner: MakeRunner, tmp_path: Path) -> None:
    job = Job("flaky", f"echo x >> {tmp_path}/count; [ $(wc -l < {tmp_path}/count) -ge 2 ]")
    with pytest.raises(CommandFailed, match="ended with code 1"):
        runner().execute(one(job))
    assert runner().execute(one(job)).code == 0


def test_whoever_comes_later_attaches_and_reads_the_same(runner: MakeRunner, tmp_path: Path) -> None:
    job = Job("once", f"echo x >> {tmp_path}/count; echo from $$; sleep 1")
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: runner().execute(one(job)).stdout, range(8)))
    assert len(set(results)) == 1
    assert runner().execute(one(job)).stdout == results[0]
    assert (tmp_path / "count").read_text() == "x\n"


class Impatient(SystemClock):
    """The system's time, with short pauses."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.02))


@pytest.mark.slow
def test_a_hundred_cuts_of_the_line_lose_and_repeat_nothing(
    sshd: Sshd, line: Proxy, runner: MakeRunner, tmp_path: Path
) -> None:
    chance = random.Random(20261124)
    pool = SshPool(PoolSettings(new_per_second=1000, breaker_failures=1000, watch_seconds=0.1))
    script = (
        f"echo x >> {tmp_path}/count; while [ ! -f {tmp_path}/enough ]; do "
        f"head -c 9000 /dev/urandom | base64 -w 99 | tee -a {tmp_path}/log; sleep 0.02; done; exit 9"
    )
    heard: list[str] = []

    def spoil(*_: object) -> None:
        if line.cuts >= 100:
            (tmp_path / "enough").touch()
        else:
            line.cut_after(chance.randrange(1, 25_000))

    def hear(_: str, text: str) -> None:
        heard.append(text)
        spoil()

    driver = runner(target=sshd.target(port=line.port), pool=pool, on_output=hear, on_progress=spoil, clock=Impatient())
    result = driver.execute(one(Job("log", script, ok_codes=(9,), timeout=300)))
    digest = hashlib.sha256((tmp_path / "log").read_bytes()).hexdigest()
    assert line.cuts >= 100
    assert result.code == 9
    assert hashlib.sha256(result.stdout.encode()).hexdigest() == digest
    assert hashlib.sha256("".join(heard).encode()).hexdigest() == digest
    assert (tmp_path / "count").read_text() == "x\n"
    pool.close()


def test_ten_megabytes_come_whole(runner: MakeRunner) -> None:
    result = runner().execute(one(Job("big", "head -c 10000000 /dev/zero | tr '\\0' 'x'", timeout=60)))
    assert len(result.stdout) == 10_000_000
    assert set(result.stdout) == {"x"}


def test_binary_output_does_no_harm(runner: MakeRunner) -> None:
    result = runner().execute(
        one(
            Job(
                "binary",
                "printf '\\377\\000\\303'; head -c 100000 /dev/urandom >&2; printf '\\303'; sleep 0.2; printf '\\244'",
            )
        )
    )
    assert result.stdout == "�\0�ä"
    assert len(result.stderr) > 10_000


@pytest.mark.parametrize(
    "name", ["a b", "x;touch /tmp/never", "ä€", "../../etc", "'\"$(id)`", "n" * 300, "two\nlines", "-rf"]
)
def test_names_with_odd_characters_are_names_and_nothing_else(runner: MakeRunner, name: str) -> None:
    job = Job(name, "echo fine")
    driver = runner()
    assert driver.execute(one(job)).stdout == "fine\n"
    assert folder_of(driver, job).parent == Path(driver.root, "jobs")
    assert folder_of(driver, job).is_dir()


def test_names_that_look_alike_are_different_jobs(runner: MakeRunner) -> None:
    assert runner().execute(one(Job("a/b", "echo 1"))).stdout == "1\n"
    assert runner().execute(one(Job("a-b", "echo 2"))).stdout == "2\n"
    assert runner().execute(one(Job("a b", "echo 3"))).stdout == "3\n"


def test_output_is_told_while_the_job_still_runs(runner: MakeRunner, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    answer = tmp_path / "heard"

    def hear(stream: str, text: str) -> None:
        heard.append((stream, text))
        if ("out", "first\n") in heard and ("err", "oh\n") in heard:
            answer.touch()

    # It goes on once what it has said was heard.
    driver = runner(on_output=hear)
    driver.execute(one(Job("talk", f"echo first; echo oh >&2; until [ -e {answer} ]; do sleep 0.05; done; echo last")))
    assert sorted(heard[:2]) == [("err", "oh\n"), ("out", "first\n")]
    assert heard[2:] == [("out", "last\n")]


def test_a_secret_that_two_pieces_share_is_never_told_in_halves(runner: MakeRunner) -> None:
    heard: list[str] = []
    transcript = Transcript("node-1", secrets=(Secret("canary-4711"),))
    driver = runner(transcript=transcript, on_output=lambda _, text: heard.append(text))
    driver.execute(
        one(Job("leak", "printf 'is can'; sleep 1; printf 'ary-47'; sleep 1; printf '11 and can'; sleep 0.3; echo did"))
    )
    assert "".join(heard) == "is *** and candid\n"


def test_input_of_a_job_lies_in_memory_for_as_long_as_it_runs(runner: MakeRunner) -> None:
    driver = runner()
    script = f"read -r secret; stat -c %a {driver.memory}/*; grep -rl canary-[0-9] {driver.root}; echo end"
    result = driver.execute(one(Job("secretive", script, stdin=Secret("canary-9"))))
    assert result.stdout == "600\nend\n"
    assert list(Path(driver.memory).iterdir()) == []


def test_a_script_longer_than_an_argument_may_be_runs(runner: MakeRunner) -> None:
    script = f": {'x' * 300_000}\necho long"
    assert runner().execute(one(Job("long", script))).stdout == "long\n"


def test_an_older_epoch_is_refused_for_its_subject_alone(runner: MakeRunner) -> None:
    job = Job("work", "echo ran")
    runner(epoch=7).execute(one(job))
    with pytest.raises(StaleEpoch, match="newer epoch than 6"):
        runner(epoch=6).execute(one(job))
    assert runner(epoch=1, subject="another instance").execute(one(job)).stdout == "ran\n"


def test_a_prefix_that_talks_is_named_as_the_cause(sshd: Sshd, runner: MakeRunner) -> None:
    driver = runner(target=sshd.target(prefix="echo welcome; env "))
    with pytest.raises(CommandFailed, match="cannot be followed") as caught:
        driver.execute(one(Job("noisy", "echo hi", title="work")))
    assert "DTROVE_PREFIX" in caught.value.what_to_do
