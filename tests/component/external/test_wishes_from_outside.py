"""What other systems ask over the bus, against a real database: checked like HTTP, done once, never under a taken id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from services.api.actions import access, outside
from services.api.store import tables
from shared.contracts.base import new_id
from shared.contracts.external import ExternalClusterDeleteRequested, ExternalClusterRequested
from shared.db import Database
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized

TOKEN, READER = "a-member's-token", "a-reader's-token"
WISH = {"name": "orders", "datastore": "pgsql 15", "flavor": "small"}


@pytest.fixture
def database(with_tables: Callable[[str], str]) -> Database:
    made = Database(with_tables("api"), "api", tables.metadata)
    access.bootstrap(made, "")
    with made.write() as tx:
        for token, role in ((TOKEN, "member"), (READER, "reader")):
            tx.connection.execute(
                insert(tables.tokens).values(
                    id=new_id(), hash=access.digest(token), name=role, project_id=access.DEFAULT_PROJECT, role=role,
                    created_at=made.clock.now(),
                )
            )  # fmt: skip
        tx.connection.execute(
            insert(tables.datastores).values(
                id=new_id(), manager="pgsql", version="15", image="debian-12", packages=["postgresql"],
                default_parameters={}, name="pgsql - 15", min_ram_mb=0, deleted=False,
            )
        )  # fmt: skip
        tx.connection.execute(
            insert(tables.flavors).values(
                id="small", name="small", vcpus=1, ram_mb=512, disk_gb=5, supports_volumes=True
            )
        )
    return made


def ask(database: Database, **changes: Any) -> ExternalClusterRequested:
    event = ExternalClusterRequested(**{"token": TOKEN, "cluster": WISH, **changes})
    outside.request_cluster(database, event, 5)
    return event


def ids(database: Database) -> list[str]:
    with database.read() as connection:
        return [row.id for row in connection.execute(select(tables.clusters.c.id))]


def test_a_caller_knows_its_cluster_by_the_id_that_it_chose(database: Database) -> None:
    chosen = new_id()
    ask(database, cluster_id=chosen)
    assert ids(database) == [chosen]
    with database.read() as connection:
        bodies = connection.execute(select(database.outbox.c.body)).scalars().all()
    assert any(chosen in body for body in bodies)


def test_an_id_is_compared_in_its_usual_form(database: Database) -> None:
    chosen = new_id()
    ask(database, cluster_id=chosen.upper())
    assert ids(database) == [chosen]


def test_without_an_id_dtrove_makes_one(database: Database) -> None:
    ask(database)
    assert len(ids(database)) == 1


def test_a_wish_that_comes_twice_makes_one_cluster(database: Database) -> None:
    event = ask(database, cluster_id=new_id())
    outside.request_cluster(database, event, 5)
    assert len(ids(database)) == 1


def test_a_taken_id_is_refused_and_nothing_is_made(database: Database) -> None:
    chosen = new_id()
    ask(database, cluster_id=chosen)
    with pytest.raises(Conflict, match=chosen):
        ask(database, cluster_id=chosen, cluster={**WISH, "name": "other"})
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.operations)).scalar_one() == 1


@pytest.mark.parametrize("name", ["cluster_id", "event_id"])
@pytest.mark.parametrize("wrong", ["", "7", "x" * 10_000, "{'$ne': 1}"])
def test_an_id_that_is_no_uuid_is_refused_by_name(database: Database, name: str, wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        ask(database, **{name: wrong})
    assert [error.field for error in refused.value.errors] == [name]
    assert ids(database) == []


@pytest.mark.parametrize(("token", "error"), [("", Unauthorized), ("guessed", Unauthorized), (READER, Forbidden)])
def test_a_token_that_does_not_suffice_is_refused(database: Database, token: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(database, token=token)
    assert ids(database) == []


@pytest.mark.parametrize(
    "wrong", [{}, {**WISH, "size": 0}, {**WISH, "size": "ten"}, {**WISH, "color": "red"}, {**WISH, "name": "a;b"}]
)
def test_a_body_is_checked_like_one_over_http(database: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        ask(database, cluster=wrong)
    assert refused.value.errors
    assert ids(database) == []


def test_another_projects_cluster_cannot_be_deleted(database: Database) -> None:
    chosen = new_id()
    ask(database, cluster_id=chosen)
    with database.write() as tx:
        project = access.create_project(tx, "others")
        _, token = access.create_token(tx, {"project": project, "name": "theirs", "role": "admin", "expires_at": None})
    with pytest.raises(NotFound):
        outside.delete_cluster(database, ExternalClusterDeleteRequested(token=token, cluster_id=chosen))
    assert ids(database) == [chosen]
