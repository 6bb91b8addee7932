"""No secret turns up where it has no business to be: planted and generated ones are looked for after a whole life."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests

from client.configuration import SERVICES
from services.api.actions.access import DEFAULT_PROJECT
from services.provisioner.providers.fake.provider import REFUSED
from services.provisioner.providers.local.engine import connect, installation
from tests.security.bus import Ear, address, publish
from tests.security.canaries import Canaries, Watch, answers, kept_secrets, sealed_secrets
from tests.support.installation import Installation, wait_for
from tests.support.postgres import PrivatePostgres

FOREIGN = "a token that another system put on the bus"
EXCHANGES = (*(f"{name}.events" for name in SERVICES), "nameko-rpc")
# Whoever gives a secret to these by their environment has chosen to; what they start gets it by a file.
GIVEN = (b"bin/dtrove", b"client.supervisor")
FOLDERS = ("/etc", "/var/log", "/var/lib/dtrove", "/var/lib/redis", "/root", "/tmp", "/var/tmp", "/run", "/home")


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch([os.getpid()])
    made.start()
    yield made
    made.end()


def live(dtrove: Installation, canaries: Canaries, datastore: str, in_its_life: Callable[[str], None]) -> None:
    """A whole life: made, used by users and other systems, refused, rotated, killed, deleted."""
    canaries.plant("the first administrator's token", dtrove.token)
    cluster, operation = dtrove.create("canary", datastore, flavor="small")
    assert dtrove.end_of(operation, 300)["status"] == "succeeded"
    password = dtrove.get(f"/v1/clusters/{cluster}/credentials")["password"]
    canaries.plant("the password of the database's administrator", password)
    tokens(dtrove, canaries)
    other_systems(dtrove, canaries, cluster)
    users(dtrove, canaries, cluster)
    instance = dtrove.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    for path, body in (
        (
            f"/v1/instances/{instance}/perform",
            {"name": "look", "commands": ["env; ps ax || true; ls -la /root /run /tmp", "false"]},
        ),
        (f"/v1/instances/{instance}/access", {"public_key": KEY, "minutes": 1}),
    ):
        answer = dtrove.ask("POST", path, body)
        ended = dtrove.end_of(answer.headers["Location"].rpartition("/")[2], 120)
        # A simulated host has no users whom anybody could let in.
        assert ended["status"] == "succeeded" or ended["kind"] == "grant_access", ended
    for service in ("datastore_agentless", "api"):
        dtrove.kill(service)
    wait_for(lambda: _ready(dtrove), 120, what="readiness")
    in_its_life(cluster)
    remember(dtrove, canaries)
    dtrove.dtrove("secrets", "rotate")
    remember(dtrove, canaries)
    for path, text in answers(dtrove):
        canaries.look(path, text)
    dtrove.end_of(dtrove.delete(cluster), 120)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxhc3QtdGVzdC1rZXktb2YtdGhpcy1zdWl0ZS0wMQ"


def _ready(dtrove: Installation) -> bool:
    try:
        return dtrove.ask("GET", "/readyz").ok
    except requests.RequestException:
        return False


def tokens(dtrove: Installation, canaries: Canaries) -> None:
    for number in range(2):
        wish = {"name": "canary", "role": "member"}
        made = dtrove.ask("POST", "/v1/tokens", wish, headers={"Idempotency-Key": f"canary-{number}"}).json()
        canaries.plant(f"token {number}", made["token"])
        assert dtrove.ask("GET", "/v1/clusters", headers={"Authorization": f"Bearer {made['token']}"}).ok
    assert dtrove.ask("DELETE", f"/v1/tokens/{made['id']}").status_code == 204
    for wrong in (canaries.plant("a token that is none", secrets.token_urlsafe(32)), made["token"]):
        assert dtrove.ask("GET", "/v1/clusters", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
    hidden = canaries.plant("a parameter that is a password", secrets.token_hex(16))
    entry = {
        "manager": "redis",
        "version": "6.2",
        "packages": ["redis-server"],
        "default_parameters": {"requirepass": hidden},
    }
    assert dtrove.ask("POST", "/v1/datastores", entry).status_code == 422


def users(dtrove: Installation, canaries: Canaries, cluster: str) -> None:
    """One with a password that is given, then with one that is made; and the superuser."""
    given = canaries.plant("the password of a user", secrets.token_hex(16))
    for path, body in (
        ("users", {"name": "canary", "password": given}), ("users/canary/password", {}), ("root", {}),
    ):  # fmt: skip
        key = {"Idempotency-Key": f"canary-{path}"}
        answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/{path}", body, headers=key).json()
        if answer["password"]:
            canaries.plant(f"a password that was made: {path}", answer["password"])
        assert dtrove.end_of(answer["id"], 120)["status"] == "succeeded"


def lend(dtrove: Installation, canaries: Canaries) -> None:
    """The life's clusters are made where a project has lent DTrove room; what it lends otherwise is refused."""
    for credential, status in ((REFUSED, 422), ("theirs", 200)):
        secret = canaries.plant(f"lent: the secret of {credential}", secrets.token_hex(16))
        body = {"kind": "application_credential", "credential_id": credential, "secret": secret}
        assert dtrove.ask("PUT", f"/v1/projects/{DEFAULT_PROJECT}/delegation", body).status_code == status


def other_systems(dtrove: Installation, canaries: Canaries, cluster: str) -> None:
    bad = canaries.plant(f"{FOREIGN}, wrong", secrets.token_urlsafe(32))
    good = dtrove.ask("POST", "/v1/tokens", {"name": "other system", "role": "member"}).json()["token"]
    canaries.plant(f"{FOREIGN}, right", good)
    uri = address(dtrove.home)
    publish(
        uri, "external.events", "cluster.requested", {"token": bad, "cluster": {"name": "x", "datastore": "pgsql 15"}}
    )
    publish(uri, "external.events", "backup.due", {"token": good, "cluster_id": cluster, "event_id": "no UUID"})
    publish(uri, "external.events", "cluster.requested", f'{{"token": "{bad}", '.encode())
    wait_for(lambda: len(dtrove.get("/v1/parked")["parked"]) >= 3, 60, what="three parked messages")
    for message in dtrove.get("/v1/parked")["parked"][:1]:
        assert dtrove.ask("POST", f"/v1/parked/{message['id']}/replay").status_code == 202
    wait_for(
        lambda: len(dtrove.get("/v1/parked")["parked"]) >= 3, 60, what="the message that was sent again, parked again"
    )


def remember(dtrove: Installation, canaries: Canaries, urls: dict[str, str] | None = None) -> None:
    """Everything secret that DTrove has by now, whoever made it."""
    for name, secret in (kept_secrets(dtrove.home) | sealed_secrets(dtrove.home, urls or URLS)).items():
        canaries.plant(name, secret)


URLS: dict[str, str] = {}


def judge(canaries: Canaries, home: Path, watch: Watch, spied: list[bytes]) -> None:
    """Look everywhere."""
    watch.end()
    for arguments, environment in watch.seen:
        canaries.look(f"the arguments {arguments!r}", arguments)
        canaries.look(
            f"the environment of {arguments!r}",
            environment,
            ["given"] if any(one in arguments for one in GIVEN) else (),
        )
    for message in spied:
        canaries.look(f"the bus: {message[:200]!r}", message)
    canaries.look_into(home, on_bus=(FOREIGN,))
    assert sorted(canaries.found) == []


def test_a_life_on_simulated_hosts_and_postgresql_leaves_no_secret_behind(
    tmp_path: Path, postgres: PrivatePostgres, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries, planted = Canaries(), secrets.token_hex(16)
    canaries.plant("given: PostgreSQL's password", planted)
    given = canaries.plant("given: the password of OpenStack", secrets.token_hex(16))
    urls = {service: _with_password(postgres.fresh(service), planted) for service in SERVICES}
    monkeypatch.setattr("tests.security.test_canaries.URLS", urls)
    environ = {f"{service.partition('_')[0].upper()}_DATABASE_URL": url for service, url in urls.items()}
    faults = "create:busy*2,update_status:500"
    with Installation(
        tmp_path / "home", DTROVE_PROVIDER="fake", OS_PASSWORD=given, DTROVE_FAKE_FAULTS=faults,
        DTROVE_CLUSTERS_IN="project", **environ,
    ) as dtrove:  # fmt: skip
        ear = Ear(address(dtrove.home), EXCHANGES)
        lend(dtrove, canaries)
        live(dtrove, canaries, "pgsql 15", lambda _: None)
        spied = ear.heard()
        ear.close()
        assert len(spied) > 20
        dtrove.dtrove("down")
        judge(canaries, dtrove.home, watch, spied)
        canaries.look_into(postgres.data)
        canaries.look("PostgreSQL's log", (postgres.directory / "log").read_bytes())
    assert sorted(canaries.found) == []
    assert {"datastore_agentless", "provisioner"} <= {name.partition(".")[0] for name in canaries.secrets}


@pytest.mark.real
def test_a_life_on_a_real_host_and_sqlite_leaves_no_secret_behind(tmp_path: Path, watch: Watch) -> None:
    canaries = Canaries()
    with Installation(tmp_path / "home") as dtrove:

        def search_host(cluster: str) -> None:
            remember(dtrove, canaries)
            for host in connect(dtrove.home).containers.list(filters={"label": [
                f"dtrove-home={installation(dtrove.home)}", f"dtrove-cluster={cluster}"]}):  # fmt: skip
                for folder in FOLDERS:
                    canaries.look(f"{folder} of the host", b"".join(host.get_archive(folder)[0]))

        live(dtrove, canaries, "redis 7.0", search_host)
        assert canaries.searched > 1_000_000
        dtrove.dtrove("down")
        judge(canaries, dtrove.home, watch, [])
        # What ran on the host was seen as well.
        assert any(b"redis-server" in arguments for arguments, _ in watch.seen)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.plant("a word", "canary/with signs")
    canaries.plant(
        "a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nthe second line of it\n-----END"
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment").write_text("canary/with signs")
    (tmp_path / "run" / "environment").chmod(0o600)
    canaries.look_into(tmp_path)
    assert canaries.found == set()
    (tmp_path / "a.log").write_bytes(b"\0\0GET /x?token=canary%2Fwith%20signs\n")
    (tmp_path / "b.sqlite").write_text("the second line of it")
    canaries.look_into(tmp_path)
    assert canaries.found == {"a word in a.log", "a key in b.sqlite"}
    (tmp_path / "run" / "environment").chmod(0o644)
    with pytest.raises(AssertionError, match="can be read by others"):
        canaries.look_into(tmp_path)


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace("@", f":{password}@")))
