"""What the API listens to is what it knows how to take in."""

from __future__ import annotations

from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR

from services.api.actions.hearing import _APPLY
from services.api.service import ApiService


def test_every_word_that_changes_the_read_model_is_listened_to() -> None:
    heard = {handler.event for handler in getattr(ApiService.heard, ENTRYPOINT_EXTENSIONS_ATTR)}
    assert heard == set(_APPLY)
