"""Keystone's tokens, validated by Keystone itself.

Source: the Identity API, version 3, `GET /v3/auth/tokens`. A token may always be shown to be what it is by itself, so
DTrove needs no login of its own for this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from shared.errors import Forbidden, Unauthorized, Unavailable

SECONDS = 5.0
# Fernet tokens and JWS: letters of base64url. Nothing else is put into a header of ours.
_TOKEN = re.compile(r"[A-Za-z0-9_.=+/-]{8,8192}")
ASK_ANEW = "get a new one from Keystone: `openstack token issue`"


@dataclass(frozen=True)
class Identity:
    """Whom a token speaks for: a user in a project, with roles there, until `expires_at`."""

    user_id: str
    user: str
    project_id: str
    project: str
    domain_id: str
    domain: str
    roles: tuple[str, ...]
    expires_at: datetime


class Keystone:
    """One Keystone at `url`, with or without its version at the end. `cacert` is a PEM file, empty for the system's own."""

    def __init__(self, url: str, cacert: str = "") -> None:
        self._url = url.rstrip("/").removesuffix("/v2.0").removesuffix("/v3") + "/v3/auth/tokens"
        self._session = requests.Session()
        self._session.verify = cacert or True
        # Proxies and .netrc of the process's environment have no say in whom a token is shown to.
        self._session.trust_env = False

    def validate(self, token: str) -> Identity:
        """Raises Unauthorized for a token that is none any more, Forbidden for one without a project, Unavailable."""
        if not _TOKEN.fullmatch(token):
            raise Unauthorized("that is no token of Keystone's", what_to_do=ASK_ANEW)
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        try:
            answer = self._session.get(
                self._url, params={"nocatalog": ""}, headers=headers, timeout=SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unavailable(
                f"Keystone does not answer: {type(error).__name__}", what_to_do="try again shortly"
            ) from error
        if answer.status_code in (401, 403, 404):
            raise Unauthorized("Keystone does not know the token, or it is expired or revoked", what_to_do=ASK_ANEW)
        if answer.status_code != 200:
            raise Unavailable(f"Keystone answered {answer.status_code}", what_to_do="try again shortly")
        try:
            return _identity(answer.json()["token"])
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(f"Keystone's answer makes no sense: {type(error).__name__}") from error


def _identity(token: dict[str, Any]) -> Identity:
    if "project" not in token:
        raise Forbidden("the token is for no project", what_to_do="ask Keystone for one that is scoped to a project")
    user, project = token["user"], token["project"]
    return Identity(
        user_id=str(user["id"]), user=str(user["name"]), project_id=str(project["id"]), project=str(project["name"]),
        domain_id=str(project["domain"]["id"]), domain=str(project["domain"]["name"]),
        roles=tuple(str(role["name"]) for role in token.get("roles", ())),
        expires_at=datetime.fromisoformat(str(token["expires_at"])).astimezone(UTC),
    )  # fmt: skip
