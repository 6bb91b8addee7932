"""The scheduler's database under a clock that stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.scheduler.store.tables import metadata
from shared.clock import ManualClock
from shared.db import Database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 28, 12, 0, tzinfo=UTC))


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Database:
    made = Database(f"sqlite:///{tmp_path}/s.sqlite", "scheduler", metadata, clock)
    metadata.create_all(made.engine)
    return made
