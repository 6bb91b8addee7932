"""Ask DTrove for a cluster over RabbitMQ and wait until it is active. Plain AMQP: kombu is all that this needs.

    AMQP_URI=amqp://... DTROVE_TOKEN=... python request_cluster.py NAME [DATASTORE] [FLAVOR]

Prints one line of JSON. Ends with 0 when the cluster is active, with 1 when it failed, and with 2 when no answer came
within DTROVE_SECONDS (600): a wish that DTrove refused shows, with its reason, in `dtrove parked list`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from kombu import Connection, Consumer, Exchange, Producer, Queue

# Passive: DTrove makes its exchanges, and a client that looks in the wrong place should be told.
WISHES = Exchange("external.events", type="topic", passive=True)
ANSWERS = Exchange("datastore_agentless.events", type="topic", passive=True)


def main() -> int:
    """Ask, wait, say what came of it."""
    parser = argparse.ArgumentParser(description="Ask DTrove for a cluster over RabbitMQ.")
    parser.add_argument("name")
    parser.add_argument("datastore", nargs="?", default="pgsql 15")
    parser.add_argument("flavor", nargs="?", default="small")
    asked = parser.parse_args()
    # The id is ours to choose: every event about the cluster bears it, so the answer is known when it comes.
    cluster_id = str(uuid4())
    wish = {
        "event_id": str(uuid4()),
        "occurred_at": datetime.now(UTC).isoformat(),
        "token": os.environ["DTROVE_TOKEN"],
        "cluster_id": cluster_id,
        # The same as the body of POST /v1/clusters.
        "cluster": {"name": asked.name, "datastore": asked.datastore, "flavor": asked.flavor, "size": 1},
    }
    with Connection(os.environ["AMQP_URI"], transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        # Listen before asking, or the answer may be gone before we do. The queue is ours alone and ends with us.
        queue = Queue("", ANSWERS, routing_key="cluster.active", exclusive=True)(channel)
        queue.declare()
        queue.bind_to(ANSWERS, routing_key="cluster.failed")
        publish(channel, "cluster.requested", wish)
        print(f"asked for {asked.name} as {cluster_id}", file=sys.stderr)
        answer = wait(connection, queue, cluster_id, float(os.environ.get("DTROVE_SECONDS", "600")))
    return report(cluster_id, answer)


def publish(channel: Any, topic: str, body: dict[str, Any]) -> None:
    """Send a wish; returns when the broker has it on disk. Raises RuntimeError where nobody would get it."""
    returned: list[Any] = []
    producer = Producer(channel, WISHES, on_return=lambda *details: returned.append(details))
    producer.publish(body, serializer="json", routing_key=topic, delivery_mode="persistent", mandatory=True)
    if returned:
        raise RuntimeError("nobody listens on external.events: does DTrove run?")


def wait(connection: Connection, queue: Queue, cluster_id: str, seconds: float) -> dict[str, Any] | None:
    """The first event about our cluster, or None when `seconds` have passed."""
    ours: list[dict[str, Any]] = []

    def hear(body: dict[str, Any], _message: Any) -> None:
        if body["cluster_id"] == cluster_id:
            ours.append(body)

    until = time.monotonic() + seconds
    with Consumer(queue.channel, [queue], no_ack=True, auto_declare=False, callbacks=[hear], accept=["json"]):
        while not ours and time.monotonic() < until:
            try:
                connection.drain_events(timeout=1)
            except TimeoutError:
                continue
    return ours[0] if ours else None


def report(cluster_id: str, answer: dict[str, Any] | None) -> int:
    """Print what came of the wish; returns the exit code."""
    if answer is None:
        print("no answer; was the wish refused? `dtrove parked list` says so", file=sys.stderr)
        return 2
    if "problem" in answer:
        print(json.dumps({"cluster": cluster_id, "status": "failed", "reason": answer["problem"]["message"]}))
        return 1
    print(json.dumps({"cluster": cluster_id, "status": "active", "url": answer["endpoint"]["url"]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
