"""A table that changes by one small transaction after another, and what is in it after each: for tests of moments between backups."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, field

START, LARGEST = 20, 9223372036854775807


@dataclass
class Ledger:
    """The table `ledger` (`name` is how it is written), of numbers and amounts. `states` has what is in it after each transaction, the
    first one before any; `ends` when each was there, in seconds, by the clock of the server; `begins` when it was not yet.
    """

    rng: random.Random
    name: str = "ledger"
    states: list[dict[int, int]] = field(default_factory=lambda: [{}])
    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    @property
    def create(self) -> str:
        """What makes the table."""
        return f"CREATE TABLE {self.name} (id bigint PRIMARY KEY, amount bigint NOT NULL)"

    @property
    def read(self) -> str:
        """What asks for all of it."""
        return f"SELECT id, amount FROM {self.name}"

    def change(self) -> str:
        """The next transaction, one statement; what it makes of the table is noted, and `noted` is to say when it was done."""
        now = dict(self.states[-1])
        kind = self.rng.choice(("add", "add", "set", "set", "drop") if len(now) > START else ("add",))
        number, amount = self.rng.choice(sorted(now)) if now else 0, self.rng.randrange(-LARGEST, LARGEST)
        if kind == "add":
            number = len(self.states)
            statement = f"INSERT INTO {self.name} VALUES ({number}, {amount})"
        elif kind == "set":
            statement = f"UPDATE {self.name} SET amount = {amount} WHERE id = {number}"
        else:
            statement = f"DELETE FROM {self.name} WHERE id = {number}"
        if kind == "drop":
            del now[number]
        else:
            now[number] = amount
        self.states.append(now)
        return statement

    def noted(self, begin: float, end: float) -> None:
        """The last transaction was not there at `begin`, and was at `end`."""
        self.begins.append(begin)
        self.ends.append(end)

    def as_of(self, moment: float) -> dict[int, int] | None:
        """What is in the table at a moment; None where a transaction was just being made then."""
        done = bisect_right(self.ends, moment)
        being_made = done < len(self.begins) and self.begins[done] <= moment
        return None if being_made else self.states[done]

    def moments(self, count: int, *, digits: int = 6) -> list[float]:
        """So many, anywhere between the first transaction and the last one, but for those when one was being made; to so many decimals."""
        found = list[float]()
        while len(found) < count:
            moment = round(self.rng.uniform(self.begins[0], self.ends[-1]), digits)
            if self.as_of(moment) is not None:
                found.append(moment)
        return found
