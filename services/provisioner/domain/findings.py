"""What the provider holds, held against what the database says; pure, so that every case can be tried."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.provisioner.domain.address import ClusterAddress, State
from services.provisioner.domain.instance import HOLDING, Status

SERVER, VOLUME, ADDRESS = "server", "volume", "address"


class Why(StrEnum):
    """What is the matter with a thing that the provider holds, or, for GONE, does not hold."""

    UNKNOWN = "unknown"
    DELETED = "deleted"
    DOUBLED = "doubled"
    LEFT_OVER = "left_over"
    GONE = "gone"


@dataclass(frozen=True)
class Found:
    """A thing of ours that the provider holds: `kind` is server, volume, network or address; `instance_id` its tag.

    Of an address the tag is `cluster_id`, and `instance_id` whom it leads to (see BaseProvider.list_ours).

    `account` is whose account of the cloud it is in, as Instance has it.
    """

    kind: str
    id: str
    instance_id: str
    cluster_id: str
    account: str = ""


@dataclass(frozen=True)
class Known:
    """What the database says of an instance: the ids of its server and its volume, empty for none; its account.

    `just_failed`: its last build ended a short while ago, so that what comes to light now is surely that build's.
    """

    id: str
    cluster_id: str
    operation_id: str
    name: str
    status: Status
    server: str
    volume: str
    just_failed: bool = False
    account: str = ""

    def owns(self, found: Found) -> bool:
        """Whether a thing is this instance's own."""
        return found.id != "" and found.id == (self.server if found.kind == SERVER else self.volume)


@dataclass(frozen=True)
class Finding:
    """One difference. `certain`: nothing can be lost by its removal, so it needs no operator's word."""

    found: Found
    why: Why
    certain: bool = False


def compare(seen: Collection[Found], known: Mapping[str, Known], busy: Collection[str]) -> list[Finding]:
    """What the provider holds and should not. Instances in `busy` have work under way, which decides for itself."""
    there = {(one.kind, one.id) for one in seen}
    verdicts = (_verdict(one, known.get(one.instance_id), one.instance_id in busy, there) for one in seen)
    return [verdict for verdict in verdicts if verdict is not None]


def compare_addresses(seen: Iterable[Found], known: Mapping[str, ClusterAddress]) -> list[Finding]:
    """The addresses that the provider holds and should not: nothing can be lost by the removal of one whose cluster has another,
    or is gone. What is `known` of them is by their clusters.
    """
    verdicts = (_verdict_of_address(one, known.get(one.cluster_id)) for one in seen if one.kind == ADDRESS)
    return [verdict for verdict in verdicts if verdict is not None]


def absent(seen: Iterable[Found], known: Mapping[str, Known], busy: Collection[str]) -> Iterator[Known]:
    """Instances that should have a server, which was not seen: it is gone, or the list was made a moment too early."""
    servers = {one.id for one in seen if one.kind == SERVER}
    for instance in known.values():
        if instance.status in HOLDING and instance.id not in busy and instance.server not in servers:
            yield instance


def gone(instance: Known) -> Finding:
    """An instance whose server the provider does not know any more."""
    return Finding(Found(SERVER, instance.server, instance.id, instance.cluster_id, instance.account), Why.GONE)


def words(finding: Finding, known: Known | None) -> str:
    """The finding as a sentence for an operator."""
    found = finding.found
    if found.kind == ADDRESS:
        return _words_of_address(finding)
    what, owner = f"the {found.kind} {found.id}", f"instance {known.name if known else found.instance_id}"
    own = "" if known is None else (known.server if found.kind == SERVER else known.volume)
    return {
        Why.UNKNOWN: f"{what} carries this installation's tag, and no instance here has ever had its id "
        f"({found.instance_id or 'none'})",
        Why.DELETED: f"{what} is of {owner}, which is deleted; it is being removed",
        Why.DOUBLED: f"{what} carries the tag of {owner}, whose own is {own or 'none'}",
        Why.LEFT_OVER: f"{what} was left over when {owner} could not be built",
        Why.GONE: f"{what} of {owner} is gone, though nobody has deleted it",
    }[finding.why]


def _words_of_address(finding: Finding) -> str:
    found = finding.found
    if finding.why == Why.UNKNOWN:
        return (
            f"the address {found.id} is set aside for cluster {found.cluster_id}, of which nobody here has ever heard"
        )
    return f"the address {found.id} is set aside for cluster {found.cluster_id}, which is gone, or has another one"


def _verdict_of_address(found: Found, known: ClusterAddress | None) -> Finding | None:
    if known is None:
        # It may be another installation's that was given the same tags.
        return Finding(found, Why.UNKNOWN)
    in_hand = known.state in (State.WANTED, State.FAILED, State.GOING)
    if in_hand or (known.state == State.TAKEN and known.addr == found.id):
        return None
    return Finding(found, Why.LEFT_OVER, certain=True)


def _verdict(found: Found, known: Known | None, busy: bool, there: Collection[tuple[str, str]]) -> Finding | None:
    if found.kind not in (SERVER, VOLUME):
        return None
    if known is None:
        # It may be another installation's that was given the same tags.
        return Finding(found, Why.UNKNOWN)
    if known.status == Status.DELETED:
        return Finding(found, Why.DELETED)
    if busy or known.owns(found):
        return None
    if known.status == Status.FAILED and not known.server:
        # A build was undone: no database has ever been on it, and a retry begins anew. But a database that was set back to
        # an old copy does not know of a retry that went well: later, an operator has to see for himself.
        return Finding(found, Why.LEFT_OVER, certain=known.just_failed)
    if known.status not in (*HOLDING, Status.FAILED):
        return None
    # Only beside the instance's own server is the other one surely unused. A volume may hold data: never by ourselves.
    held = known.status in HOLDING and (SERVER, known.server) in there
    return Finding(found, Why.DOUBLED, certain=held and found.kind == SERVER)
