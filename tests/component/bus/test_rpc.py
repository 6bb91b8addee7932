"""RPC over a real broker: no request can hurt the service, no answer is waited for for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import kombu
import pytest

from client.rabbitmq import PrivateRabbit
from tests.component.bus.conftest import Stage
from tests.support.installation import wait_for


@pytest.fixture(scope="module")
def playing(rabbit: PrivateRabbit, module_stages: Callable[..., Stage]) -> Stage:
    """A stage that plays for the whole module."""
    made = module_stages(rabbit.uri)
    made.start()
    return made


def test_a_call_is_answered(playing: Stage) -> None:
    playing.ask("call", service=playing.name, method="echo", args=["a", "ü"])
    playing.noted("answer", answer=["a", "ü"])


def test_namekos_own_client_is_answered_as_well(playing: Stage) -> None:
    program = (
        "import sys; from nameko import config; config.setup({'AMQP_URI': sys.argv[1]});"
        "from nameko.standalone.rpc import ServiceRpcClient as Client\n"
        "with Client(sys.argv[2], timeout=10) as client: print(client.echo('from the shell'))"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, playing.uri, playing.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "['from the shell']"


def test_a_queue_of_requests_that_an_older_release_has_made_is_replaced(
    rabbit: PrivateRabbit, stages: Callable[..., Stage]
) -> None:
    stage = stages(rabbit.uri)
    exchange = kombu.Exchange("nameko-rpc", type="topic", durable=True)
    with stage.channel() as channel:
        kombu.Queue(f"rpc-{stage.name}", exchange, routing_key=f"{stage.name}.*", durable=True)(channel).declare()
    stage.start()
    stage.ask("call", service=stage.name, method="echo", args=["new"])
    stage.noted("answer", answer=["new"])


def test_an_error_of_the_other_side_comes_back_as_what_it_is(playing: Stage) -> None:
    playing.ask("call", service=playing.name, method="refuse")
    (refusal,) = playing.noted("refusal", kind="Conflict")
    assert (refusal["words"], refusal["doing"]) == ("it is taken", "take another")


def test_a_call_whose_reply_does_not_come_ends_at_its_timeout(playing: Stage) -> None:
    playing.ask("call", service=playing.name, method="sleep", args=[20], timeout=1.5)
    (refusal,) = playing.noted("refusal", kind="Unavailable", words=f"{playing.name} did not answer within 2 s")
    assert refusal["seconds"] >= 1.5


def test_a_call_to_a_service_that_is_not_there_says_so_and_waits_for_no_answer(playing: Stage) -> None:
    playing.ask("call", service="nobody", method="echo")
    playing.noted("refusal", doing="see whether the service nobody runs")


def test_an_answer_that_is_not_json_and_a_method_that_is_not_there_are_errors_of_the_call(playing: Stage) -> None:
    playing.ask("call", service=playing.name, method="unspeakable")
    playing.ask("call", service=playing.name, method="no_such_method")
    words = [one["words"] for one in playing.noted("refusal", count=2, doing="")]
    assert any("not JSON serializable" in one for one in words)
    assert any("no_such_method" in one for one in words)


def test_no_request_however_wrong_ends_the_service(playing: Stage) -> None:
    good = b'{"args": ["x"], "kwargs": {}}'
    wrong: list[tuple[str, bytes, dict[str, object]]] = [
        ("echo", good, {}),
        ("no_such_method", good, {}),
        ("echo", b"{not json", {}),
        ("echo", b"{not json", {"reply_to": "nowhere"}),
        ("echo", good, {"reply_to": "nowhere", "content_type": "application/x-unknown"}),
        ("echo", b"\x80pickle", {"reply_to": "nowhere", "content_type": "application/x-python-serialize"}),
        ("echo", b"[1, 2]", {"reply_to": "nowhere"}),
        ("echo", b'{"args": 5, "kwargs": []}', {"reply_to": "nowhere"}),
        ("echo", b'{"args": [], "kwargs": {"no": 1}}', {"reply_to": "nowhere", "correlation_id": "1"}),
        ("no_such_method", b"{}", {"reply_to": "nowhere"}),
    ]
    for method, body, options in wrong:
        playing.request(method, body, **options)
    playing.ask("call", service=playing.name, method="echo", args=["alive"])
    playing.noted("answer", answer=["alive"])
    wait_for(lambda: playing.depth(f"rpc-{playing.name}") == 0)
    assert playing.said("dropped an RPC request without reply_to")
    assert playing.processes[0].poll() is None
    assert len(playing.processes) == 1


def test_a_request_that_nobody_took_in_time_is_not_run_later(
    rabbit: PrivateRabbit, stages: Callable[..., Stage]
) -> None:
    stage, asker = stages(rabbit.uri), stages(rabbit.uri)
    first = stage.start()
    asker.start()
    first.terminate()
    first.wait(20)
    asker.ask("call", service=stage.name, method="sleep", args=[0], timeout=1)
    asker.noted("refusal")
    stage.start()
    asker.ask("call", service=stage.name, method="echo", args=["back"])
    asker.noted("answer", answer=["back"])
    assert not stage.notes("sleeping")
    assert json.dumps(stage.notes("slept")) == "[]"
