"""config.yaml, the settings and `dtrove config` say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from client.configuration import SERVICES, Configuration, declared, settings_of
from client.exits import Exit
from client.local.configuration import load
from shared.config import problems_of
from shared.secrets import Keyring, new_key, write_keyring
from tests.unit.client.conftest import Done

Dtrove = Callable[..., Done]
CONFIG = Path(__file__).parents[3] / "config.yaml"
SEED = (
    "DTROVE_DATASTORE_MANAGERS", "DTROVE_MAX_CLUSTER_SIZE", "DTROVE_PREFIX", "DTROVE_PROVIDER", "DTROVE_SSH_USER",
    "OS_AUTH_URL", "OS_NOVA_BYPASS_URL", "OS_NOVA_ENDPOINT_TYPE", "OS_PASSWORD", "OS_PROJECT_ID", "OS_USERNAME",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in {*load(CONFIG, {}), "DTROVE_TOKEN", "DTROVE_URL", "DTROVE_CONFIG"}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DTROVE_HOME", str(tmp_path))
    write_keyring(tmp_path / "keyring", Keyring((new_key(),)))
    return tmp_path


def names_of_services() -> set[str]:
    return {option.name for program, options in declared() if program != "dtrove" for option in options}


def test_every_option_that_a_service_reads_stands_in_the_file() -> None:
    assert names_of_services() - set(load(CONFIG, {})) == set()


def test_every_option_in_the_file_is_read_by_a_service() -> None:
    assert set(load(CONFIG, {})) - names_of_services() == set()


def test_every_option_of_the_file_is_the_variable_of_the_same_name_and_is_explained() -> None:
    text = CONFIG.read_text()
    for name in load(CONFIG, {}):
        assert re.search(rf'^{name}: (!raw_env_var ")?\$\{{{name}:', text, re.MULTILINE), name
    assert all(option.meaning for _, options in declared() for option in options)


def test_an_option_of_several_services_means_the_same_in_each() -> None:
    meanings: dict[str, set[tuple[str, str]]] = {}
    for program, options in declared():
        for option in options if program != "dtrove" else ():
            meanings.setdefault(option.name, set()).add((option.meaning, option.default))
    assert [name for name, several in meanings.items() if len(several) > 1] == []


def test_the_seeds_options_keep_their_names() -> None:
    assert set(SEED) <= names_of_services()


def test_the_shipped_file_is_right_as_it_is(home: Path) -> None:
    assert Configuration(home, CONFIG).problems() == []


def test_all_that_is_wrong_with_any_service_is_listed_at_once(home: Path) -> None:
    environ = {
        "DTROVE_PROVIDER": "no.such.Provider", "API_DATABASE_URL": "mysql://u:hush@h/n", "DTROVE_MAX_CLUSTER_SIZE": "ten",
        "DTROVE_DATASTORE_MANAGERS": "[('no.such.Manager', 'x'), ('neither.Other', 'y')]", "WEB_SERVER_ADDRESS": "here",
        "DTROVE_KEYRING": str(home / "none"), "DTROVE_SSH_JUMP": "me@gate", "DTROVE_PREFIX": "exec %(nothing)s ",
    }  # fmt: skip
    problems = "\n".join(Configuration(home, CONFIG, environ).problems())
    for name in (*environ, "DTROVE_SSH_JUMP_KEY_FILE", "DTROVE_SSH_JUMP_HOST_KEY"):
        assert name in problems, name
    for words in ("no.such.Manager", "neither.Other", "no.such.Provider"):
        assert words in problems
    assert "hush" not in problems


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_without_a_database_url_and_a_broker_says_so(service: str) -> None:
    problems = problems_of([settings_of(service)], {})
    assert sum("is not set" in problem for problem in problems) == 2


def test_sources_are_told_apart(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTROVE_SSH_USER", "debian")
    (home / "run").mkdir()
    (home / "run" / "environment").write_text("AMQP_URI=amqp://dtrove:hush@127.0.0.1:1234/\n")
    rows = {row.option.name: row for row in Configuration(home, CONFIG).rows()}
    assert rows["DTROVE_SSH_USER"].source == "environment"
    assert rows["AMQP_URI"].source == "dtrove up"
    assert rows["API_DATABASE_URL"].source == "file"
    assert rows["DTROVE_SERVER_DEADLINE"].source == "default"
    assert rows["DTROVE_KEYRING"].read_by == ["api", "provisioner", "datastore_agentless"]


def test_config_masks_secrets_and_warns(home: Path, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "hush-one")
    monkeypatch.setenv("DTROVE_TOKEN", "hush-two")
    monkeypatch.setenv("AMQP_URI", "amqp://me:hush-three@rabbit:5672//")
    monkeypatch.setenv("WEB_SERVER_ADDRESS", "0.0.0.0:8780")
    done = dtrove("config", "--json")
    assert done.code == 0
    assert "hush" not in done.out + done.err
    options = {one["name"]: one for one in done.json["options"]}
    assert options["OS_PASSWORD"]["value"] == options["DTROVE_TOKEN"]["value"] == "***"
    assert options["AMQP_URI"]["value"] == "amqp://me:***@rabbit:5672//"
    assert "plain HTTP" in options["WEB_SERVER_ADDRESS"]["warning"]
    assert "environment" in options["DTROVE_TOKEN"]["warning"]
    assert "replicas" in options["API_DATABASE_URL"]["warning"]
    assert set(options["DTROVE_PROVIDER"]) == {
        "name", "value", "default", "meaning", "warning", "problem", "source", "read_by"
    }  # fmt: skip


def test_config_ends_with_78_where_something_is_wrong(
    home: Path, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTROVE_PROVIDER", "nonsense")
    done = dtrove("config", "provider")
    assert done.code == Exit.CONFIGURATION
    assert "there is no provider 'nonsense'" in done.out + done.err


def test_up_lists_all_that_is_wrong_and_starts_nothing(
    home: Path, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTROVE_PROVIDER", "nonsense")
    monkeypatch.setenv("DTROVE_LOG_LEVEL", "loud")
    done = dtrove("up", "--detach")
    assert done.code == Exit.CONFIGURATION
    assert "DTROVE_PROVIDER" in done.err
    assert "DTROVE_LOG_LEVEL" in done.err
    assert not (home / "run").exists()
