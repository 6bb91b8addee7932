"""What runs on a node for a backup's way out and back: each is one detached job, whose pipeline pipelines.py holds.

    out:   dump | count | zstd | age | cut into parts, each brought to the store or fetched by a carrier
    back:  parts, each checked | age | zstd | load

`dump` and `load` are bash, as `Dumping` has them; where a chain of backups comes back, there is one such pipeline after the other,
in one job. What a part came to is a line of the job's output: who asks a job that has ended well reads the same again. Nothing but
that stays on the node, whether the job ends well, or does not, or is stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from services.datastore_agentless.backup_stores.base import MB, Damaged, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.pipelines import RECEIVE, SEND, SHARED
from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.hosts.base import CommandFailed, Job, Progress, Script, quote
from shared.errors import Failure
from shared.secrets import Secret

# What a node needs for it.
PACKAGES = ("zstd", "age", "curl")
# A large database takes as long as it takes; whoever carries, or the store, may be away for a good part of that.
TRANSFER_SECONDS = 24 * 3600.0
PATIENCE_SECONDS = 6 * 3600
# A line over which nothing has come for so long is given up for a new one.
SILENCE_SECONDS = 60
_SAID = "dtrove: "


@dataclass(frozen=True)
class Sent:
    """What has left a node: the parts as the store has them, in order, and the size of the stream before it was compressed.

    `taken` is what the engine's data remember of it, where others can build upon it; `sha256` is of all parts together, and `said` what
    the engine had to say beside its data, where that was asked for.
    """

    parts: tuple[Part, ...]
    size_bytes: int
    taken: Taken | None = None
    sha256: str = ""
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manner:
    """How a transfer behaves: at most so many MB a second leave the node (0: no limit); how long, in seconds, a part may take with
    all tries, and how long a line may be silent.
    """

    mb_per_second: int = 0
    patience: int = PATIENCE_SECONDS
    silence: int = SILENCE_SECONDS


@dataclass(frozen=True)
class Matter:
    """What is sent, by its name for people. `summed`: all parts together are of use as well, and their sum is wanted. `said` is
    what the engine says beside its data where all is well, each line after `say `.
    """

    name: str = "backup"
    summed: bool = False
    said: str = ""


NONE = Secret("")


@dataclass(frozen=True)
class Opening:
    """What is received: whether it is sealed, the line that `load` finds in the variable `login`, and what it says where all is well."""

    sealed: bool = True
    login: Secret = NONE
    said: str = ""


USUAL, A_BACKUP, A_KEY = Manner(), Matter(), Opening()
NOTHING_SUM = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def send(
    way: Sending, dump: str, recipient: str, name: str, *, login: Secret = NONE, of_bytes: int = 0, manner: Manner = USUAL,
    matter: Matter = A_BACKUP,
) -> Script:  # fmt: skip
    """Send what `dump` prints, encrypted for `recipient` (age's public key; empty: it is not); returns Sent.

    `login` is one line that `dump` finds in the variable of that name. With `of_bytes`, how much that is expected to be, its progress has a percentage.
    """
    values = {"part_bytes": way.part_bytes, "recipient": recipient, "rate": manner.mb_per_second * MB,
              "summed": "yes" if matter.summed else ""}  # fmt: skip
    script = _script(way, manner, values, "dump", dump, SEND)
    given = Secret(f"{login.reveal()}\n{way.urls.reveal()}")
    sample = f"{matter.said}{f'sum {NOTHING_SUM}' if matter.summed else ''}\nsize 0\n"
    job = Job(name, script, title=f"send the {matter.name}", stdin=given, timeout=TRANSFER_SECONDS,
              progress=_reader("sent", of_bytes), sample=sample)  # fmt: skip
    done = yield from _done(job)
    return read_sent(done)


def receive(way: Fetching, load: str, identity: Secret, name: str, *, manner: Manner = USUAL,
            title: str = "fetch the backup", opening: Opening = A_KEY) -> Script:  # fmt: skip
    """Fetch the parts, each checked by size and sum, and give the stream that they were to `load`, which has the stream's number in `$1`.

    Of several streams each is given to `load` by itself. `identity` is age's private key: it goes by standard input, which lies in
    the node's memory for as long as this takes. Raises Damaged where a part is not as it was stored.
    Returns what `load` has said to the descriptor 4, each line after `say `.
    """
    key = next((line for line in identity.reveal().splitlines() if line.startswith("AGE-SECRET-KEY-")), "")
    if opening.sealed and not key:
        raise Failure("what is to open the backup is no private key of age's")
    script = _script(way, manner, {}, "load", load, _listed(way) + RECEIVE)
    given = Secret(f"{key}\n{opening.login.reveal()}\n{way.urls.reveal()}")
    size = sum(part.size for part in way.parts)
    job = Job(name, script, title=title, stdin=given, timeout=TRANSFER_SECONDS, progress=_reader("fetched", size),
              sample=f"{opening.said}read 0\n")  # fmt: skip
    try:
        done = yield from _done(job)
    except CommandFailed as error:
        if (number := _damaged(error.stderr)) is not None:
            raise Damaged(error.message, key=_key_of(way, number), stderr=error.stderr) from error
        raise
    return tuple(line.removeprefix("say ") for line in done.split("\n") if line.startswith("say "))


def read_sent(output: str) -> Sent:
    """What the job that sends has printed. Raises Failure where its end, or a part, is missing."""
    parts, said, taken, size, sum_of_all = [], [], None, -1, ""
    for line in output.split("\n"):
        match line.split():
            case ["part", number, size_of, sha256, *tag]:
                parts.append(Part(int(number), int(size_of), sha256, "".join(tag)))
            case ["size", counted]:
                size = int(counted)
            case ["taken", name, position]:
                taken = Taken(name, position)
            case ["sum", sum_of_all]:
                pass
            case ["say", *_]:
                said.append(line.removeprefix("say "))
    parts.sort(key=lambda part: part.number)
    if size < 0 or [part.number for part in parts] != list(range(1, len(parts) + 1)):
        raise Failure("the node does not say of every part what became of it", what_to_do="back up once more")
    return Sent(tuple(parts), size, taken, sum_of_all, tuple(said))


def _script(
    way: Sending | Fetching, manner: Manner, values: dict[str, object], name: str, command: str, rest: str
) -> str:
    """A script that begins anew in bash, with its variables, the engine's command as a function, and the pipeline."""
    common = {"spool": way.spool, "spooled": way.spooled, "patience": manner.patience, "silence": manner.silence}
    chosen = {**common, **values}
    lines = "".join(f"{key}={quote(value)}\n" for key, value in chosen.items())
    again = 'case ${1:-} in bash) ;; *) exec bash "$0" bash;; esac\nset -euo pipefail\n'
    return f"{again}{lines}{name}() (\ncd /\n{command}\n)\n{SHARED}{rest}"


def _listed(way: Fetching) -> str:
    """The parts; of each stream how many of them it has, how many bytes, and its name: one that comes alone needs none."""
    parts = "".join(f"{part.size}:{quote(part.sha256)}\n" for part in way.parts)
    counts = [one.count for one in way.streams] or [len(way.parts)]
    ends = [0, *accumulate(counts)]
    sizes = [sum(part.size for part in way.parts[begin:end]) for begin, end in pairwise(ends)]
    names = " ".join(quote(one.key) for one in way.streams)
    return f"parts=(\n{parts})\ncounts=({' '.join(map(str, counts))}) sizes=({' '.join(map(str, sizes))}) names=({names})\n"


def _damaged(stderr: str) -> int | None:
    """The number of the part that was found not to be as it was stored; None: none was."""
    numbers = [line.removeprefix("damaged ") for line in stderr.splitlines() if line.startswith("damaged ")]
    return next((int(one) for one in numbers if one.isdecimal()), None)


def _key_of(way: Fetching, number: int) -> str:
    """Which of the streams a part is of; empty where there is one alone, which nobody has named."""
    for end, one in zip(accumulate(one.count for one in way.streams), way.streams, strict=True):
        if number <= end:
            return one.key
    return ""


def _reader(verb: str, of_bytes: int) -> Callable[[str], Progress | None]:
    def read(line: str) -> Progress | None:
        word, _, count = line.partition(" ")
        if word != "read":
            return None
        done = int(count) if count.isdecimal() else 0
        percent = min(99, done * 100 // of_bytes) if of_bytes else None
        return Progress(f"{verb} {done / MB:,.0f} MB", percent)

    return read


def _done(job: Job) -> Script:
    """The job's output. Raises Failure with its own sentence, where it has said one."""
    try:
        done = yield job
    except CommandFailed as error:
        said = [line.removeprefix(_SAID) for line in error.stderr.splitlines() if line.startswith(_SAID)]
        if not said:
            raise
        raise CommandFailed(f"{job.title}: {said[0]}", code=error.code, command=error.command, stderr=error.stderr,
                            what_to_do="mend the cause, then retry the operation") from error  # fmt: skip
    return done.stdout
