"""The installation that is measured."""

from __future__ import annotations

from dataclasses import fields

from bench.installation import UNLIMITED
from services.api.settings import Settings


def test_no_rate_of_the_api_stands_in_the_way_of_a_measurement() -> None:
    rates = {str(one.metadata["option"]) for one in fields(Settings) if one.name.startswith("rate_per_")}
    assert rates
    assert rates <= set(UNLIMITED)
