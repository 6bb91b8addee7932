from __future__ import annotations

import ssl
from pathlib import Path

import yaml

from client.nameko import learn, translate


def test_nameko_is_told_where_the_broker_of_the_installation_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment").write_text("AMQP_URI='amqp://u:p w@127.0.0.1:1/'\nDTROVE_HOME=/somewhere\n")
    environ = {"DTROVE_HOME": "/mine"}
    learn(tmp_path, environ)
    assert environ == {"AMQP_URI": "amqp://u:p w@127.0.0.1:1/", "DTROVE_HOME": "/mine"}


def test_nothing_is_told_where_nothing_runs(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    learn(tmp_path, environ)
    assert environ == {}


def test_what_the_uri_says_of_tls_is_told_in_nameko_s_words(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    environ = {"AMQP_URI": f"amqps://u:p@rabbit.example/?cacertfile={tmp_path}/ca.pem"}
    option, told = translate(environ)
    assert environ["AMQP_URI"] == "amqps://u:p@rabbit.example/"
    name, _, value = told.partition("=")
    words = yaml.safe_load(value)
    assert (option, name) == ("--define", "AMQP_SSL")
    assert (words["ca_certs"], words["server_hostname"]) == (f"{tmp_path}/ca.pem", "rabbit.example")
    assert ssl.VerifyMode(words["cert_reqs"]) is ssl.CERT_REQUIRED
    assert ":p@" not in told


def test_without_tls_there_is_nothing_to_tell() -> None:
    environ = {"AMQP_URI": "amqp://u:p@h/"}
    assert translate(environ) == []
    assert environ == {"AMQP_URI": "amqp://u:p@h/"}
    assert translate({}) == []
