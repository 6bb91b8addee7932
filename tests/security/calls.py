"""Calls of every kind, as every role, against a DTrove that runs: `python -m tests.security.calls --calls 20000 --json`.

Schemathesis makes calls from the OpenAPI document, good ones and ones that break its rules; beside them go bodies that are no
JSON, headers that are no headers, and texts that a shell, SQL or a template would obey. None may come to a server error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import Case, GenerationMode, openapi
from schemathesis.schemas import APIOperation

from services.api.settings import OPEN_PATHS
from tests.security.cast import ROLES, Cast
from tests.security.judge import Judge
from tests.support.installation import Installation

# Nobody's limits but the code's own are tried here; tests/component/api/test_limits.py tries the others.
UNLIMITED = {
    f"DTROVE_{name}": "0" for name in ("RATE_PER_TOKEN", "RATE_PER_ADDRESS", "AT_ONCE_PER_TOKEN", "STREAMS_PER_TOKEN")
}
FAKE = {"DTROVE_PROVIDER": "fake", **UNLIMITED}
HOSTILE = (
    "' OR '1'='1", "\"; DROP TABLE clusters; --", "$(touch /tmp/x)", "`id`", "; reboot", "| cat /etc/passwd", "../../etc/passwd",
    "%00", "\r\nX-Evil: 1", "{{7*7}}", "${jndi:ldap://x}", "<script>alert(1)</script>", "\u202e", "\ufeff", "a" * 5000, "%s%n%x",
    "-1", "1e400", "NaN", "\U0001f4a3", "'; SELECT pg_sleep(10); --", "*", "\\", "\t", "null", "__class__", "[]", "0x41",
)  # fmt: skip
ROUGH = (
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"name": "' + b"a" * 300_000 + b'"}', b"[" * 20_000, b'{"a":' * 2000, b"0" * 5000,
    b'{"name": NaN}', b'{"name": "\\ud800"}', b'{"name": 1, "name": 2}', b"<x/>", b"name=x",
)  # fmt: skip
# What is there to be chosen, so that some wishes are granted.
REAL = {
    "datastore": "redis 7.0",
    "flavor": "small",
    "manager": "redis",
    "project": "default",
    "size": 1,
    "volume_gb": 1,
}
KINDS = (
    "application/json",
    "text/plain",
    "application/xml",
    "",
    "application/json; charset=utf-7",
    "multipart/form-data; boundary=x",
)
SECONDS = 60
STREAM = "text/event-stream"


@dataclass
class Storm:
    """Sends calls; a judge hears each answer. `seed` makes the same calls again, as far as the answers allow."""

    cast: Cast
    judge: Judge
    seed: int
    chance: Random = field(init=False)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    def blow(self, calls: int) -> None:
        """Make so many calls or a few more, spread over all operations and roles."""
        schema = openapi.from_dict(self.cast.installation.get("/v1/openapi.json"))
        operations = [found.ok() for found in schema.get_all_operations()]
        while (left := calls - self.judge.calls.total()) > 0:
            each = max(1, -(-left // (len(operations) * len(ROLES))))
            for operation in operations:
                for role in ROLES:
                    self._described(operation, role, each - each // 4)
                    self._rough(operation, role, each // 4)
                self.cast.stay()

    def _described(self, operation: APIOperation, role: str, count: int) -> None:
        good = (count + 1) // 2
        for mode, some in ((GenerationMode.POSITIVE, good), (GenerationMode.NEGATIVE, count - good)):
            if some and (
                mode is GenerationMode.POSITIVE or operation.body or operation.query or operation.path_parameters
            ):
                each_of(
                    operation.as_strategy(generation_mode=mode),
                    some,
                    self.chance.randrange(2**32),
                    lambda case: self._case(role, case),
                )

    def _case(self, role: str, case: Case) -> None:
        for name in case.path_parameters or {}:
            if (known := self.cast.ids.get(name)) and self.chance.random() < 0.6:
                case.path_parameters[name] = self.chance.choice(known)
        if isinstance(case.body, dict) and self.chance.random() < 0.5:
            case.body = case.body | {name: value for name, value in REAL.items() if name in case.body}
        told = case.as_transport_kwargs(base_url=self.cast.installation.url)
        told["headers"] = {**dict(told.get("headers") or {}), **self._authorization(role)}
        if not self.cast.tokens[role]:
            told["headers"].pop("Authorization", None)
        self._send(role, case.method, case.path, told, case)

    def _rough(self, operation: APIOperation, role: str, count: int) -> None:
        for _ in range(count):
            path = operation.path
            for name in operation.path_parameters or ():
                known = [*self.cast.ids.get(name.name, ()), *HOSTILE]
                path = path.replace(f"{{{name.name}}}", requests.utils.quote(self.chance.choice(known), safe=""))
            texts = {
                one: self.chance.choice(HOSTILE)
                for one in ("X-Request-ID", "Idempotency-Key", "Last-Event-ID", "X-Forwarded-For")
            }
            headers = {
                name: text.encode("utf-8", "replace")
                for name, text in texts.items()
                if "\n" not in text and text.strip() == text
            }
            headers |= {"Content-Type": self.chance.choice(KINDS), **self._authorization(role)}
            query = {self.chance.choice(("limit", "marker", "name", "plan", "x", "since")): self.chance.choice(HOSTILE)}
            told: dict[str, Any] = {"url": self.cast.installation.url + path, "headers": headers,
                                    "params": query if self.chance.random() < 0.5 else {}}  # fmt: skip
            if operation.method.upper() in ("POST", "PUT", "PATCH"):
                told["data"] = self._body(operation)
            self._send(role, operation.method, operation.path, told)

    def _body(self, operation: APIOperation) -> bytes:
        if self.chance.random() < 0.5:
            return self.chance.choice(ROUGH)
        schema = operation.body[0].optimized_schema if operation.body else {}
        fields = list(schema.get("properties", {})) if isinstance(schema, dict) else []
        values = (*HOSTILE, 0, -1, 1e308, True, None, [], {}, [list(HOSTILE)], {"a": {"b": []}})
        return json.dumps({name: self.chance.choice(values) for name in (*fields, "x")}).encode()

    def _authorization(self, role: str) -> dict[str, str]:
        token = self.cast.tokens[role]
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _send(self, role: str, method: str, path: str, told: dict[str, Any], case: Case | None = None) -> None:
        told.pop("method", None)
        try:
            answer = self.session.request(method.upper(), **told, stream=True, timeout=SECONDS, allow_redirects=False)
        except (ValueError, requests.exceptions.InvalidHeader, UnicodeError):
            # What the client's own library cannot send is no call.
            return
        with answer:
            streams = answer.headers.get("Content-Type", "").startswith(STREAM)
            text = "" if streams else answer.text
            asked = repr({name: told.get(name) for name in ("url", "params", "json", "data")})
            self.judge.owned |= self.cast.owned
            self.judge.hear(role, f"{method.upper()} {path}", answer, text, None if streams else case, asked)


def each_of(strategy: Any, count: int, number: int, act: Any) -> None:
    """Have `act` take so many examples. What it finds it keeps: an exception would have Hypothesis look for a smaller one."""

    @seeded(number)
    @settings(max_examples=count, database=None, phases=[Phase.generate], deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=strategy)
    def run(case: Case) -> None:
        act(case)

    run()


@contextmanager
def under_attack(home: Path, seed: int) -> Iterator[Storm]:
    """A DTrove with the provider `fake`, and who attacks it."""
    with Installation(home, **FAKE) as installation:
        cast = Cast(installation)
        cast.enter()
        secrets = frozenset(token for token in (*cast.tokens.values(), installation.token) if token)
        yield Storm(cast, Judge(secrets, frozenset(OPEN_PATHS)), seed)


def troubles(installation: Installation) -> list[str]:
    """What the services' logs say of faults of their own."""
    signs = (
        "Traceback (most recent call last)",
        "unexpected error",
        '"level": "critical"',
        "exited with",
        "was killed by",
    )
    found = []
    for log in sorted((installation.home / "logs").glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        found += [f"{log.name}: {line[:600]}" for line in lines if any(sign in line for sign in signs)]
    return found


def main() -> int:
    """Attack; 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dtrove-attacked-") as place,
        under_attack(Path(place), asked.seed) as storm,
    ):
        storm.blow(asked.calls)
        report = {"seed": asked.seed, **storm.judge.report(), "troubles": troubles(storm.cast.installation)[:20]}
    report["held"] = not report["wrong"] and not report["troubles"]
    sys.stdout.write(json.dumps(report, indent=None if asked.json else 1) + "\n")
    return 0 if report["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
