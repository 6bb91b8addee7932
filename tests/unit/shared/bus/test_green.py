"""Names are looked up as they are now, not as they were when somebody asked first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from eventlet.support import greendns

from shared.bus.green import ForgetfulResolver

DNS = greendns.dns
LASTING = 86400


class NameServer:
    """Knows one name once it is told to; all that it says is good for a day."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.known = False

    def answer(self, query: Any, where: str, *_: Any, **__: Any) -> Any:
        self.asked.append(where)
        response = DNS.message.make_response(query)
        question = query.question[0]
        if self.known and question.rdtype == DNS.rdatatype.A:
            response.answer.append(DNS.rrset.from_text(question.name, LASTING, "IN", "A", "10.0.0.7"))
        else:
            response.set_rcode(DNS.rcode.NXDOMAIN)
            authority = "ns.example. root.example. 1 60 60 60 86400"
            response.authority.append(DNS.rrset.from_text("example.", LASTING, "IN", "SOA", authority))
        return DNS.message.from_wire(response.to_wire())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    made = NameServer()
    monkeypatch.setattr(DNS.query, "udp", made.answer)
    return made


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 10.0.0.1\n")
    return path


def look_up(resolver: Any) -> list[str]:
    try:
        return [str(one) for one in resolver.query("node.example")]
    except DNS.resolver.NXDOMAIN:
        return []


def test_a_name_that_was_unknown_is_found_as_soon_as_it_is_known(server: NameServer, configuration: Path) -> None:
    resolver = ForgetfulResolver(filename=str(configuration))
    assert look_up(resolver) == []
    server.known = True
    assert look_up(resolver) == ["10.0.0.7"]


def test_a_name_that_went_is_gone_at_once(server: NameServer, configuration: Path) -> None:
    resolver = ForgetfulResolver(filename=str(configuration))
    server.known = True
    assert look_up(resolver) == ["10.0.0.7"]
    server.known = False
    assert look_up(resolver) == []


def test_another_name_server_is_asked_once_it_is_configured(server: NameServer, configuration: Path) -> None:
    resolver = ForgetfulResolver(filename=str(configuration))
    server.known = True
    look_up(resolver)
    configuration.write_text("nameserver 10.0.0.2\n")
    look_up(resolver)
    assert server.asked == ["10.0.0.1", "10.0.0.2"]
