"""A whole DTrove is set back to a copy of itself: it serves at once, does nothing of old by itself, and goes on at a word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from services.provisioner.providers.fake import Cloud
from services.provisioner.providers.fake.provider import STATE_FILE
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Installation]:
    """An installation with a RabbitMQ of its own, which goes aside with it."""
    with Installation(tmp_path / "own", DTROVE_PROVIDER="fake") as made:
        yield made


def made(own: Installation, name: str) -> str:
    """A cluster that serves."""
    cluster, operation = own.create(name, "redis 7.0")
    assert own.end_of(operation)["status"] == "succeeded"
    return cluster


def names(own: Installation) -> list[str]:
    return sorted(one["name"] for one in own.get("/v1/clusters")["clusters"])


def control_plane(own: Installation) -> dict[str, Any]:
    """What `dtrove check` says of it."""
    found = json.loads(own.dtrove("check", "--json", timeout=120, check=False).stdout)["checks"]
    return next(one for one in found if one["name"] == "control plane")


def test_what_was_made_since_the_copy_is_an_orphan_and_what_is_in_it_can_be_worked_on(
    own: Installation, tmp_path: Path
) -> None:
    identity = x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    archive = str(tmp_path / "copy.age")
    before = made(own, "before")
    refused = own.dtrove("control-plane", "backup", archive, "-r", str(identity.to_public()), check=False)
    assert (refused.returncode, "DTrove runs" in refused.stderr) == (1, True)
    own.dtrove("control-plane", "backup", archive, "-r", str(identity.to_public()), "--online", timeout=120)
    after = made(own, "after")

    own.dtrove("down", timeout=120)
    own.dtrove("control-plane", "restore", archive, "-i", str(tmp_path / "identity"), "--force", timeout=120)
    own.up()
    assert names(own) == ["before"]
    assert control_plane(own)["status"] == "warning"
    made(own, "asked-for-now")

    own.dtrove("control-plane", "resume")
    assert control_plane(own)["status"] == "ok"
    cloud = Cloud(path=own.home / STATE_FILE)
    lost = [one.id for one in cloud.servers() if one.cluster_id == after]
    assert lost

    def listed() -> bool:
        found = json.loads(own.dtrove("orphans", "list", "--json").stdout)
        return {one["id"]: one["why"] for one in found if one["id"] in lost} == dict.fromkeys(lost, "unknown")

    wait_for(listed, 90, 0.5, "the server of what is not known")
    assert own.end_of(own.delete(before))["status"] == "succeeded"
    assert [one for one in cloud.servers() if one.cluster_id == before] == []
