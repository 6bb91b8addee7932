"""`python -m tests.simulation --seeds 5000`: many runs over all processors; `--seed N`: one, told line by line."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.run import Laboratory

SHARE = 10


def main() -> int:
    """Run what the arguments say; 1 where an invariant was broken."""
    asked = _arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of texts have to be walked in the same order whenever a seed is replayed.
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
                  {**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
    if asked.seed is not None:
        return _replay(asked.seed, asked.broken)
    if asked.notice:
        return _notice(asked.seeds, asked.jobs)
    if asked.known:
        return _known(asked.jobs)
    return _many(asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5000, help="how many runs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no run after so many seconds")
    parser.add_argument("--first", type=int, default=1, help="the first run's seed")
    parser.add_argument("--seed", type=int, help="run this one alone and tell what happens")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--broken", default="", help="apply a deliberate break by its name")
    parser.add_argument(
        "--notice", action="store_true", help="say by which seed each deliberate break is noticed first"
    )
    parser.add_argument(
        "--known", action="store_true", help="say which breaks are noticed by the seeds that are known to notice them"
    )
    parser.add_argument("--until-failure", action="store_true", help="stop at the first breach")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    return parser.parse_args()


def _replay(seed: int, broken: str) -> int:
    from tests.simulation.breaks import broken_by

    with broken_by(broken):
        outcome = _laboratory().run(seed)
    _say("\n".join(outcome.trace))
    _say(f"seed {seed}: {outcome.seconds:.1f} s of virtual time, {dict(outcome.struck)}, {outcome.digest}")
    _say("\n".join(outcome.breaches) or "every invariant held")
    return 1 if outcome.breaches else 0


def _notice(seeds: int, jobs: int) -> int:
    """Lines for `breaks.NOTICED`; 1 where a break is noticed by no seed."""
    from tests.simulation.breaks import BREAKS

    unnoticed = 0
    with ProcessPoolExecutor(jobs) as pool:
        for name, seed in zip(BREAKS, pool.map(first_noticed, BREAKS, [seeds] * len(BREAKS)), strict=True):
            unnoticed += seed is None
            _say(f'    "{name}": {seed},')
    return 1 if unnoticed else 0


def _known(jobs: int) -> int:
    """One JSON object: each deliberate break, and whether its seed in `breaks.NOTICED` notices it."""
    from tests.simulation.breaks import NOTICED

    with ProcessPoolExecutor(jobs) as pool:
        runs = pool.map(run_share, NOTICED.values(), [1] * len(NOTICED), NOTICED)
        found = {name: bool(breaches) for name, ((_, breaches, *_),) in zip(NOTICED, runs, strict=True)}
    _say(json.dumps(found))
    return 0 if all(found.values()) else 1


def first_noticed(broken: str, seeds: int) -> int | None:
    """The first seed that notices a break."""
    for seed in range(1, seeds + 1):
        ((_, breaches, _, _, _),) = run_share(seed, 1, broken)
        if breaches:
            return seed
    return None


def run_share(first: int, number: int, broken: str) -> list[tuple[int, list[str], dict[str, int], int, str]]:
    """Runs of one process: seed, breaches, faults by kind, deaths, digest."""
    from tests.simulation.breaks import broken_by

    with broken_by(broken):
        done = [_laboratory().run(seed) for seed in range(first, first + number)]
    return [(one.seed, one.breaches, dict(one.struck), one.restarts, one.digest) for one in done]


def _many(asked: argparse.Namespace) -> int:
    began, failed, struck, deaths, runs = time.monotonic(), list[tuple[int, list[str]]](), Counter[str](), 0, 0
    end = asked.first + asked.seeds
    with ProcessPoolExecutor(asked.jobs) as pool:
        shares = [pool.submit(run_share, first, min(SHARE, end - first), asked.broken)
                  for first in range(asked.first, end, SHARE)]  # fmt: skip
        for share in shares:
            for seed, breaches, kinds, restarts, _ in share.result():
                runs, deaths = runs + 1, deaths + restarts
                struck.update(kinds)
                if breaches:
                    failed.append((seed, breaches))
            if (failed and asked.until_failure) or time.monotonic() - began > asked.seconds:
                pool.shutdown(cancel_futures=True)
                break
    _tell(asked, runs, deaths, struck, failed, time.monotonic() - began)
    return 1 if failed else 0


def _tell(asked: argparse.Namespace, runs: int, deaths: int, struck: Counter[str],
          failed: list[tuple[int, list[str]]], seconds: float) -> None:  # fmt: skip
    if asked.json:
        figures = {"seconds": round(seconds, 1), "faults": struck.total(), "by_kind": dict(struck)}
        report = [{"seed": seed, "breaches": breaches} for seed, breaches in failed]
        _say(json.dumps({"seeds": runs, "crashes": deaths, "figures": figures, "failed": report}))
        return
    for seed, breaches in failed[:20]:
        _say("\n  ".join([f"seed {seed}:", *breaches[:6]]))
        _say(
            f"  replay: python -m tests.simulation --seed {seed}"
            + (f" --broken {asked.broken}" if asked.broken else "")
        )
    _say(f"{runs} runs, {struck.total()} faults, {deaths} deaths of processes in {seconds:.1f} s; {len(failed)} failed")
    _say("faults: " + ", ".join(f"{kind} {number}" for kind, number in struck.most_common()))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


@cache
def _laboratory() -> Laboratory:
    """One for each process, which lives as long as it does."""
    from tests.simulation.run import Laboratory

    made = Laboratory()
    atexit.register(made.close)
    # A worker of a pool ends without its exit handlers.
    Finalize(None, made.close, exitpriority=1)
    return made


if __name__ == "__main__":
    sys.exit(main())
