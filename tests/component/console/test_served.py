"""The console behind the server that DTrove runs, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.support.browser import found
from tests.support.served import MEMBER, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served"))
    yield made
    made.stop()


@pytest.fixture
def browser(served: Served) -> requests.Session:
    """Somebody who has signed in by a link."""
    link = served.ask("POST", "/v1/session", json={"once": True}).json()["token"]
    session = requests.Session()
    session.headers["Accept"] = "text/html"
    page = session.get(f"{served.url}/sign-in", params={"code": link})
    csrf = found(r'name="csrf" value="([^"]+)"', page.text)
    done = session.post(f"{served.url}/sign-in", data={"csrf": csrf, "code": link})
    assert (done.status_code, done.url) == (200, f"{served.url}/")
    assert MEMBER not in str(session.cookies.get_dict())
    return session


def test_pages_and_the_api_are_at_one_address(served: Served, browser: requests.Session) -> None:
    assert "Create a cluster" in browser.get(f"{served.url}/").text
    assert browser.get(f"{served.url}/static/htmx.min.js").headers["Content-Type"].startswith("text/javascript")
    assert served.ask("GET", "/v1/clusters").json()["clusters"] == []
    assert browser.get(f"{served.url}/v1/clusters").status_code == 401


def test_a_browser_is_told_of_each_step_as_it_happens_and_of_the_end(served: Served, browser: requests.Session) -> None:
    made = served.ask("POST", "/v1/clusters", json={"name": "live", "datastore": "pgsql 15"})
    cluster, operation = made.json()["id"], made.headers["Location"].rpartition("/")[2]
    with browser.get(f"{served.url}/operations/{operation}/live", stream=True, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        until(lines, "event: operation")
        for number in range(3):
            served.tell(kind="OperationProgressed", operation_id=operation, cluster_id=cluster, service="provisioner",
                        step=f"step-{number}", status="running", sequence=number + 1, host="n-1")  # fmt: skip
            until(lines, f"<strong>step-{number}</strong>")
        served.tell(kind="ClusterDeleted", cluster_id=cluster, operation_id=ended(served, cluster))
        until(lines, "event: over")


def ended(served: Served, cluster: str) -> str:
    """The operation of a deletion, which cancels what runs."""
    answer = served.ask("DELETE", f"/v1/clusters/{cluster}")
    return answer.headers["Location"].rpartition("/")[2]


def until(lines: Iterator[str], words: str) -> None:
    """Read on until a line has these words."""
    for line in lines:
        if words in line:
            return
    raise AssertionError(f"the stream has ended before {words!r}")
