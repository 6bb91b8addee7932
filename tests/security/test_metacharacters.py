"""What a shell or SQL would obey arrives at a real host as the text that it is, or is refused; it is never run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import Pool, local_home, pool
from tests.security.bus import address, publish
from tests.support.clients import Sql
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.fault(24)]
__all__ = ["local_home", "pool"]
MARK = f"obeyed-{uuid4().hex[:8]}"
# Each would leave a file of its number, or take a table away, if anybody ran it.
TEXTS = (
    "'; touch /tmp/{0}; '", '"; touch /tmp/{0}; "', "; touch /tmp/{0}", "| touch /tmp/{0}", "& touch /tmp/{0} &", "&& touch /tmp/{0}",
    "$(touch /tmp/{0})", "`touch /tmp/{0}`", "${{IFS}}$(touch${{IFS}}/tmp/{0})", "' $(touch /tmp/{0}) '", "\\'; touch /tmp/{0}; \\'",
    "\\", "a\\", "\\\\'", "'", '"', "''", "x' OR 'x'='x", "'; DROP TABLE clusters; DROP TABLE tokens; --", "') ; DELETE FROM tokens; --",
    "%(addr)s %s %n {{0}} {{{{ 7*7 }}}}", "{{% raw %}}", "~root/*", "!!", "-rf /", "--help", "#", "ends with blanks  ", "üñí ☃ 'q'",
)  # fmt: skip
LINES = ("one\ntouch /tmp/{0}", "one\r\ntouch /tmp/{0}", "one\ttwo")


def texts(*more: str) -> list[str]:
    return [text.format(f"{MARK}-{number}") for number, text in enumerate((*TEXTS, *more))]


@pytest.fixture(scope="module")
def racked(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """DTrove over given hosts, which it reaches by sshd, one as root and one as a user who may sudo; here by the latter."""
    pool.write(pool.told() | {"hosts": pool.told()["hosts"][1:]})
    home = tmp_path_factory.mktemp("racked")
    with Installation(home, DTROVE_PROVIDER="static", DTROVE_STATIC_HOSTS=str(pool.file)) as made:
        yield made


@pytest.fixture(scope="module")
def notes() -> dict[str, str]:
    """Parameters of PostgreSQL's that are any text: one for each."""
    return {f"dtrove.note_{number}": text for number, text in enumerate(texts())}


@pytest.fixture(scope="module")
def served(racked: Installation, notes: dict[str, str]) -> dict[str, Any]:
    """A cluster on the host, with these parameters."""
    entry = next(one for one in racked.get("/v1/datastores")["datastores"] if one["manager"] == "pgsql")
    changed = racked.ask("PATCH", f"/v1/datastores/{entry['id']}", {"default_parameters": notes})
    assert changed.status_code == 200, changed.text
    cluster, operation = racked.create("shop", "pgsql 15", flavor="shelf")
    ended = racked.end_of(operation, 400)
    assert ended["status"] == "succeeded", ended["problem"]
    return dict(racked.get(f"/v1/clusters/{cluster}"))


def test_a_parameter_s_value_is_in_the_database_what_it_was_in_the_request(
    racked: Installation, served: dict[str, Any], notes: dict[str, str]
) -> None:
    client = Sql(racked.get(f"/v1/clusters/{served['id']}/credentials")["url"])
    assert {name: client.rows(f'show "{name}"')[0][0] for name in notes} == notes
    client.close()


def test_a_command_s_words_arrive_at_the_host_as_they_were_written(
    racked: Installation, served: dict[str, Any]
) -> None:
    every = texts(*LINES)
    path = f"/v1/instances/{served['instances'][0]['id']}/perform"
    for name in every[:: len(every) // 4]:
        wish = {"name": name, "commands": [f"printf %s {shlex.quote(text)}" for text in every]}
        answer = racked.ask("POST", path, wish)
        assert answer.status_code == 202, answer.text
        ended = racked.end_of(answer.headers["Location"].rpartition("/")[2], 120)
        assert ended["status"] == "succeeded", ended
        assert [one["stdout"] for one in ended["result"]["results"]] == every


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("/v1/clusters", {"datastore": "pgsql 15"}),
    "datastore": ("/v1/clusters", {"name": "x"}),
    "flavor": ("/v1/clusters", {"name": "x", "datastore": "pgsql 15"}),
    "public_key": ("/v1/instances/{instance}/access", {"minutes": 1}),
    "manager": ("/v1/datastores", {"version": "99", "packages": ["x"]}),
    "version": ("/v1/datastores", {"manager": "pgsql", "packages": ["x"]}),
    "packages": ("/v1/datastores", {"manager": "pgsql", "version": "99"}),
    "default_parameters": ("/v1/datastores", {"manager": "pgsql", "version": "99", "packages": ["x"]}),
    "project": ("/v1/tokens", {"name": "x"}),
}


@pytest.mark.parametrize("field", REFUSED)
def test_where_only_a_name_can_be_anything_else_is_refused(
    racked: Installation, served: dict[str, Any], field: str
) -> None:
    path, rest = REFUSED[field]
    wrapped = {"packages": lambda text: [text], "default_parameters": lambda text: {text: "on"}}.get(
        field, lambda text: text
    )
    before = racked.get("/v1/operations?limit=100")["operations"]
    for text in texts(*LINES):
        answer = racked.ask("POST", path.format(instance=served["instances"][0]["id"]), {**rest, field: wrapped(text)})
        assert answer.status_code == 422, (text, answer.text)
    assert racked.get("/v1/operations?limit=100")["operations"] == before


def test_names_that_may_be_any_text_come_back_unchanged_and_search_for_nothing_else(racked: Installation) -> None:
    for text in texts(*LINES):
        made = racked.ask("POST", "/v1/tokens", {"name": text, "role": "reader"})
        assert (made.status_code, made.json()["name"]) == (201, text)
        listed = {one["id"]: one["name"] for one in racked.get("/v1/tokens?limit=5")["tokens"]}
        assert listed[made.json()["id"]] == text
        assert racked.ask("DELETE", f"/v1/tokens/{made.json()['id']}").status_code == 204
        for name in ("name", "status"):
            found = racked.ask("GET", "/v1/clusters", params={name: text})
            assert (found.status_code, found.json()["clusters"]) == (200, [])


def test_another_system_s_message_is_held_to_the_same(racked: Installation) -> None:
    every = texts(*LINES)
    for text in every:
        body = {"token": racked.token, "cluster": {"name": text, "datastore": "pgsql 15"}}
        publish(address(racked.home), "external.events", "cluster.requested", body)
    parked = wait_for(lambda: len(found := racked.get("/v1/parked?limit=100")["parked"]) >= len(every) and found, 60)
    assert {one["body"]["cluster"]["name"] for one in parked} == set(every)


def test_at_the_end_nothing_was_obeyed_on_the_host_or_here(racked: Installation, pool: Pool) -> None:
    assert pool.on_host("shelf-2", f"ls -d /tmp/{MARK}* /root/{MARK}* /{MARK}* 2>/dev/null; true") == ""
    assert list(Path("/tmp").glob(f"{MARK}*")) == []
    assert racked.get("/v1/clusters")["clusters"][0]["status"] == "active"
    assert racked.ask("GET", "/readyz").status_code == 200
