"""Every event of every publisher survives the wire."""

from __future__ import annotations

import json
import typing
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import marshmallow
import pytest

from shared.contracts import REGISTRY, Event, new_id
from shared.contracts.api import ClusterDeleteRequested


def example(kind: Any) -> Any:
    """A value of `kind` with every field set."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return (example(args[0]),)
    if origin is dict:
        return {"key": example(args[1])}
    if args:
        return example(args[0])
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [item.name for item in fields(kind)]
        return kind(**{name: example(hints[name]) for name in names})
    samples = {int: 3, float: 0.5, bool: True, str: "text", datetime: datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)}
    return samples.get(kind, "anything")


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: f"{cls.publisher}:{cls.topic}")
def test_an_event_round_trips_through_json_unchanged(cls: type[Event]) -> None:
    event = example(cls)
    assert cls.from_payload(json.loads(json.dumps(event.to_payload()))) == event


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: f"{cls.publisher}:{cls.topic}")
def test_unknown_keys_of_a_newer_publisher_are_ignored(cls: type[Event]) -> None:
    payload = example(cls).to_payload()
    assert cls.from_payload({**payload, "from_the_future": 1}) == cls.from_payload(payload)


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: f"{cls.publisher}:{cls.topic}")
def test_a_missing_required_key_is_refused_by_name(cls: type[Event]) -> None:
    required = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    for name in required:
        payload = example(cls).to_payload()
        del payload[name]
        with pytest.raises(marshmallow.ValidationError, match=name):
            cls.from_payload(payload)


def test_times_on_the_wire_are_aware() -> None:
    event = ClusterDeleteRequested(cluster_id=new_id(), operation_id=new_id(), project_id=new_id())
    assert event.to_payload()["occurred_at"].endswith("+00:00")


def test_two_events_never_share_an_id() -> None:
    made = {ClusterDeleteRequested(cluster_id="c", operation_id="o", project_id="p").event_id for _ in range(100)}
    assert len(made) == 100
