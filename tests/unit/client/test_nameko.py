from __future__ import annotations

from pathlib import Path

from client.nameko import learn


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
