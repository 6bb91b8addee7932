"""Judges what was seen: each check is ok, a warning or failed, with a sentence, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.api.domain.seen import Seen
from services.api.domain.stuck import stuck_operations
from shared.health import FAILED, MAKE_ROOM, OK, WARNING, room, status_of_disk

# Seconds. Leases last ten, and two services that see them end at different times fall over each other.
CLOCK_WARNING, CLOCK_FAILED = 1.0, 5.0
# A host's own time is known to about a second, at the moment when it was made ready.
HOST_CLOCK_WARNING = 5.0
OUTBOX_WARNING, OUTBOX_FAILED = 60.0, 600.0


@dataclass(frozen=True)
class Check:
    """One check. `summary` names no thing of any project, so that it may be told to whoever asks; `details` may."""

    name: str
    status: str
    summary: str
    what_to_do: str = ""
    details: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The whole sentence."""
        return "\n".join((self.summary, *self.details))


def judge(seen: Seen) -> list[Check]:
    """Every check, always in this order."""
    return [_broker(seen), *_services(seen), *(check(seen) for check in _CHECKS)]


def _broker(seen: Seen) -> Check:
    if seen.broker:
        return Check("rabbitmq", FAILED, "RabbitMQ does not answer",
                     "see whether RabbitMQ runs and AMQP_URI is right; nothing has to be restarted once it is back",
                     (seen.broker,))  # fmt: skip
    return Check("rabbitmq", OK, "RabbitMQ answers")


def _services(seen: Seen) -> Iterable[Check]:
    for name, answer in seen.services.items():
        if answer.state is None:
            yield Check(name, FAILED, f"{name} does not answer",
                        f"see whether the service {name} runs (`dtrove status`), and what its log says last",
                        (answer.trouble,))  # fmt: skip
        elif answer.state.database:
            yield Check(name, FAILED, f"{name} runs, but its database does not answer",
                        f"see whether the database of {name} runs; the service needs no restart", (answer.state.database,))  # fmt: skip
        else:
            yield Check(name, OK, f"{name} answers, and its database")


def _provider(seen: Seen) -> Check:
    state = seen.state_of("provisioner")
    provider = state.provider if state is not None else None
    if provider is None:
        return _unknown("provider", "provisioner")
    if not provider.answers:
        return Check("provider", FAILED, f"the provider {provider.name} did not answer when it was last asked",
                     "see whether the cloud or the container engine runs, and whether DTrove's login for it is right",
                     (provider.message,))  # fmt: skip
    return Check("provider", OK, f"the provider {provider.name} answers")


def _clock(seen: Seen) -> Check:
    worst, found = 0.0, []
    for name, answer in seen.services.items():
        database = answer.state.database_ahead if answer.state is not None else None
        for what, ahead, within in ((f"the clock of {name}", answer.ahead, answer.within),
                                    (f"the database's clock of {name}", (database or 0.0) + answer.ahead, answer.within)):  # fmt: skip
            # What the journey of the answer explains is no error of a clock.
            sure = max(0.0, abs(ahead) - within)
            if sure > CLOCK_WARNING:
                found.append(f"{what} is {_ahead(ahead)} the API's")
            worst = max(worst, sure)
    state = seen.state_of("datastore_agentless")
    hosts = state.hosts if state is not None else None
    if hosts is not None and abs(hosts.worst_seconds) > HOST_CLOCK_WARNING:
        found.append(f"the clock of the host {hosts.worst_host} was {_ahead(hosts.worst_seconds)} the controller's")
    if not found:
        known = (
            f", and those of {hosts.known} hosts when they were made ready" if hosts is not None and hosts.known else ""
        )
        return Check("clock", OK, f"the clocks of services and databases agree within {CLOCK_WARNING:.0f} s{known}")
    return Check("clock", FAILED if worst > CLOCK_FAILED else WARNING, "clocks disagree",
                 "set them, for example with chrony; leases and tokens are judged by them", tuple(found))  # fmt: skip


def _keyring(seen: Seen) -> Check:
    keepers = [state for state in seen.states if state.has_keyring]
    broken = tuple(f"{state.service}: {state.keyring}" for state in keepers if state.keyring)
    if broken:
        return Check("keyring", FAILED, "the keyring cannot be read",
                     "restore the file from its copy; services that run go on with the keys that they have read", broken)  # fmt: skip
    if not keepers:
        return Check("keyring", WARNING, "no service that uses the keyring has answered")
    lost = tuple(f"{state.service}: {state.secrets.unreadable} of {state.secrets.total}"
                 for state in keepers if state.secrets and state.secrets.unreadable)  # fmt: skip
    if lost:
        return Check("keyring", FAILED, "stored secrets cannot be opened with any key of the keyring",
                     "restore the keyring file that was in use when they were stored", lost)  # fmt: skip
    old = tuple(f"{state.service}: {state.secrets.old} of {state.secrets.total}"
                for state in keepers if state.secrets and state.secrets.old)  # fmt: skip
    if old:
        return Check("keyring", WARNING, "stored secrets are sealed by old keys",
                     "`dtrove secrets rotate` seals them anew; until then no old key may go", old)  # fmt: skip
    total = sum(state.secrets.total for state in keepers if state.secrets)
    return Check("keyring", OK, f"the keyring can be read, and opens the {total} secrets that are stored")


def _stores(seen: Seen) -> Check:
    state = seen.state_of("datastore_agentless")
    if state is None:
        return _unknown("backup stores", "datastore_agentless")
    if not state.stores:
        return Check("backup stores", OK, "no store of backups was looked at yet")
    away = tuple(f"{name}: {trouble}" for name, trouble in sorted(state.stores.items()) if trouble)
    if away:
        return Check("backup stores", WARNING, "a store of backups does not answer",
                     "see that it runs, that DTROVE_BACKUP_STORES is right, and that DTrove may write there", away)  # fmt: skip
    return Check("backup stores", OK, "the stores of backups answer")


def _proofs(seen: Seen) -> Check:
    if seen.unproven:
        return Check("backup proofs", FAILED, "a backup has not passed when it was restored, or is damaged",
                     "make another backup and verify that; `dtrove backup show` says what was found", seen.unproven)  # fmt: skip
    return Check("backup proofs", OK, "no backup has failed its last proof, and none is damaged")


def _orphans(seen: Seen) -> Check:
    state = seen.state_of("provisioner")
    if state is None or state.orphans is None:
        return _unknown("orphans", "provisioner")
    lost = state.orphans.get("gone", 0)
    extra = sum(state.orphans.values()) - lost
    found = []
    if lost:
        found.append(f"{_number(lost, 'server')} of live instances {'is' if lost == 1 else 'are'} gone")
    if extra:
        found.append(
            f"the provider holds {_number(extra, 'thing')} that {'belongs' if extra == 1 else 'belong'} to nobody"
        )
    if not found:
        return Check("orphans", OK, "the provider holds what the database says, and nothing else")
    return Check("orphans", FAILED if lost else WARNING, "; ".join(found),
                 "`dtrove orphans list` shows them, `dtrove orphans clean ID` removes one")  # fmt: skip


def _parked(seen: Seen) -> Check:
    if seen.database:
        return _unknown("parked", "the API's database")
    if not seen.parked:
        return Check("parked", OK, "no message is parked")
    return Check("parked", WARNING, f"{_number(seen.parked, 'message')} could not be taken in",
                 "`dtrove parked list` says why; mend the cause, then `dtrove parked replay ID` or `drop ID`")  # fmt: skip


def _migrations(seen: Seen) -> Check:
    behind: list[str] = []
    ahead: list[str] = []
    for state in seen.states:
        if state.revision is None or state.revision.database == state.revision.code:
            continue
        words = f"{state.service}: its database has {state.revision.database or 'none'}, its code {state.revision.code}"
        (behind if state.revision.known else ahead).append(words)
    if ahead:
        return Check("migrations", FAILED, "a database is newer than the code that runs",
                     "an old service is still running: restart it with the version that the others have",
                     (*ahead, *behind))  # fmt: skip
    if behind:
        return Check("migrations", FAILED, "a database is older than the code that runs",
                     "restart the service: it brings its database up to date when it starts", tuple(behind))  # fmt: skip
    if not seen.states:
        return Check("migrations", WARNING, "no service has answered")
    return Check("migrations", OK, "every database that answers has its service's version")


def _outbox(seen: Seen) -> Check:
    late = [state for state in seen.states if state.outbox.oldest_seconds > OUTBOX_WARNING]
    if not late:
        waiting = sum(state.outbox.messages for state in seen.states)
        return Check("outbox", OK, f"{_number(waiting, 'message')} on the way to RabbitMQ")
    words = tuple(
        f"{state.service}: {_number(state.outbox.messages, 'message')}, the oldest for {state.outbox.oldest_seconds:.0f} s"
        + (f": {state.outbox.error}" if state.outbox.error else "")
        for state in late
    )
    worst = max(state.outbox.oldest_seconds for state in late)
    return Check("outbox", FAILED if worst > OUTBOX_FAILED else WARNING, "messages wait to be sent",
                 "see whether RabbitMQ answers and takes messages (its disk and memory alarms), and whether the service "
                 "that is to have them has ever run", words)  # fmt: skip


def _disk(seen: Seen) -> Check:
    disks = [(state.service, state.disk) for state in seen.states if state.disk is not None]
    if not disks:
        return Check("disk", WARNING, "no service has said how much room it has")
    service, least = min(disks, key=lambda one: one[1].free_bytes)
    status = status_of_disk(least.free_bytes)
    words = f"{room(least.free_bytes)} are free where {service} keeps its files"
    return Check("disk", status, words, "" if status == OK else MAKE_ROOM)


def _operations(seen: Seen) -> Check:
    if seen.database:
        return _unknown("operations", "the API's database")
    if not seen.stuck:
        return Check("operations", OK, f"no operation has been silent for {seen.stuck_after:.0f} s")
    details, remedy = stuck_operations(seen)
    return Check("operations", FAILED, f"{_number(len(seen.stuck), 'operation')} stuck: open, and silent for "
                 f"{seen.stuck_after:.0f} s or more", remedy, details)  # fmt: skip


def _unknown(name: str, service: str) -> Check:
    return Check(name, WARNING, f"not known while {service} does not answer")


def _ahead(seconds: float) -> str:
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


_CHECKS: tuple[Callable[[Seen], Check], ...] = (
    _provider, _clock, _keyring, _stores, _proofs, _orphans, _operations, _parked, _migrations, _outbox, _disk,
)  # fmt: skip
