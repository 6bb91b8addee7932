"""A service that starts before its database waits for it; whoever will not wait is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.db import migrate
from shared.errors import Unavailable
from tests.support.postgres import PrivatePostgres


def test_a_service_waits_for_its_database_and_then_migrates(
    postgres: PrivatePostgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.fresh("waiting")
    with ThreadPoolExecutor(1) as pool:
        postgres.pause()
        try:
            waiting = pool.submit(migrate.upgrade, "scheduler", url, 60.0)
            with pytest.raises(TimeoutError):
                waiting.result(1.5)
        finally:
            postgres.resume()
        waiting.result(30)
    assert not migrate.pending("scheduler", url)
    assert any("waiting for the database of scheduler" in record.getMessage() for record in caplog.records)


def test_without_patience_a_database_that_is_away_is_an_error(postgres: PrivatePostgres) -> None:
    url = postgres.fresh("impatient")
    postgres.pause()
    try:
        with pytest.raises(Unavailable):
            migrate.upgrade("scheduler", url)
    finally:
        postgres.resume()
