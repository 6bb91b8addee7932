"""docker-compose.yml as it stands: RabbitMQ, PostgreSQL and the four services, replicas, a killed container, the end.

The two images that a registry would give are stand-ins made here, called like them, in an engine of the test's own.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.compose.engine import Engine, compose, run
from tests.support.installation import ENDED, ROOT, SERVICES, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dtrove" / "compose"


class Project:
    """The compose file, brought up under a name of its own."""

    name = "dtrove-test"

    def __init__(self, engine: Engine, image: str, place: Path) -> None:
        self.engine = engine
        self.environ = {**engine.environ, "DTROVE_IMAGE": image, "DTROVE_PORTS": "", "DTROVE_PROVIDER": "fake"}
        self.env_file = place / "env"
        names = ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "RABBITMQ_COOKIE")
        words = (f"{name}={secrets.token_hex(16)}\n" for name in names)
        self.env_file.write_text("".join(words))
        self.token = ""
        self.files = ["docker-compose.yml"]

    def compose(self, *arguments: str, timeout: float = 120) -> str:
        files = [word for name in self.files for word in ("--file", str(ROOT / name))]
        command = [compose(), "--env-file", str(self.env_file), "--project-name", self.name, *files, *arguments]
        return run(command, self.environ, timeout)

    def up(self, *arguments: str) -> None:
        self.compose("up", "--detach", "--no-build", *arguments)

    def container(self, service: str, number: int = 1) -> str:
        return f"{self.name}_{service}_{number}"

    def pid(self, service: str, number: int = 1) -> int:
        """The service's process, as this machine numbers it; 0 while the container does not run."""
        return int(self.engine.podman("inspect", "--format", "{{.State.Pid}}", self.container(service, number)))

    def ask(self, method: str, path: str, number: int = 1, **options: Any) -> requests.Response:
        """One request to a replica of the API."""
        address = self.engine.podman("port", self.container("api", number), "8780").strip()
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, f"http://{address}{path}", headers=headers, timeout=30, **options)

    def learn_token(self) -> None:
        """Ask as the first administrator from now on."""
        told = self.compose("exec", "-T", "api", "cat", "/var/lib/dtrove/client.json")
        self.token = json.loads(told)["token"]

    def running_nodes(self) -> int:
        """How many nodes of RabbitMQ the first one sees at work; 0 while it is too busy to say."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--formatter", "json", "cluster_status"]
        try:
            told = self.compose("exec", "-T", "--user", "rabbitmq", "rabbitmq", *command)
        except AssertionError:
            return 0
        # Before its answer it complains of how it was told the cookie.
        return len(json.loads(told[told.index("{") :])["running_nodes"])

    def becomes_ready(self, number: int = 1) -> None:
        """Wait until a replica of the API says that all it needs is there."""
        answers = [""]

        def ready() -> bool:
            try:
                answer = self.ask("GET", "/readyz", number)
            except requests.RequestException as error:
                answers.append(str(error))
                return False
            answers.append(answer.text)
            return answer.ok

        try:
            wait_for(ready, 150, 0.5, f"readiness of api {number}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {answers[-1]}\n{self.engine.logs()}") from None

    def becomes_active(self, name: str, number: int = 1) -> None:
        """Ask for a cluster and wait until it serves."""
        asked = self.ask("POST", "/v1/clusters", number, json={"name": name, "datastore": "pgsql 15"})
        assert asked.status_code == 202, asked.text
        where = asked.headers["Location"]

        shown: dict[str, Any] = {}

        def ended() -> bool:
            shown.update(self.ask("GET", where, number).json())
            return shown.get("status") in ENDED

        with suppress(AssertionError):
            wait_for(ended, 120, 0.2)
        assert shown["status"] == "succeeded", f"{name}: {json.dumps(shown, indent=1)}\n{self.engine.logs()}"
        cluster = self.ask("GET", f"/v1/clusters/{asked.json()['id']}", number).json()
        assert cluster["status"] == "active"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    engine = Engine(CACHE, Project.name)
    with engine.alone():
        made = Project(engine, engine.make_images(), tmp_path)
        yield made


def test_the_compose_file_serves_scales_survives_a_killed_service_and_leaves_nothing(project: Project) -> None:
    project.up("--scale", "api=2")
    for number in (1, 2):
        project.becomes_ready(number)
    project.learn_token()
    project.becomes_active("first")
    # What one replica took in, the other shows.
    assert [one["name"] for one in project.ask("GET", "/v1/clusters", 2).json()["clusters"]] == ["first"]

    for service in SERVICES:
        killed = project.pid(service)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda service=service, killed=killed: project.pid(service) not in (0, killed), 30, 0.2,
                 f"the restart of {service}")  # fmt: skip
    project.becomes_ready()
    project.becomes_active("second")

    project.up("--scale", "provisioner=2")
    wait_for(lambda: project.pid("provisioner", 2), 30, 0.2, "a second provisioner")
    project.becomes_active("third", 2)

    project.compose("down", "--volumes", "--remove-orphans")
    assert project.engine.left() == {"containers": [], "volumes": [], "networks": []}


def test_with_three_nodes_of_rabbitmq_the_death_of_one_stops_nothing(project: Project) -> None:
    project.files.append("docker-compose.cluster.yml")
    project.up()
    project.becomes_ready()
    project.learn_token()
    wait_for(lambda: project.running_nodes() == 3, 120, 1, "a broker of three nodes")
    project.becomes_active("first")
    project.engine.podman("stop", "--time", "0", project.container("rabbitmq-2"))
    project.becomes_active("second")
    wait_for(lambda: project.running_nodes() == 2, 60, 1, "a broker of two nodes")

    project.compose("down", "--volumes", "--remove-orphans")
    assert project.engine.left() == {"containers": [], "volumes": [], "networks": []}
