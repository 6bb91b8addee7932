"""Wishes of other systems over the bus meet the same checks as those over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from services.api.actions import outside
from shared.contracts.base import new_id
from shared.contracts.external import ExternalBackupDue, ExternalClusterDeleteRequested, ExternalClusterRequested
from shared.errors import Conflict, DtroveError, Forbidden, Invalid, NotFound, Unauthorized
from tests.component.api.test_clusters import active
from tests.support.api import Api


def wish(api: Api, **values: Any) -> ExternalClusterRequested:
    body = {"name": "shop", "datastore": "pgsql 15", **values.pop("cluster", {})}
    return ExternalClusterRequested(**{"token": api.member, "cluster": body, **values})


def test_what_another_system_asked_for_is_what_a_user_sees(api: Api) -> None:
    outside.request_cluster(api.database, wish(api), 5)
    (cluster,) = api.get("/v1/clusters")["clusters"]
    active(api, cluster["id"], cluster["operation"])
    due = ExternalBackupDue(token=api.member, cluster_id=cluster["id"])
    outside.request_backup(api.database, due)
    outside.request_backup(api.database, due)
    outside.delete_cluster(api.database, ExternalClusterDeleteRequested(token=api.member, cluster_id=cluster["id"]))
    kinds = [one["kind"] for one in api.get("/v1/operations")["operations"]]
    assert kinds == ["delete_cluster", "backup", "create_cluster"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"cluster": {"size": 0}}, Invalid), ({"cluster": {"name": "a\x00"}}, Invalid), ({"cluster": {"colour": 1}}, Invalid),
        ({"cluster": {"name": "\ud800"}}, Invalid), ({"token": "unknown"}, Unauthorized), ({"token": "\ud800"}, Unauthorized),
        ({"token": ""}, Unauthorized), ({"event_id": "x"}, Invalid),
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be_granted_is_refused_and_makes_nothing(
    api: Api, values: dict[str, Any], error: type[DtroveError]
) -> None:
    with pytest.raises(error):
        outside.request_cluster(api.database, wish(api, **values), 5)
    assert api.rows("clusters") == api.rows("operations") == api.rows("outbox") == []


def test_a_reader_may_wish_for_nothing(api: Api) -> None:
    with pytest.raises(Forbidden):
        outside.request_cluster(api.database, wish(api, token=api.reader), 5)


@pytest.mark.parametrize("cluster", ["x", "\x00", "a" * 10_000, "' or 1=1"])
def test_an_id_that_is_none_is_refused(api: Api, cluster: str) -> None:
    for event, act in (
        (ExternalClusterDeleteRequested(token=api.member, cluster_id=cluster), outside.delete_cluster),
        (ExternalBackupDue(token=api.member, cluster_id=cluster), outside.request_backup),
    ):
        with pytest.raises(Invalid):
            act(api.database, event)


def test_a_backup_of_what_is_not_there_or_of_no_known_kind_is_refused(api: Api) -> None:
    cluster, operation = api.create()
    with pytest.raises(Conflict):
        outside.request_backup(api.database, ExternalBackupDue(token=api.member, cluster_id=cluster))
    active(api, cluster, operation)
    with pytest.raises(Invalid):
        outside.request_backup(api.database, ExternalBackupDue(token=api.member, cluster_id=cluster, kind="half"))
    with pytest.raises(NotFound):
        outside.request_backup(api.database, ExternalBackupDue(token=api.member, cluster_id=new_id()))
    stranger = api.token("admin", api.project())
    with pytest.raises(NotFound):
        outside.request_backup(api.database, ExternalBackupDue(token=stranger, cluster_id=cluster))
