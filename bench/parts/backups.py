"""Two gigabytes there and back, against the same tools in one pipeline over the ssh binary, on the same host.

What the engine sends and takes is DTrove's own line on both sides; so are the compression and the encryption.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import script
from bench.figures import Line, Outcome, at_most, median, ratio_at_most
from bench.installation import Broken, Installation, Say, installation, operation_of, seconds_of
from bench.objects import BUCKET, KEYS, objects
from bench.openssh import KeyPair, make_pair
from bench.openssh import Line as Way
from bench.over_ssh import Node
from bench.processes import usage
from services.datastore_agentless.datastores.base.dumping import Dumping
from services.datastore_agentless.domain.instance import Instance
from shared.secrets import Secret

ROUNDS, GB = 3, 1e9
# What fills each with about 2 GB, as `pgbench --initialize` and sysbench's `oltp_*` do.
_ROWS = 8_500_000
_DIGITS = "LPAD(FLOOR(RAND() * 1e11), 11, '0')"
_SYSBENCH = (
    "SET SESSION sql_log_bin = 0; CREATE DATABASE sbtest; CREATE TABLE sbtest.sbtest1 (id int PRIMARY KEY, k int NOT NULL, "
    "c char(120) NOT NULL, pad char(60) NOT NULL, KEY k_1 (k)); INSERT INTO sbtest.sbtest1 SELECT seq, "
    f"FLOOR(RAND() * {_ROWS}), CONCAT_WS('-', {', '.join([_DIGITS] * 10)}), CONCAT_WS('-', {', '.join([_DIGITS] * 5)}) "
    f"FROM sbtest.seq_1_to_{_ROWS}"
)
FILL = {
    "pgsql": "cd / && su postgres -c '/usr/lib/postgresql/15/bin/pgbench --initialize --quiet --scale=135 postgres' 2>&1",
    "mysql": f'mysql -uroot -e "{_SYSBENCH}"',
}
BARE, ALIKE, CONTROLLER = 1.03, 1.1, 2.0
SHELL = "cat > /run/dtrove-bench.sh && exec bash /run/dtrove-bench.sh"
FILE, KEY = "/var/tmp/dtrove-bench.age", "/run/dtrove-bench.key"


@dataclass
class Seconds:
    """How long each took, round by round; and the seconds on a core of all services, for a backup to objects."""

    ours: list[float] = field(default_factory=list)
    objects: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    piped: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)
    unpiped: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True)
class Bare:
    """A node that DTrove has made, reached past DTrove: what the tools do by themselves."""

    node: Node
    dumping: Dumping
    folder: Path

    @property
    def kept(self) -> Path:
        """Where what was piped here lies."""
        return self.folder / "backup.age"

    def on_host(self) -> float:
        """The pipeline into a file beside the database; seconds."""
        began = time.monotonic()
        self.node.way.run(SHELL, stdin=f"{self._sends()} > {FILE}\nsync {FILE}\nrm {FILE}\n")
        return time.monotonic() - began

    def here(self) -> float:
        """The pipeline into a file here; seconds."""
        began = time.monotonic()
        with self.kept.open("wb") as file:
            _run(self.node.way.command(SHELL), self._sends().encode(), stdout=file)
            subprocess.run(["sync", self.kept], check=True)
        return time.monotonic() - began

    def back(self, identity: str) -> float:
        """What was piped here goes back, and the engine begins on it; seconds."""
        receives = self.dumping.receives(self.node.instance)
        text = f"set -euo pipefail\nage -d -i {KEY} | zstd -d -q -c | {{\n{receives}\n}}\n"
        self.node.way.run(f"umask 077; cat > {KEY}", stdin=identity)
        self.node.way.run("cat > /run/dtrove-bench.sh", stdin=text)
        began = time.monotonic()
        with self.kept.open("rb") as file:
            _run(self.node.way.command("bash /run/dtrove-bench.sh"), file)
        self.node.run(self.dumping.take_over(self.node.instance))
        return time.monotonic() - began

    def _sends(self) -> str:
        recipient = (self.folder / "recipient").read_text().strip()
        return (
            f"set -euo pipefail\nlogin=\ndump() (\ncd /\n{self.dumping.sends(self.node.instance)}\n)\n"
            f"dump < /dev/null 7> /dev/null | zstd -T0 -3 -q -c | age -r {recipient}"
        )


def measure(say: Say) -> Outcome:
    """Three rounds for each engine, each way in turn, after a backup of each kind that does not count."""
    found = {}
    with objects() as url, tempfile.TemporaryDirectory(prefix="dtrove-bench-backups-") as folder:
        stores = f"local=file://{folder}/store objects=s3://{BUCKET}/bench?endpoint={url}&region=us-east-1"
        with installation(say, "local", DTROVE_BACKUP_STORES=stores, **KEYS) as dtrove:
            pair, identity = make_pair(Path(folder, "login")), _age_key(Path(folder))
            for name in FILL:
                found[name] = _rounds(say, dtrove, name, Path(folder), pair, identity)
    note = (
        "backups: from POST to `succeeded`, as a client sees it; restores: DTrove's step `restore` on the first node of a new "
        "cluster against the same on that node once more; the baselines are DTrove's own lines for the engine, `zstd -T0 -3` and "
        "`age` in one pipeline: into a file on the database's host, or through `ssh` into a file here; the object store is moto's, "
        "in this process"
    )
    return Outcome(tuple(line for name in found for line in _lines(name, found[name])), notes=(note,),
                   facts={name: vars(each) for name, each in found.items()})  # fmt: skip


def _rounds(say: Say, dtrove: Installation, name: str, folder: Path, pair: KeyPair, identity: str) -> Seconds:
    shown = next(one for one in dtrove.get("/v1/datastores")["datastores"] if one["manager"] == name)
    say(f"{shown['name']}: a cluster with 2 GB")
    cluster, seconds = dtrove.cluster(f"{name}-old", shown["id"]), Seconds()
    bare = _bare(dtrove, shown, cluster, folder, pair)
    bare.node.way.run(FILL[name])
    for number in range(ROUNDS + 1):
        say(f"{shown['name']}: there, " + (f"round {number} of {ROUNDS}" if number else "a round that does not count"))
        _there(dtrove, cluster["id"], bare, seconds)
        if not number:
            seconds = Seconds()
    backup, _ = _back_up(dtrove, cluster["id"], "local")
    seconds.size = backup["facts"]["size_bytes"]
    dtrove.delete(cluster["id"])
    for number in range(1, ROUNDS + 1):
        say(f"{shown['name']}: back, round {number} of {ROUNDS}")
        made, operation = dtrove.create(f"{name}-{number}", shown["id"], restore={"backup": backup["id"]})
        dtrove.end_of(operation)
        steps = {step["step"]: seconds_of(step) for step in dtrove.settled(operation)["steps"]}
        seconds.restored.append(steps["restore"])
        again = _bare(dtrove, shown, dtrove.get(f"/v1/clusters/{made}"), folder, pair)
        seconds.unpiped.append(again.back(identity))
        dtrove.delete(made)
    return seconds


def _there(dtrove: Installation, cluster: str, bare: Bare, seconds: Seconds) -> None:
    """Each way once."""
    kept, ours = _back_up(dtrove, cluster, "local")
    before = _cores(dtrove)
    other, to_objects = _back_up(dtrove, cluster, "objects")
    seconds.cores.append(_cores(dtrove) - before)
    seconds.ours.append(ours)
    seconds.objects.append(to_objects)
    seconds.bare.append(bare.on_host())
    seconds.piped.append(bare.here())
    for backup in (kept, other):
        dtrove.end_of(operation_of(dtrove.ask("DELETE", f"/v1/backups/{backup['id']}")))


def _back_up(dtrove: Installation, cluster: str, store: str) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {"store": store})
    dtrove.end_of(answer.json()["id"])
    seconds = time.monotonic() - began
    return dict(dtrove.get(f"/v1/backups/{answer.json()['backup']['id']}")), seconds


def _bare(dtrove: Installation, shown: dict[str, Any], cluster: dict[str, Any], folder: Path, pair: KeyPair) -> Bare:
    """The only node of a cluster, which lets the benchmark in."""
    (node,) = cluster["instances"]
    authorize = f"umask 077; mkdir -p ~/.ssh && echo '{pair.public}' >> ~/.ssh/authorized_keys"
    told = dtrove.perform(node["id"], authorize)
    dtrove.end_of(told)
    scanned = subprocess.run(["ssh-keyscan", "-t", "ed25519", node["addr"]], capture_output=True, text=True, check=True)
    line = next((line for line in scanned.stdout.splitlines() if not line.startswith("#")), "")
    if not line:
        raise Broken(f"{node['addr']} shows no host key: {scanned.stderr}")
    manager = script.manager_of(shown)
    flavor = cluster["flavor"]
    instance = Instance(
        id=node["id"], cluster_id=cluster["id"], name=node["name"], addr=node["addr"], user="root",
        ram_mb=flavor["ram_mb"], vcpus=flavor["vcpus"], admin_user=manager.admin_user, admin_password=Secret(""),
    )  # fmt: skip
    if manager.dumping is None:
        raise Broken(f"{manager.name} makes no backups")
    way = Way(node["addr"], 22, "root", pair, " ".join(line.split()[1:3]))
    return Bare(Node(instance, way), manager.dumping, folder)


def _age_key(folder: Path) -> str:
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = next(line.split()[-1] for line in made.splitlines() if "public key" in line)
    (folder / "recipient").write_text(recipient)
    return made


def _cores(dtrove: Installation) -> float:
    return sum(usage(pid).cpu_seconds for pid in dtrove.pids().values())


def _run(command: Sequence[str], given: Any, **options: Any) -> None:
    """Raises Broken where it fails. `given` is what it reads: bytes, or a file."""
    source = {"input": given} if isinstance(given, bytes) else {"stdin": given}
    done = subprocess.run(command, **source, **options, stderr=subprocess.PIPE, timeout=900, check=False)
    if done.returncode:
        raise Broken(f"{command[-1]} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")


def _lines(name: str, seconds: Seconds) -> list[Line]:
    ours, size = median(seconds.ours), f"{name}: {seconds.size / GB:.1f} GB"
    return [
        Line(f"{size} → store `local`", ours, "s", median(seconds.bare), "a file on the database's host", ratio_at_most(BARE)),
        Line(f"{size} → store `local`", ours, "s", median(seconds.piped), "one pipe of ssh", ratio_at_most(ALIKE)),
        Line(f"{size} → store `objects`", median(seconds.objects), "s", median(seconds.bare), "a file on the database's host"),
        Line(f"{name}: services, for 1 GB → `objects`", median(seconds.cores) / (seconds.size / GB), "s of a core",
             target=at_most(CONTROLLER, "s of a core")),
        Line(f"{size} ← store `local`", median(seconds.restored), "s", median(seconds.unpiped), "one pipe of ssh",
             ratio_at_most(BARE)),
    ]  # fmt: skip
