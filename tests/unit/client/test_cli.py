"""The command line against the real API: what it prints where, and what it ends with."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from client.exits import Exit
from client.watching import Lines
from shared.contracts.archives import ArchiveSeen
from shared.contracts.base import utcnow
from shared.contracts.datastore_agentless import HealthSeen
from shared.contracts.values import NodeHealth
from tests.unit.client.conftest import Done
from tests.unit.client.world import PASSWORD, World

Dtrove = Callable[..., Done]
CREATE = ("cluster", "create", "shop", "--datastore", "pgsql 15")


def test_create_with_wait_shows_each_step_on_standard_error_and_the_cluster_on_standard_output(
    world: World, dtrove: Dtrove
) -> None:
    done = dtrove(*CREATE, "--wait")
    assert done.code == 0
    assert "postgresql://dtrove@10.9.0.2:5432/postgres" in done.out
    assert "install" in done.err
    assert "install" not in done.out


def test_with_json_standard_output_is_json_and_nothing_else(world: World, dtrove: Dtrove) -> None:
    done = dtrove(*CREATE, "--wait", "--json")
    assert done.json["status"] == "active"
    assert len(done.out.splitlines()) == 1


def test_create_without_wait_says_how_to_watch(world: World, dtrove: Dtrove) -> None:
    done = dtrove(*CREATE)
    assert "dtrove operation watch" in done.err


def test_a_failed_create_says_why_and_ends_with_one_and_still_prints_json(world: World, dtrove: Dtrove) -> None:
    world.fail_cluster()
    done = dtrove(*CREATE, "--wait", "--json")
    assert done.code == Exit.FAILED
    assert done.json["status"] == "failed"
    for words in ("apt-get install", "E: no [such] package", "mend the sources", "operation transcript"):
        assert words in done.err


def test_the_same_name_again_is_a_conflict_with_a_sentence(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    done = dtrove(*CREATE)
    assert done.code == Exit.CONFLICT
    assert "a cluster called 'shop' exists in this project" in done.err
    assert not done.out


def test_a_refused_field_is_named(world: World, dtrove: Dtrove) -> None:
    done = dtrove("cluster", "create", "Not a name", "--datastore", "pgsql 15", "--size", "0")
    assert done.code == Exit.REFUSED
    assert "name: must be 1 to 63 lower-case letters" in done.err
    assert "size: must be between" in done.err


def test_timeout_ends_the_command_and_leaves_the_operation_running(world: World, dtrove: Dtrove) -> None:
    world.leave("cluster.requested", "create server")
    done = dtrove(*CREATE, "--wait", "--timeout", "0.3")
    assert done.code == Exit.TIMEOUT
    assert "the operation goes on" in done.err
    assert dtrove("operation", "list", "shop", "--json").json[0]["status"] in ("pending", "running")


def test_ctrl_c_leaves_the_operation_running_and_says_how_to_come_back(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.leave("cluster.requested", "create server")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Lines, "show", interrupted)
    done = dtrove(*CREATE, "--wait")
    assert done.code == Exit.INTERRUPTED
    operation = dtrove("operation", "list", "shop", "--json").json[0]
    assert f"dtrove operation watch {operation['id']}" in done.err
    assert operation["status"] in ("pending", "running")


def test_watching_goes_on_after_the_line_was_cut_and_the_api_was_away(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.leave("cluster.requested", "create server")
    made = dtrove(*CREATE, "--json").json
    watching, show = threading.Event(), Lines.show
    monkeypatch.setattr(Lines, "show", lambda lines, shown: (show(lines, shown), watching.set()))

    def come_back() -> None:
        assert watching.wait(20)
        world.stop_server()
        world.hear(world.active(made["id"], made["operation"]))
        world.start_server()

    helper = threading.Thread(target=come_back)
    helper.start()
    done = dtrove("operation", "watch", made["operation"])
    helper.join()
    assert done.code == 0


def test_a_plan_shows_commands_and_changes_nothing(world: World, dtrove: Dtrove) -> None:
    done = dtrove(*CREATE, "--plan")
    assert "apt-get install" in done.out
    assert "+port = [1]" in done.out
    assert dtrove("cluster", "list", "--json").json == []


def test_lists_are_json_lists_and_say_on_standard_error_when_they_are_empty(world: World, dtrove: Dtrove) -> None:
    assert dtrove("cluster", "list").out == ""
    assert "there are no clusters" in dtrove("cluster", "list").err
    dtrove(*CREATE, "--wait")
    assert [one["name"] for one in dtrove("cluster", "list", "--json").json] == ["shop"]
    assert "10.9.0.2:5432" in dtrove("cluster", "list").out


def test_names_and_ids_are_accepted_everywhere(world: World, dtrove: Dtrove) -> None:
    cluster = dtrove(*CREATE, "--wait", "--json").json
    node = cluster["instances"][0]
    operation = dtrove("operation", "list", "shop", "--json").json[0]["id"]
    for wanted in (cluster["id"], "shop"):
        assert dtrove("cluster", "show", wanted, "--json").json["id"] == cluster["id"]
        assert dtrove("instance", "list", wanted, "--json").json[0]["id"] == node["id"]
    for wanted in (node["id"], "shop-1"):
        assert dtrove("instance", "show", wanted, "--json").json["id"] == node["id"]
    for wanted in (operation, "shop"):
        assert dtrove("operation", "show", wanted, "--json").json["id"] == operation
    for wanted in ("pgsql 15", "pgsql - 15", "pgsql"):
        assert dtrove("datastore", "show", wanted, "--json").json["manager"] == "pgsql"


def test_how_nodes_are_is_shown_with_the_cluster_and_by_itself(world: World, dtrove: Dtrove) -> None:
    cluster = dtrove(*CREATE, "--wait", "--json").json
    assert "nothing was seen of it yet" in dtrove("cluster", "health", "shop").err
    moment = utcnow().isoformat()
    node = NodeHealth(
        instance_id=cluster["instances"][0]["id"], cluster_id=cluster["id"], verdict="DISK_FULL", message="shop-1 has only 3 MB",
        seen_at=moment, since=moment, facts={"lag_seconds": 0.25},
    )  # fmt: skip
    world.hear(HealthSeen(nodes=(node,)))
    shown = dtrove("cluster", "show", "shop").out
    assert "degraded" in shown
    assert "DISK_FULL, seen " in shown
    assert "lag 0.2 s" in shown
    health = dtrove("cluster", "health", "shop").out
    assert "shop-1 has only 3 MB" in health
    assert health.count("DISK_FULL") == 2
    report = dtrove("cluster", "health", "shop", "--json").json
    assert report["health"]["nodes"][0]["facts"] == {"lag_seconds": 0.25}
    assert [one["verdict"] for one in report["history"]] == ["DISK_FULL"]


def test_how_far_a_log_is_kept_is_a_line_of_a_cluster_s_health(world: World, dtrove: Dtrove) -> None:
    cluster = dtrove(*CREATE, "--wait", "--json").json["id"]
    assert "its log" not in dtrove("cluster", "health", "shop").out
    long_ago = utcnow() - timedelta(days=2)
    world.hear(ArchiveSeen(cluster_id=cluster, project_id="p"))
    assert "its log is kept from now on" in dtrove("cluster", "health", "shop").out
    world.hear(
        ArchiveSeen(cluster_id=cluster, project_id="p", until=long_ago, broken_at=long_ago, trouble="[no] answer")
    )
    told = " ".join(dtrove("cluster", "health", "shop").out.split())
    assert "2d ago; it has a hole, found 2d ago: a full backup mends it; [no] answer" in told


def test_a_manager_alone_is_enough_where_it_has_one_version(world: World, dtrove: Dtrove) -> None:
    assert dtrove("cluster", "create", "shop", "--datastore", "pgsql", "--json").json["datastore"]["version"] == "15"
    dtrove("datastore", "create", "mysql", "11.4", "mariadb-server")
    done = dtrove("cluster", "create", "store", "--datastore", "mysql")
    assert done.code == Exit.REFUSED
    assert "`mysql 10.11`" in done.err


def test_an_instance_is_found_after_its_cluster_was_renamed(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    assert dtrove("cluster", "update", "shop", "--name", "store", "--json").json["name"] == "store"
    assert dtrove("instance", "show", "shop-1", "--json").code == 0


def test_an_ambiguous_name_is_refused_with_the_ids_to_choose_from(world: World, dtrove: Dtrove) -> None:
    dtrove("datastore", "create", "mysql", "11.4", "mariadb-server")
    done = dtrove("datastore", "show", "mysql")
    assert done.code == Exit.NOT_FOUND
    assert "there are 2 datastores called 'mysql'" in done.err


@pytest.mark.parametrize(
    "command",
    [("cluster", "show"), ("instance", "show"), ("operation", "show"), ("datastore", "show"), ("token", "revoke")],
)
@pytest.mark.parametrize("wanted", ["nothing", "00000000-0000-4000-8000-000000000000"])
def test_what_is_not_there_ends_with_three_and_a_sentence(
    world: World, dtrove: Dtrove, command: tuple[str, str], wanted: str
) -> None:
    done = dtrove(*command, wanted)
    assert (done.code, done.out) == (Exit.NOT_FOUND, "")
    assert "there is no" in done.err


def test_protection_is_lifted_before_a_delete(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--protected", "--wait")
    assert dtrove("cluster", "delete", "shop", "--yes").code == Exit.CONFLICT
    dtrove("cluster", "update", "shop", "--unprotected")
    done = dtrove("cluster", "delete", "shop", "--yes", "--wait", "--json")
    assert done.json["status"] == "deleted"
    assert dtrove("cluster", "show", "shop").code == Exit.NOT_FOUND


def test_delete_asks_first(world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch) -> None:
    dtrove(*CREATE, "--wait")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert dtrove("cluster", "delete", "shop").code == 1
    assert dtrove("cluster", "show", "shop").code == 0


def test_credentials_come_with_a_url_to_use(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    login = dtrove("cluster", "credentials", "shop", "--json").json
    assert login["password"] == PASSWORD
    assert f":{PASSWORD}@" in login["url"]


def test_perform_prints_what_the_commands_print(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    done = dtrove("instance", "perform", "shop-1", "uname -a", "echo [bold]hello")
    assert done.code == 0
    assert done.out == "[node] run: uname -a\n[node] run: echo [bold]hello\n"


def test_a_command_of_perform_that_fails_is_named_and_ends_with_one(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    world.exit_codes["false"] = 1
    done = dtrove("instance", "perform", "shop-1", "false", "true")
    assert done.code == Exit.FAILED
    assert done.err == "`false` ended with 1\n"


def test_events_are_told_as_lines_or_as_json(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    lines = dtrove("event", "tail", "--no-follow", "--json").out.splitlines()
    assert "cluster.active" in [json.loads(line)["type"] for line in lines]
    assert "cluster.active" in dtrove("event", "tail", "--no-follow").out


def test_a_token_is_shown_once_and_revoked_by_name(world: World, dtrove: Dtrove) -> None:
    made = dtrove("token", "create", "robot", "--role", "reader", "--json").json
    assert made["token"]
    assert made["token"] not in dtrove("token", "list").out
    assert dtrove("token", "revoke", "robot", "--json").json == {"id": made["id"], "revoked": True}
    assert dtrove("token", "revoke", "robot").code == Exit.NOT_FOUND


def test_a_quota_is_set_by_options_and_what_is_not_named_stays(world: World, dtrove: Dtrove) -> None:
    dtrove("project", "create", "shop")
    assert dtrove("project", "quota", "shop", "--clusters", "3", "--volume-gb", "50", "--json").code == 0
    shown = dtrove("project", "quota", "shop", "--volume-gb", "-1", "--json").json
    assert shown["limits"] == {"clusters": 3, "instances": None, "volume_gb": None, "backups": None, "backup_gb": None}
    assert shown["used"]["clusters"] == 0
    assert dtrove("project", "quota", "nobodys").code == Exit.NOT_FOUND


def test_a_project_lends_with_a_secret_that_is_no_argument_and_takes_it_back(
    world: World, dtrove: Dtrove, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hush\n")
    lend = ("project", "delegate", "default", "--application-credential", "abc")
    lent = dtrove(*lend, "--secret-file", str(tmp_path / "secret"), "--json")
    assert (lent.code, lent.json["credential_id"]) == (0, "abc")
    (sent,) = world.provisioner.lent.values()
    assert sent["secret"] != "hush"
    assert dtrove("project", "delegation", "default", "--json").json == lent.json
    assert dtrove("project", "delegate", "default").code == Exit.REFUSED
    assert dtrove(*lend, "--trust", "def").code == Exit.REFUSED
    assert dtrove("project", "withdraw", "default").code == 0
    assert dtrove("project", "delegation", "default").code == Exit.NOT_FOUND


def test_the_audit_tells_the_last_changes(world: World, dtrove: Dtrove) -> None:
    dtrove("project", "create", "shop")
    (line,) = dtrove("audit", "--last", "1", "--json").json
    assert (line["action"], line["status"]) == ("POST /v1/projects", 201)


def test_a_wrong_token_and_a_missing_one_end_with_four(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTROVE_TOKEN", "wrong")
    assert dtrove("cluster", "list").code == Exit.NOT_ALLOWED
    monkeypatch.delenv("DTROVE_TOKEN")
    (world.home / "client.json").unlink()
    done = dtrove("cluster", "list")
    assert done.code == Exit.NOT_ALLOWED
    assert "dtrove init" in done.err


def test_an_api_that_is_away_ends_with_five_and_says_what_to_do(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTROVE_URL", "http://127.0.0.1:9")
    done = dtrove("cluster", "list")
    assert done.code == Exit.UNAVAILABLE
    assert "dtrove up" in done.err


def test_a_url_that_is_none_is_a_matter_of_configuration(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTROVE_URL", "nonsense")
    done = dtrove("cluster", "list")
    assert done.code == Exit.CONFIGURATION
    assert "DTROVE_URL" in done.err
