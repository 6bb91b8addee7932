"""The list of a pool's hosts: what is right in it, and everything that is wrong, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.provisioner.dependencies import make_host_key
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.static.inventory import parse_inventory, read_inventory


@pytest.fixture
def told(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "pool_key").write_text("a private key")
    (tmp_path / "wipe.sh").write_text("echo gone\n")
    return {
        "private_key_file": "pool_key",
        "user": "ops",
        "wipe_script": "wipe.sh",
        "flavors": [{"name": "big", "vcpus": 8, "ram_mb": 32768, "disk_gb": 400},
                    {"name": "unused", "vcpus": 1, "ram_mb": 512, "disk_gb": 4}],
        "hosts": [{"name": "rack1", "addr": "10.0.0.1", "host_key": make_host_key("x")[1] + " root@rack1", "flavor": "big"},
                  {"name": "rack2", "addr": "rack2.example", "port": 2222, "user": "root", "flavor": "big",
                   "host_key": make_host_key("x")[1], "power": {"off": "ipmi off", "on": "ipmi on", "status": "ipmi status"}}],
    }  # fmt: skip


def read(folder: Path, told: Any) -> Any:
    file = folder / "pool.yaml"
    file.write_text(told if isinstance(told, str) else yaml.safe_dump(told))
    return read_inventory(file)


def test_a_good_list_gives_hosts_with_all_that_was_left_out(tmp_path: Path, told: dict[str, Any]) -> None:
    pool = read(tmp_path, told)
    first, second = pool.hosts
    assert (first.name, first.user, first.port, first.power_off) == ("rack1", "ops", 22, "")
    assert first.host_key == " ".join(told["hosts"][0]["host_key"].split()[:2])
    assert first.private_key_file == tmp_path / "pool_key"
    assert (second.user, second.port) == ("root", 2222)
    assert (second.power_off, second.power_on, second.power_status) == ("ipmi off", "ipmi on", "ipmi status")
    assert pool.wipe_script == "echo gone\n"
    assert pool.owner == "dtrove"


def test_only_flavors_that_a_host_has_are_offered(tmp_path: Path, told: dict[str, Any]) -> None:
    assert [flavor.name for flavor in read(tmp_path, told).flavors] == ["big"]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path, told: dict[str, Any]) -> None:
    told["hosts"][0] |= {"flavor": "huge", "host_key": "ssh-rsa AAAA"}
    told["hosts"][1] |= {"name": "rack1", "private_key_file": "nowhere"}
    with pytest.raises(ProviderError) as refused:
        read(tmp_path, told)
    for words in ("host rack1 is listed twice", "no flavor huge", "no ed25519 key", "there is no file"):
        assert words in refused.value.message
    assert "static-hosts.md" in refused.value.what_to_do


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "colour"),
        ({"flavors": []}, "flavors"),
        ({"hosts": "rack1"}, "hosts"),
        ({"user": "Robert'); drop"}, "user"),
        ({"wipe_script": "nowhere.sh"}, "there is no file"),
        ({"hosts": [{"name": "a"}]}, "hosts.0.addr"),
        ({"hosts": [{"name": "a", "addr": "-oProxyCommand=x", "host_key": "k", "flavor": "big"}]}, "hosts.0.addr"),
        ({"hosts": [{"name": "a b", "addr": "a", "host_key": "k", "flavor": "big"}]}, "hosts.0.name"),
        ({"hosts": [{"name": "a", "addr": "a", "port": 0, "host_key": "k", "flavor": "big"}]}, "hosts.0.port"),
        ({"hosts": [{"name": "a", "addr": "a", "host_key": "k", "flavor": "big", "power": {"off": "x"}}]}, "power.on"),
    ],
)
def test_each_mistake_names_its_field(tmp_path: Path, told: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ProviderError) as refused:
        read(tmp_path, told | change)
    assert words in refused.value.message


@pytest.mark.parametrize("text", ["", "[]", "just words", "hosts: [", "\t- {", "\x00"])
def test_a_file_that_is_no_such_list_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProviderError, match="is not right"):
        read(tmp_path, text)


def test_a_host_without_a_key_to_log_in_with_is_refused(tmp_path: Path, told: dict[str, Any]) -> None:
    del told["private_key_file"]
    with pytest.raises(ProviderError, match="there is no private_key_file"):
        read(tmp_path, told)


def test_a_wrong_list_is_a_wrong_option(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        parse_inventory(str(tmp_path / "nowhere.yaml"))
