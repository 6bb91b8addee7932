"""What was last seen of the whole of DTrove, as gauges for Prometheus: a scrape asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from services.api.domain.checks import judge
from services.api.domain.seen import Seen
from shared.health import STATUSES


def gauges(seen: Seen, seconds_ago: float) -> Iterator[Metric]:
    """Every family; those of services that did not answer have no sample of them."""
    yield _family("seen_seconds_ago", "how long ago all that follows was seen", (), [((), seconds_ago)])
    yield _family("check", "each check: 0 ok, 1 a warning, 2 failed", ("check",),
                  [((one.name,), STATUSES.index(one.status)) for one in judge(seen)])  # fmt: skip
    up = [(("rabbitmq",), not seen.broker)]
    up += [((name,), answer.state is not None) for name, answer in seen.services.items()]
    yield _family("up", "whether it answers", ("service",), up)
    yield _family("stuck_operations", "operations that are open, and silent for long", (), [((), len(seen.stuck))])
    yield from _of_services(seen)
    yield from _of_provisioner(seen)


def _of_services(seen: Seen) -> Iterator[Metric]:
    states = {state.service: state for state in seen.states}
    yield _family("outbox_depth", "messages that wait for the broker", ("service",),
                  [((name,), one.outbox.messages) for name, one in states.items()])  # fmt: skip
    yield _family("outbox_oldest_seconds", "how long the oldest of them has waited", ("service",),
                  [((name,), one.outbox.oldest_seconds) for name, one in states.items()])  # fmt: skip
    sealed = {name: one.secrets for name, one in states.items() if one.secrets is not None}
    yield _family("secrets", "stored secrets", ("service",), [((name,), one.total) for name, one in sealed.items()])
    yield _family("secrets_sealed_by_old_keys", "those that an old key has sealed", ("service",),
                  [((name,), one.old) for name, one in sealed.items()])  # fmt: skip
    yield _family("secrets_unreadable", "those that no key opens", ("service",),
                  [((name,), one.unreadable) for name, one in sealed.items()])  # fmt: skip
    yield _family("keyring_readable", "whether the keyring can be read", ("service",),
                  [((name,), not one.keyring) for name, one in states.items() if one.has_keyring])  # fmt: skip
    yield _family("migrations_pending", "whether the database has another version than the code", ("service",),
                  [((name,), one.revision.database != one.revision.code) for name, one in states.items()
                   if one.revision is not None])  # fmt: skip
    yield _family("disk_free_bytes", "room where it keeps its files", ("service",),
                  [((name,), one.disk.free_bytes) for name, one in states.items() if one.disk is not None])  # fmt: skip
    clocks = [((name, "service"), answer.ahead) for name, answer in seen.services.items() if answer.state is not None]
    clocks += [
        ((name, "database"), one.database_ahead) for name, one in states.items() if one.database_ahead is not None
    ]
    clocks += [(("hosts", "host"), one.hosts.worst_seconds) for one in states.values()
               if one.hosts is not None and one.hosts.known]  # fmt: skip
    yield _family("clock_ahead_seconds", "how far ahead a clock is: a service's of the API's, a database's of its service's, "
                  "the worst host's of the controller's", ("of", "kind"), clocks)  # fmt: skip


def _of_provisioner(seen: Seen) -> Iterator[Metric]:
    state = seen.state_of("provisioner")
    if state is None:
        return
    if state.provider is not None:
        yield _family("provider_answers", "whether the provider answered when it was last asked", ("provider",),
                      [((state.provider.name,), state.provider.answers)])  # fmt: skip
        yield _family("provider_calls", "calls to the cloud since the provisioner that was asked has started", ("provider",),
                      [((state.provider.name,), state.provider.calls)])  # fmt: skip
    yield _family("orphans", "things at the provider that belong to nobody, and servers that are gone", ("why",),
                  [((why,), number) for why, number in (state.orphans or {}).items()])  # fmt: skip


def _family(name: str, words: str, labels: Iterable[str], samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(f"dtrove_{name}", words, labels=list(labels))
    for values, number in samples:
        family.add_metric(list(values), float(number))
    return family
