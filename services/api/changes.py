"""Wakes those who follow something when it has changed, so that nobody asks the database again and again."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Who follows which subject (an operation's or a project's id), in this process.

    Threads are green ones where eventlet has patched them. A change that another replica heard of is not known here:
    whoever waits looks again from time to time anyway.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: dict[str, set[threading.Event]] = defaultdict(set)

    def touch(self, *subjects: str) -> None:
        """Say that these have changed; call it once the change is committed."""
        with self._lock:
            woken = [follower for subject in subjects for follower in self._followers.get(subject, ())]
        for follower in woken:
            follower.set()

    @contextmanager
    def following(self, subject: str) -> Iterator[threading.Event]:
        """An event that is set whenever `subject` changes; clear it before you look."""
        follower = threading.Event()
        with self._lock:
            self._followers[subject].add(follower)
        try:
            yield follower
        finally:
            with self._lock:
                self._followers[subject].discard(follower)
                if not self._followers[subject]:
                    del self._followers[subject]
