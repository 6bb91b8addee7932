"""A page of twenty clusters, among twenty and among ten thousand, against a bare WSGI application on the same file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from bench import rows
from bench.figures import Line, Outcome, at_most, median, percentile, ratio_at_least, ratio_at_most
from bench.installation import ROOT, Broken, Installation, Say, installation
from bench.processes import usage

CLIENTS, SECONDS, ROUNDS = 4, 3.0, 5
FEW, MANY, PAGE = 20, 10_000, 20
PATH = f"/v1/clusters?limit={PAGE}"
# The same cost among ten thousand as among twenty, but for what two runs on one machine differ by.
SAME = 1.1
P99_MS = 30.0


@dataclass(frozen=True)
class Load:
    """What four clients were given in a round: the milliseconds of each answer, and what it cost the server on a core."""

    taken: tuple[float, ...]
    cpu_ms: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.taken) / SECONDS


@dataclass(frozen=True)
class Server:
    """Where one of the two answers, and which process it is."""

    port: int
    pid: int
    token: str


@dataclass(frozen=True)
class Pair:
    """The API and the bare application over the same tables, and what each round gave."""

    api: Server
    bare: Server
    ours: list[Load] = field(default_factory=list)
    theirs: list[Load] = field(default_factory=list)


def measure(say: Say) -> Outcome:
    """Rounds of both servers in turn, and of an installation with few clusters and one with many.

    All in turn: a machine is not the same from one minute to the next.
    """
    with ExitStack() as stack:
        pairs = {total: _pair(total, say, stack) for total in (FEW, MANY)}
        for number in range(ROUNDS):
            say(f"a page of {PAGE} among {FEW} clusters and among {MANY}, round {number + 1} of {ROUNDS}")
            turns = [(loads, server) for pair in pairs.values()
                     for loads, server in ((pair.ours, pair.api), (pair.theirs, pair.bare))]  # fmt: skip
            for loads, server in reversed(turns) if number % 2 else turns:
                loads.append(_load(server))
    found = {total: (pair.ours, pair.theirs) for total, pair in pairs.items()}
    note = (
        f"pages: {CLIENTS} client processes, each on one kept connection, {ROUNDS} rounds of {SECONDS:.0f} s, API and bare "
        f"application in turn, and in turn an installation of {FEW} and one of {MANY:,} clusters; the bare one checks no token and "
        "reads SQLite without SQLAlchemy, and its body was compared with the API's"
    )
    facts = {str(total): {"api": _shown(ours), "bare": _shown(theirs)} for total, (ours, theirs) in found.items()}
    return Outcome(tuple(_lines(found)), notes=(note,), facts=facts)


def _pair(total: int, say: Say, stack: ExitStack) -> Pair:
    """An installation with `total` clusters, and a bare application over its file."""
    dtrove = stack.enter_context(installation(say, "fake"))
    say(f"making the cluster whose copies are {total} clusters")
    model = dtrove.cluster("model", "pgsql 15")
    rows.multiply(dtrove.database("api"), model["id"], total)
    api = Server(int(dtrove.url.rpartition(":")[2]), dtrove.pids()["api"], dtrove.token)
    bare = stack.enter_context(_bare(dtrove, model["project"]))
    _same_answers(dtrove, bare)
    return Pair(api, bare)


def _load(server: Server) -> Load:
    command = [sys.executable, "-m", "bench.load", "127.0.0.1", str(server.port), PATH, str(SECONDS)]
    with ExitStack() as stack:
        clients = [stack.enter_context(_client(command)) for _ in range(CLIENTS)]
        for client in clients:
            _tell(client, server.token)
        for client in clients:
            _ready(client)
        before = usage(server.pid).cpu_seconds
        for client in clients:
            _tell(client, "go")
        answers = [_answers(client) for client in clients]
        busy = usage(server.pid).cpu_seconds - before
    taken = tuple(one for answer in answers for one in json.loads(answer))
    return Load(taken, 1000 * busy / len(taken))


@contextmanager
def _client(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _tell(client: subprocess.Popen[str], words: str) -> None:
    assert client.stdin is not None
    client.stdin.write(words + "\n")
    client.stdin.flush()


def _ready(client: subprocess.Popen[str]) -> None:
    assert client.stdout is not None
    assert client.stderr is not None
    if client.stdout.readline().strip() != "ready":
        raise Broken(f"a client ended before it began: {client.stderr.read()[-1000:]}")


def _answers(client: subprocess.Popen[str]) -> str:
    told, trouble = client.communicate()
    if client.returncode:
        raise Broken(f"a client ended before its time: {trouble[-1000:]}")
    return told


@contextmanager
def _bare(dtrove: Installation, project: str) -> Iterator[Server]:
    """The bare application, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "bench.bare", str(dtrove.database("api")), project]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), process.pid, "none")
    finally:
        process.kill()
        process.wait()


def _same_answers(dtrove: Installation, bare: Server) -> None:
    """Raise Broken unless both servers give the same body: else the one would do less work than the other."""
    ours, theirs = dtrove.get(PATH), requests.get(f"http://127.0.0.1:{bare.port}{PATH}", timeout=30).json()
    if ours != theirs or len(ours["clusters"]) != PAGE:
        raise Broken(f"the bare application's page is not the API's:\n{json.dumps(ours)}\n{json.dumps(theirs)}")


def _lines(found: dict[int, tuple[list[Load], list[Load]]]) -> Iterator[Line]:
    for total, (ours, theirs) in found.items():
        yield Line(
            f"page of {PAGE} among {total:,}", _rate(ours), "1/s", _rate(theirs), "bare WSGI", ratio_at_least(0.6)
        )
        for percent, target in ((50, None), (99, at_most(P99_MS, "ms"))):
            mine, bare = _percentile(ours, percent), _percentile(theirs, percent)
            yield Line(f"page of {PAGE} among {total:,}, p{percent}", mine, "ms", bare, "bare WSGI", target)
        cost, bare = _cost(ours), _cost(theirs)
        yield Line(f"page of {PAGE} among {total:,}, on a core", cost, "ms", bare, "bare WSGI")
    few, many = _cost(found[FEW][0]), _cost(found[MANY][0])
    yield Line(f"the cost among {MANY:,} as among {FEW}", many, "ms", few, f"among {FEW}", ratio_at_most(SAME))


def _rate(rounds: list[Load]) -> float:
    return median([one.rate for one in rounds])


def _cost(rounds: list[Load]) -> float:
    """The least of all rounds: whatever else the machine does only adds to it."""
    return min(one.cpu_ms for one in rounds)


def _percentile(rounds: list[Load], percent: float) -> float:
    return median([percentile(one.taken, percent) for one in rounds])


def _shown(rounds: list[Load]) -> list[dict[str, Any]]:
    return [
        {"per_second": round(one.rate, 1), **{f"p{percent}_ms": percentile(one.taken, percent) for percent in (50, 99)},
         "cpu_ms": round(one.cpu_ms, 3), "answers": len(one.taken)} for one in rounds
    ]  # fmt: skip
