"""What a cluster's page, an operation's and a backup's show, and what can be done there."""

from __future__ import annotations

import pytest

from shared.contracts import datastore_agentless as databases
from tests.component.api.test_clusters import active, gone
from tests.component.api.test_restoring_in_place import restored
from tests.component.console.scene import PROBLEM, Scene, made, progressed
from tests.support.api import PASSWORD, Api
from tests.support.browser import Browser, found


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


def part_of(text: str) -> str:
    """The address by which a page asks for its living part again."""
    return found(r'<div id="live" hx-get="([^"]+)"', text)


def test_the_overview_shows_what_there_is_what_is_wrong_and_what_is_under_way(scene: Scene, member: Browser) -> None:
    text = member.get("/").text
    assert "1 degraded" in text
    assert "1 failed" in text
    alerts, under_way = text.index("What needs a look"), text.index("Under way")
    assert alerts < text.index(f"/operations/{scene.failed}") < under_way < text.index(f"/operations/{scene.running}")
    assert "just now" in text


def test_a_part_of_a_page_comes_again_only_when_it_has_changed(api: Api, scene: Scene, member: Browser) -> None:
    for path in ("/", "/clusters", "/clusters?status=failed", f"/clusters/{scene.cluster}", "/operations", "/backups"):
        part = part_of(member.get(path).text)
        assert member.get(part).status_code == 204, path
    part = part_of(member.get("/clusters").text)
    api.create("another")
    fresh = member.get(part)
    assert (fresh.status_code, "another" in fresh.text, "<html" in fresh.text) == (200, True, False)
    assert member.get(part_of(fresh.text)).status_code == 204


def test_a_filtered_list_stays_filtered_and_long_ones_have_pages(api: Api, member: Browser) -> None:
    for number in range(22):
        api.create(f"shop-{number}")
    text = member.get("/clusters?status=requested").text
    assert text.count('id="c-') == 20
    older = found(r'href="(/clusters\?marker=[^"]+)"', text)
    assert "status=requested" in older
    second = member.get(older).text
    assert second.count('id="c-') == 2
    assert "marker=" in part_of(second)
    assert member.get("/clusters?status=failed").text.count('id="c-') == 0
    assert member.get("/clusters?marker=nothing").status_code == 422


def test_a_clusters_page_draws_its_nodes_and_tells_how_to_reach_it(scene: Scene, member: Browser) -> None:
    text = member.get(f"/clusters/{scene.cluster}").text
    assert text.count("<rect") == 2
    assert text.count("<line") == 1
    for words in ("primary", "replica", "42.0 s behind", "ssh: answers", "LAGGING", "shop-1:5432", "shop-2:5432"):
        assert words in text
    for title in ("psql", "Python (psycopg)", "Node (pg)", "JDBC"):
        assert f"<summary>{title}</summary>" in text
    assert PASSWORD not in text


def test_a_clusters_page_says_until_when_is_kept_what_it_had_before_it_was_restored(
    api: Api, scene: Scene, member: Browser
) -> None:
    path = f"/clusters/{scene.cluster}"
    assert "in place of its own" not in member.get(path).text
    node = api.get(f"/v1{path}")["instances"][0]["id"]
    api.hear(restored(scene.cluster, scene.backup, node))
    text = member.get(path).text
    assert f'href="/backups/{scene.backup}">a backup</a> in place of its own' in text
    assert "--confirm, or --undo" in text


def test_a_login_is_shown_when_it_is_asked_for_and_that_is_written_down(
    api: Api, scene: Scene, member: Browser
) -> None:
    member.get(f"/clusters/{scene.cluster}")
    path = f"/clusters/{scene.cluster}/credentials"
    part = member.post(path, **{"HX-Request": "true"})
    assert (PASSWORD in part.text, "<html" in part.text) == (True, False)
    page = member.post(path)
    assert (PASSWORD in page.text, "<html" in page.text) == (True, True)
    assert page.headers["Cache-Control"] == "no-store"
    assert [one.action for one in api.rows("audit")].count("credentials.read") == 2
    api.databases.away = True
    assert "did not answer" in member.post(path, **{"HX-Request": "true"}).text
    assert member.post(path).status_code == 503


def test_a_protected_cluster_is_not_deleted_and_the_page_says_why(api: Api, scene: Scene, member: Browser) -> None:
    member.get("/")
    member.post(f"/clusters/{scene.cluster}/protection", {"protect": "on"})
    page = member.post(f"/clusters/{scene.cluster}/delete", {"name": "shop"})
    assert page.status_code == 409
    assert "protected" in page.text
    assert api.get(f"/v1/clusters/{scene.cluster}")["status"] == "degraded"
    assert member.post(f"/clusters/{scene.cluster}/protection", {"protect": "perhaps"}).status_code == 422


def test_a_cluster_is_deleted_by_whoever_has_seen_the_plan_and_typed_the_name(
    api: Api, scene: Scene, member: Browser
) -> None:
    page = member.get(f"/clusters/{scene.cluster}/delete")
    for words in ("Lost for good", "server shop-1", "Type its name, shop"):
        assert words in page.text
    for name in ("", "Shop", "shop-1"):
        wrong = member.post(f"/clusters/{scene.cluster}/delete", {"name": name})
        assert (wrong.status_code, "nothing was deleted" in wrong.text) == (422, True)
    assert api.get(f"/v1/clusters/{scene.cluster}")["status"] == "degraded"
    done = member.post(f"/clusters/{scene.cluster}/delete", {"name": "shop"})
    assert done.status_code == 303
    assert api.get(f"/v1/clusters/{scene.cluster}")["status"] == "deleting"
    operation = done.headers["Location"].rpartition("/")[2]
    assert api.operation(operation)["kind"] == "delete_cluster"
    gone(api, scene.cluster, operation)
    assert member.get(f"/operations/{operation}").status_code == 200


def test_a_last_backup_can_be_made_before_a_cluster_goes(api: Api, scene: Scene, member: Browser) -> None:
    member.get(f"/clusters/{scene.cluster}/delete")
    done = member.post(f"/clusters/{scene.cluster}/delete", {"name": "shop", "final_backup": "on"})
    assert api.operation(done.headers["Location"].rpartition("/")[2])["kind"] == "backup"


def test_an_operation_that_failed_says_why_and_can_go_on(api: Api, scene: Scene, member: Browser) -> None:
    text = member.get(f"/operations/{scene.failed}").text
    assert "What to do: mend" in text
    assert "late-1" in text
    assert member.post(f"/operations/{scene.failed}/retry").headers["Location"] == f"/operations/{scene.failed}"
    assert api.operation(scene.failed)["status"] in ("pending", "running")
    assert member.post(f"/operations/{scene.failed}/retry").status_code == 409


def test_what_exactly_ran_is_shown(api: Api, scene: Scene, member: Browser) -> None:
    late = api.get(f"/v1/operations/{scene.failed}")["cluster"]
    assert "Nothing has run" in member.get(f"/operations/{scene.failed}/transcript").text
    entry = databases.TranscriptEntry(sequence=1, host="late-1", title="install", command="apt-get install x", started_at="2026-01-01T00:00:00Z",
                                      seconds=1.5, exit_code=100, stdout="", stderr="E: <no> x")  # fmt: skip
    api.hear(databases.TranscriptRecorded(operation_id=scene.failed, cluster_id=late, entries=(entry,)))
    text = member.get(f"/operations/{scene.failed}/transcript").text
    for words in ("apt-get install x", "exit code 100", "E: &lt;no&gt; x"):
        assert words in text


def test_an_operation_is_followed_step_by_step_to_its_end(api: Api, scene: Scene, member: Browser) -> None:
    page = member.get(f"/operations/{scene.running}").text
    assert f'sse-connect="/operations/{scene.running}/live"' in page
    soon = api.get(f"/v1/operations/{scene.running}")["cluster"]
    answer = member.client.get(f"/operations/{scene.running}/live")
    assert answer.mimetype == "text/event-stream"
    stream = iter(answer.response)
    assert next(stream).startswith(b"retry:")
    first = message(stream)
    assert first.startswith("event: operation\ndata: ")
    assert "install" in first
    progressed(api, soon, scene.running, sequence=2, step="start", message="nearly there")
    assert "nearly there" in message(stream)
    active(api, soon, scene.running)
    rest = b"".join(stream).decode()
    assert "succeeded" in rest
    assert rest.endswith("event: over\ndata:\n\n")
    assert all(line.startswith(("event: ", "data:", ":")) for line in rest.splitlines() if line)
    assert "sse-connect" not in member.get(f"/operations/{scene.running}").text


def message(stream: object) -> str:
    """The next message that is no sign of life."""
    return next(text for chunk in stream if not (text := chunk.decode()).startswith(":"))


def test_whoever_leaves_a_page_leaves_no_stream_behind(api: Api, scene: Scene, member: Browser) -> None:
    taken = api.context.traffic._streams._taken
    answer = member.client.get(f"/operations/{scene.running}/live")
    assert sum(taken.values()) == 1
    answer.close()
    assert sum(taken.values()) == 0


def test_a_clusters_page_follows_what_runs_on_it(api: Api, scene: Scene, member: Browser) -> None:
    soon = api.get(f"/v1/operations/{scene.running}")["cluster"]
    text = member.get(f"/clusters/{soon}").text
    # Within a part that is put in place of itself: what comes of the stream goes into its box, and the box stays.
    assert (
        f'sse-connect="/operations/{scene.running}/live" sse-swap="operation" sse-close="over" hx-swap="innerHTML"'
        in text
    )
    assert 'hx-swap="outerHTML" hx-disinherit="*"' in text
    assert "sse-connect" not in member.get(f"/clusters/{scene.cluster}").text


def test_a_backup_is_made_shown_proved_and_deleted(api: Api, scene: Scene, member: Browser) -> None:
    page = member.get(f"/clusters/{scene.cluster}/backups").text
    key = found(r'name="key" value="([^"]+)"', page)
    begun = {member.post(f"/clusters/{scene.cluster}/backups", {"key": key}).headers["Location"] for _ in range(2)}
    assert len(begun) == 1
    assert len(api.rows("backups")) == 2
    text = member.get(f"/backups/{scene.backup}").text
    for words in ("3.0 MiB of 9.0 MiB", "completed", "It was not proved yet", f"/clusters/new?backup={scene.backup}"):
        assert words in text
    wrong = member.post(f"/backups/{scene.backup}/delete", {"name": "other"})
    assert (wrong.status_code, "nothing was deleted" in wrong.text) == (422, True)
    done = member.post(f"/backups/{scene.backup}/delete", {"name": "shop"})
    assert api.operation(done.headers["Location"].rpartition("/")[2])["kind"] == "delete_backup"
    refused = member.post(f"/backups/{scene.backup}/delete", {"name": "shop"})
    assert refused.status_code in (303, 409)


def test_a_proof_is_asked_for_on_a_backups_page(api: Api, scene: Scene, member: Browser) -> None:
    member.get(f"/backups/{scene.backup}")
    done = member.post(f"/backups/{scene.backup}/verify")
    assert api.operation(done.headers["Location"].rpartition("/")[2])["kind"] == "verify_backup"


def test_a_form_with_a_field_that_the_api_refuses_names_the_field(scene: Scene, member: Browser) -> None:
    member.get(f"/clusters/{scene.cluster}/backups")
    page = member.post(f"/clusters/{scene.cluster}/backups", {"store": "../x"})
    assert (page.status_code, "<strong>store</strong>" in page.text) == (422, True)
    assert PROBLEM.message not in page.text
