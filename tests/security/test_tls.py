"""TLS by configuration: of the API, of RabbitMQ and of PostgreSQL, with an authority to throw away."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import requests
from amqp.exceptions import AMQPError
from kombu import Connection
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from client.configuration import SERVICES
from client.rabbitmq import PrivateRabbit
from shared.broker import read_uri
from shared.db.engine import make_engine
from tests.support.authority import Authority
from tests.support.installation import ROOT, Installation, wait_for
from tests.support.postgres import PrivatePostgres
from tests.support.rabbit import running
from tests.support.served import Served

HERE = ("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("impostor"), "impostor")


@pytest.fixture(scope="module")
def served(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pair = [str(one) for one in authority.issue(*HERE)]
    with Served(tmp_path_factory.mktemp("served"), certificate=pair, seconds=5.0) as made:
        made.verify = str(authority.certificate)
        yield made


def shown(port: int, authority: Authority) -> bytes | None:
    """The certificate that the server shows to a new connection."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as line,
        context.wrap_socket(line, server_hostname="127.0.0.1") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)


def test_the_api_answers_over_tls_and_its_streams_go_on_there(served: Served) -> None:
    assert served.url.startswith("https://")
    answer = served.ask("POST", "/v1/clusters", json={"name": "shop", "datastore": "pgsql 15"})
    assert answer.status_code == 202
    with served.ask("GET", f"{answer.headers['Location']}?follow=true", stream=True) as stream:
        assert next(line for line in stream.iter_lines() if line.startswith(b"data:"))
    assert served.ask("GET", "/v1/nothing").status_code == 404


def test_who_does_not_know_the_authority_does_not_speak_to_the_api(served: Served, impostor: Authority) -> None:
    for verify in (True, str(impostor.certificate)):
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{served.url}/healthz", verify=verify, timeout=20)


def test_old_versions_of_tls_are_not_spoken(served: Served) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line, pytest.raises(OSError):
        context.wrap_socket(line)


def test_whoever_speaks_no_tls_or_nothing_at_all_keeps_nobody_waiting(served: Served) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(20)]
    for one in silent[::2]:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert served.ask("GET", "/healthz").status_code == 200
    for one in silent:
        # After its time the server hangs up.
        received = b"x"
        while received:
            try:
                received = one.recv(100)
            except ConnectionResetError:
                break
        one.close()


def test_a_renewed_certificate_is_shown_without_a_restart(served: Served, authority: Authority) -> None:
    before = shown(served.port, authority)
    assert shown(served.port, authority) == before
    authority.issue(*HERE)
    wait_for(lambda: shown(served.port, authority) != before, 30, what="the new certificate")
    assert served.ask("GET", "/healthz").status_code == 200


def test_while_files_do_not_fit_together_the_last_good_ones_are_used(
    served: Served, authority: Authority, impostor: Authority
) -> None:
    place, key = authority.issue(*HERE)
    before = shown(served.port, authority)
    good = key.read_bytes()
    key.write_bytes(impostor.issue("x")[1].read_bytes())
    assert shown(served.port, authority) == before
    key.write_bytes(b"")
    assert shown(served.port, authority) == before
    key.write_bytes(good)
    assert shown(served.port, authority) == before
    assert place.exists()


class TlsRabbit(PrivateRabbit):
    """A RabbitMQ that speaks TLS alone, and only to clients with a certificate of the authority's."""

    def __init__(self, home: Path, authority: Authority) -> None:
        super().__init__(home)
        self.authority = authority
        self._client = authority.issue("client")

    def _environment(self, settings: dict[str, str | int]) -> dict[str, str]:
        made = super()._environment(settings)
        certificate, key = self.authority.issue(*HERE)
        path = Path(made["RABBITMQ_CONFIG_FILE"])
        lines = [line for line in path.read_text().splitlines() if not line.startswith("listeners.tcp")]
        path.write_text("\n".join([
            *lines, "listeners.tcp = none", f"listeners.ssl.1 = 127.0.0.1:{settings['port']}",
            f"ssl_options.cacertfile = {self.authority.certificate}", f"ssl_options.certfile = {certificate}",
            f"ssl_options.keyfile = {key}", "ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true", "",
        ]))  # fmt: skip
        del made["RABBITMQ_NODE_PORT"]
        return made

    def _greets(self) -> bool:
        try:
            speak(self.secure_uri())
        except (OSError, AMQPError):
            return False
        return True

    def secure_uri(self) -> str:
        """Where it answers, with the words for TLS of a client that it knows."""
        certificate, key = self._client
        base = self.uri.replace("amqp://", "amqps://")
        return f"{base}?cacertfile={self.authority.certificate}&certfile={certificate}&keyfile={key}"


@pytest.fixture(scope="module")
def rabbit_tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRabbit]:
    with running(TlsRabbit(tmp_path_factory.mktemp("rabbit"), authority), 90) as broker:
        yield broker


@pytest.fixture(scope="module")
def postgres_tls(authority: Authority) -> Iterator[PrivatePostgres]:
    """A PostgreSQL that lets nobody in without TLS."""
    server = PrivatePostgres(Path(tempfile.mkdtemp(prefix="dtrove-postgres-tls-")))
    server.start()
    for name, source in zip(("server.crt", "server.key"), authority.issue(*HERE), strict=True):
        place = server.data / name
        place.write_bytes(source.read_bytes())
        os.chown(place, server.data.stat().st_uid, server.data.stat().st_gid)
        place.chmod(0o600)
    (server.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
    with closing(psycopg2.connect(host="127.0.0.1", port=server.port, user="dtrove", dbname="postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("alter system set ssl = on")
            cursor.execute("select pg_reload_conf()")
    wait_for(lambda: _lets_in(server, "require"), 30, what="PostgreSQL over TLS alone")
    yield server
    server.stop()


def _lets_in(server: PrivatePostgres, mode: str) -> bool:
    try:
        where = {"host": "127.0.0.1", "port": server.port, "user": "dtrove", "dbname": "postgres"}
        psycopg2.connect(**where, sslmode=mode, connect_timeout=10).close()
    except psycopg2.OperationalError:
        return False
    return True


def test_the_whole_of_dtrove_works_over_tls_alone(
    authority: Authority, rabbit_tls: TlsRabbit, postgres_tls: PrivatePostgres, tmp_path: Path
) -> None:
    certificate, key = authority.issue(*HERE)
    words = f"sslmode=verify-full&sslrootcert={authority.certificate}"
    urls = {
        f"{name.partition('_')[0].upper()}_DATABASE_URL": f"{postgres_tls.fresh(name)}?{words}" for name in SERVICES
    }
    with Installation(
        tmp_path / "home", DTROVE_PROVIDER="fake", AMQP_URI=rabbit_tls.secure_uri(), DTROVE_TLS_CERT_FILE=str(certificate),
        DTROVE_TLS_KEY_FILE=str(key), DTROVE_CA_FILE=str(authority.certificate), **urls,
    ) as dtrove:  # fmt: skip
        assert dtrove.url.startswith("https://")
        dtrove.trust(authority.certificate)
        _, operation = dtrove.create("shop", "redis 7.0", flavor="small")
        assert dtrove.end_of(operation)["status"] == "succeeded"
        assert "shop" in dtrove.dtrove("cluster", "list").stdout
        assert "in clear" not in dtrove.dtrove("config").stdout
        assert not _lets_in(postgres_tls, "disable")
        assert "answers: []" in shell(dtrove, 'print("answers:", n.rpc.scheduler.schedules("x"))')
        dtrove.environ.pop("DTROVE_CA_FILE")
        refused = dtrove.dtrove("cluster", "list", check=False)
        assert refused.returncode != 0
        assert "DTROVE_CA_FILE" in refused.stderr


def shell(dtrove: Installation, statement: str) -> str:
    """What `nameko shell` says to a statement."""
    command = [str(Path(sys.executable).parent / "nameko"), "shell", "--config", "config.yaml", "--interface", "plain"]
    environ = {name: value for name, value in dtrove.environ.items() if name != "AMQP_URI"}
    done = subprocess.run(command, input=f"{statement}\n", env=environ, cwd=ROOT, capture_output=True, text=True, timeout=120,
                          check=False)  # fmt: skip
    return done.stdout + done.stderr


def speak(uri: str) -> None:
    """Log in to a broker as the services do."""
    broker = read_uri(uri)
    with Connection(broker.uri, ssl=broker.tls or False, connect_timeout=10) as line:
        line.connect()


def test_rabbitmq_is_spoken_to_only_where_its_certificate_and_its_name_are_right(
    rabbit_tls: TlsRabbit, impostor: Authority
) -> None:
    good = rabbit_tls.secure_uri()
    speak(good)
    speak(good.replace("127.0.0.1", "localhost"))
    speak(good + "&server_name_indication=localhost")
    for wrong in (
        good.replace(str(rabbit_tls.authority.certificate), str(impostor.certificate)),
        good + "&server_name_indication=elsewhere.example",
        good.partition("?")[0] + f"?cacertfile={rabbit_tls.authority.certificate}",
        good.partition("?")[0].replace("amqps://", "amqp://"),
    ):
        with pytest.raises((OSError, ConnectionError, AMQPError)):
            speak(wrong)


def test_postgresql_is_spoken_to_only_where_its_certificate_is_right(
    postgres_tls: PrivatePostgres, authority: Authority, impostor: Authority
) -> None:
    url = postgres_tls.fresh()
    for words, good in (
        (f"?sslmode=verify-full&sslrootcert={authority.certificate}", True),
        (f"?sslmode=verify-full&sslrootcert={impostor.certificate}", False),
        ("?sslmode=disable", False),
    ):
        engine = make_engine(url + words)
        try:
            with engine.connect() as connection:
                assert (
                    connection.execute(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")).scalar()
                    is good
                )
        except OperationalError:
            assert not good
        finally:
            engine.dispose()
