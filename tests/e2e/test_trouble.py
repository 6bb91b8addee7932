"""When something is in the way: the operation says the step, the command, the last words and the way out."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.provisioner.providers.local import clean_up
from tests.support.installation import ROOT, Installation, wait_for
from tests.support.pool import Pool, given_hosts

pytestmark = [pytest.mark.real, pytest.mark.slow]

# dpkg locks with fcntl(2), which flock(1) does not see; perl is part of every Debian.
HOLD = (
    "nohup perl -MFcntl -e 'for (qw(lock lock-frontend)) { open my $f, q(>>), qq(/var/lib/dpkg/$_) or die; push @f, $f; "
    "my $l = pack(q(s s x4 q q i x4), F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die; } sleep 600' >/dev/null 2>&1 & echo $!"
)


def gone_without_a_trace(dtrove: Installation, cluster: str) -> None:
    ended = dtrove.end_of(dtrove.delete(cluster))
    assert ended["status"] == "succeeded", ended["problem"]
    assert dtrove.ask("GET", f"/v1/clusters/{cluster}").status_code == 404
    assert not dtrove.containers(cluster)


def failed(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation)
    assert ended["status"] == "failed", ended
    assert ended["problem"]["what_to_do"]
    return dict(ended["problem"])


def test_a_package_that_no_source_has_is_named_and_the_cluster_can_be_deleted(dtrove: Installation) -> None:
    entry = {"manager": "redis", "version": "9.9", "packages": ["redis-server-of-tomorrow"]}
    assert dtrove.ask("POST", "/v1/datastores", entry).status_code == 201
    cluster, operation = dtrove.create("no-package", "redis 9.9")
    problem = failed(dtrove, operation)
    assert problem["step"] == "preflight"
    assert "redis-server-of-tomorrow" in problem["message"]
    shown = dtrove.get(f"/v1/clusters/{cluster}")
    assert shown["status"] == "failed"
    assert "redis-server-of-tomorrow" in shown["message"]
    gone_without_a_trace(dtrove, cluster)


def test_an_image_that_the_provider_does_not_have_is_named(dtrove: Installation) -> None:
    entry = {"manager": "redis", "version": "8.8", "packages": ["redis-server"], "image": "no-such-image"}
    assert dtrove.ask("POST", "/v1/datastores", entry).status_code == 201
    cluster, operation = dtrove.create("no-image", "redis 8.8")
    problem = failed(dtrove, operation)
    assert problem["step"] in ("create_server", "wait_for_server")
    assert "no-such-image" in problem["message"]
    gone_without_a_trace(dtrove, cluster)


def test_a_full_disk_is_seen_before_anything_is_installed(dtrove: Installation) -> None:
    cluster, operation = dtrove.create("full", "redis 7.0", volume_gb=1)
    instance = dtrove.get(f"/v1/clusters/{cluster}/instances")["instances"][0]["id"]
    mounted = dtrove.home / "volumes" / instance / "mnt"
    wait_for(lambda: str(mounted) in Path("/proc/mounts").read_text(), 60, 0.01, "the volume")
    with (mounted / "filler").open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, 850 * 1024**2)
    problem = failed(dtrove, operation)
    assert problem["step"] == "preflight"
    assert "MB are free on /var/lib/dtrove-data" in problem["message"]
    gone_without_a_trace(dtrove, cluster)


def test_a_wrong_command_is_shown_with_its_last_words(dtrove: Installation) -> None:
    entry = {"manager": "redis", "version": "6.0", "packages": ["redis-server"]}
    assert dtrove.ask("POST", "/v1/datastores", entry).status_code == 201
    cluster, operation = dtrove.create("other-version", "redis 6.0")
    problem = failed(dtrove, operation)
    assert problem["step"] == "verify"
    assert "7.0" in problem["message"]
    gone_without_a_trace(dtrove, cluster)


def test_a_host_that_does_not_answer_is_named_while_it_is_tried_again_and_the_user_can_cancel(
    dtrove: Installation,
) -> None:
    cluster, operation = dtrove.create("unplugged", "redis 7.0", flavor="tiny")
    assert dtrove.end_of(operation)["status"] == "succeeded"
    (name,) = dtrove.containers(cluster)
    subprocess.run(["podman", "kill", name], check=True, capture_output=True)
    instance = dtrove.get(f"/v1/clusters/{cluster}/instances")["instances"][0]["id"]
    asked = dtrove.ask("POST", f"/v1/instances/{instance}/perform", {"name": "look", "commands": ["true"]})
    operation = asked.json()["id"]

    def retrying() -> dict[str, Any] | None:
        shown = dtrove.operation(operation) or {"steps": []}
        return next((step for step in shown["steps"] if step["status"] == "retrying"), None)

    step = wait_for(retrying, 60, what="a retry")
    assert "unplugged-1" in step["message"]
    assert dtrove.ask("POST", f"/v1/operations/{operation}/cancel").status_code == 202
    assert dtrove.end_of(operation, 60)["status"] == "cancelled"
    gone_without_a_trace(dtrove, cluster)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    home = tmp_path_factory.mktemp("pool")
    (home / "images").symlink_to(ROOT / "var" / "images")
    with given_hosts(home) as made:
        yield made
    clean_up(home)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Iterator[Installation]:
    """DTrove over given hosts, with the provider `static`."""
    with Installation(
        tmp_path_factory.mktemp("shelf"), DTROVE_PROVIDER="static", DTROVE_STATIC_HOSTS=str(pool.file)
    ) as made:
        yield made


def test_a_locked_package_manager_is_waited_for_and_the_user_reads_why(shelf: Installation, pool: Pool) -> None:
    holders = {name: pool.on_host(name, HOLD) for name in ("shelf-1", "shelf-2")}
    cluster, operation = shelf.create("patient", "redis 7.0", flavor="shelf")

    def waiting() -> bool:
        shown = shelf.operation(operation) or {"steps": []}
        return any("waiting" in step["message"] and "perl" in step["message"] for step in shown["steps"])

    wait_for(waiting, 60, 0.1, "a word about the lock")
    threading.Event().wait(2)
    for name, holder in holders.items():
        pool.on_host(name, f"kill {holder}")
    assert shelf.end_of(operation)["status"] == "succeeded"
    assert shelf.end_of(shelf.delete(cluster))["status"] == "succeeded"


def test_a_pool_without_a_free_host_is_said_plainly_and_a_released_host_serves_again(
    shelf: Installation, pool: Pool
) -> None:
    begun = [shelf.create(f"guest-{number}", "redis 7.0", flavor="shelf") for number in range(3)]
    ended = [shelf.end_of(operation) for _, operation in begun]
    assert sorted(one["status"] for one in ended) == ["failed", "succeeded", "succeeded"]
    (problem,) = [one["problem"] for one in ended if one["status"] == "failed"]
    assert "host" in problem["message"]
    for cluster, _ in begun:
        assert shelf.end_of(shelf.delete(cluster))["status"] == "succeeded"
    again, operation = shelf.create("late-guest", "redis 7.0", flavor="shelf")
    assert shelf.end_of(operation)["status"] == "succeeded"
    assert shelf.end_of(shelf.delete(again))["status"] == "succeeded"
    assert pool.on_host("shelf-1", "ls /var/lib/redis 2>/dev/null | wc -l") == "0"
