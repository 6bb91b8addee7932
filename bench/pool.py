"""DTrove's SSH pool in a process of its own, patched by eventlet as in the service; started by bench.parts.ssh.

Reads one JSON object from standard input (hosts, and how often), prints one with the times in seconds.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

from services.datastore_agentless.hosts.base import Run, Target  # noqa: E402
from services.datastore_agentless.hosts.runner import HostRunner  # noqa: E402
from services.datastore_agentless.hosts.ssh import SshPool  # noqa: E402
from services.datastore_agentless.hosts.transcript import Transcript  # noqa: E402
from shared.secrets import Secret  # noqa: E402


def main() -> None:
    """One command on one host many times; one command on each host, cold and warm."""
    asked = json.load(sys.stdin)
    targets = [
        Target(name=f"host-{port}", addr="127.0.0.1", port=port, user=asked["user"], known_host=asked["known_host"],
               private_key=Secret(asked["private_key"])) for port in asked["ports"]
    ]  # fmt: skip
    pool = SshPool()
    answer: dict[str, Any] = {"cold": [], "warm": []}
    for _ in range(asked["rounds"]):
        pool.close()
        answer["cold"].append(_seconds(lambda: _on_each(pool, targets)))
        answer["warm"].append(_seconds(lambda: _on_each(pool, targets)))
    pool.close()
    began = time.process_time()
    answer["one"] = [_seconds(lambda: _run(pool, targets[0])) for _ in range(asked["commands"])]
    answer["cpu_per_command"] = (time.process_time() - began) / asked["commands"]
    runner = HostRunner(pool=pool, target=targets[0], task_id="benchmark", epoch=1, root=asked["root"],
                        memory=asked["root"], transcript=Transcript(host="host"))  # fmt: skip
    answer["fenced"] = [_seconds(lambda: runner.run(Run("true"))) for _ in range(asked["commands"])]
    pool.close()
    json.dump(answer, sys.stdout)


def _run(pool: SshPool, target: Target) -> None:
    done = pool.run(target, "true")
    if done.code != 0:
        raise RuntimeError(f"`true` ended with {done.code} on {target.name}: {done.stderr!r}")


def _on_each(pool: SshPool, targets: list[Target]) -> None:
    running = [eventlet.spawn(_run, pool, target) for target in targets]
    for one in running:
        one.wait()


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
