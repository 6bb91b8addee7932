"""Who calls an API under attack: every role, and those whose token is worth nothing."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contracts.base import new_id
from tests.security.bus import address, publish
from tests.support.installation import Installation, wait_for

WORTHLESS = ("none", "unknown", "revoked", "expired")
ROLES = ("reader", "member", "admin", "stranger", *WORTHLESS)
QUOTAS = {"clusters": 12, "instances": 12, "volume_gb": 1000}


@dataclass
class Cast:
    """Tokens by role, and the ids of things that are really there, so that calls do not only meet what is not."""

    installation: Installation
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    name: str = "victim"

    def enter(self) -> None:
        """Make a cluster in the default project, another project, and a token for each role."""
        self._made("PUT", f"/v1/projects/{self._project('default')}/quotas", QUOTAS)
        other = self._made("POST", "/v1/projects", {"name": "stranger"})["id"]
        self.tokens = {role: self._token(role)["token"] for role in ("reader", "member", "admin")}
        self.tokens["stranger"] = self._token("admin", other)["token"]
        revoked = self._token("admin")
        assert self.installation.ask("DELETE", f"/v1/tokens/{revoked['id']}").status_code == 204
        self.tokens |= {"none": "", "unknown": "x" * 43, "revoked": revoked["token"], "expired": self._expired()}
        self.ids = {
            "token_id": [self._token("reader")["id"]], "project_id": [self._project("default")],
            "message_id": [self._parked()],
        }  # fmt: skip
        self._cluster()

    @property
    def owned(self) -> frozenset[str]:
        """Ids of what belongs to one project alone."""
        return frozenset(
            one for kind in ("cluster_id", "operation_id", "instance_id") for one in self.ids.get(kind, ())
        )

    def stay(self) -> None:
        """Mend what the calls have taken away: a cluster, a project and its tokens with it."""
        if self.installation.ask("GET", f"/v1/clusters/{self.ids['cluster_id'][0]}").status_code == 404:
            self._cluster()
        for role in ("reader", "member", "admin", "stranger"):
            headers = {"Authorization": f"Bearer {self.tokens[role]}"}
            if self.installation.ask("GET", "/v1/projects", headers=headers).status_code == 401:
                project = (
                    "default" if role != "stranger" else self._made("POST", "/v1/projects", {"name": "stranger"})["id"]
                )
                self.tokens[role] = self._token("admin" if role == "stranger" else role, project)["token"]

    def _cluster(self) -> None:
        """Make a cluster; whoever may delete it has to find it first."""
        self._made("PUT", f"/v1/projects/{self._project('default')}/quotas", {})
        cluster, operation = self.installation.create(f"{self.name}-{new_id()[:8]}", "redis 7.0", flavor="small")
        self.installation.end_of(operation)
        self._made("PUT", f"/v1/projects/{self._project('default')}/quotas", QUOTAS)
        instance = self.installation.get(f"/v1/clusters/{cluster}/instances")["instances"][0]["id"]
        datastore = self.installation.get("/v1/datastores")["datastores"][0]["id"]
        self.ids |= {"cluster_id": [cluster], "operation_id": [operation], "instance_id": [instance], "access_id": [operation],
                     "datastore_id": [datastore]}  # fmt: skip

    def _token(self, role: str, project: str = "default") -> dict[str, Any]:
        return self._made("POST", "/v1/tokens", {"name": f"{role} under attack", "role": role, "project": project})

    def _expired(self) -> str:
        """A token that was good until a moment ago: put into the database, for the API makes none."""
        secret, now = f"expired-{new_id()}", datetime.now(UTC).replace(tzinfo=None)
        with sqlite3.connect(self.installation.home / "api.sqlite", timeout=30) as database:
            database.execute(
                "insert into tokens (id, hash, name, project_id, role, created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)",
                (new_id(), hashlib.sha256(secret.encode()).hexdigest(), "expired", self._project("default"), "admin",
                 str(now - timedelta(hours=1)), str(now - timedelta(minutes=1))),
            )  # fmt: skip
        return secret

    def _parked(self) -> str:
        """A message that no service could take in."""
        publish(address(self.installation.home), "external.events", "cluster.requested", {"token": "x", "cluster": {}})
        listed = wait_for(lambda: self.installation.get("/v1/parked")["parked"], 60, what="a parked message")
        return str(listed[0]["id"])

    def _project(self, name: str) -> str:
        return next(one["id"] for one in self.installation.get("/v1/projects")["projects"] if one["name"] == name)

    def _made(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.installation.ask(method, path, body)
        assert answer.ok, answer.text
        return dict(answer.json())
