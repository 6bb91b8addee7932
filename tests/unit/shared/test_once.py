"""shared.once: one value for all who ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.once import once


def test_those_who_ask_while_it_is_made_wait_and_share_it() -> None:
    began, go, calls = threading.Event(), threading.Event(), []

    @once
    def slow() -> object:
        calls.append(1)
        began.set()
        assert go.wait(5)
        return object()

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(slow)
        assert began.wait(5)
        others = [pool.submit(slow) for _ in range(3)]
        go.set()
        values = {id(one.result(5)) for one in (first, *others)}
    assert len(calls) == 1
    assert len(values) == 1


def test_what_could_not_be_made_is_tried_again_by_the_next() -> None:
    answers = iter([OSError("not yet"), "made"])

    @once
    def fickle() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(OSError, match="not yet"):
        fickle()
    assert fickle() == "made"
    assert fickle() == "made"


def test_it_keeps_its_name_and_its_docstring() -> None:
    @once
    def settings() -> int:
        """What was said."""
        return 1

    assert (settings.__name__, settings.__doc__) == ("settings", "What was said.")
