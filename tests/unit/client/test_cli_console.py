"""`dtrove console`: a link that signs a browser in."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import requests

from tests.unit.client.conftest import Done
from tests.unit.client.world import TOKEN, World

Dtrove = Callable[..., Done]


def test_the_link_is_alone_on_standard_output_and_its_code_is_exchanged_once(world: World, dtrove: Dtrove) -> None:
    done = dtrove("console")
    assert done.code == 0
    (line,) = done.out.splitlines()
    parts = urlsplit(line)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{world.url}/sign-in"
    assert TOKEN not in line
    headers = {"Authorization": f"Bearer {parse_qs(parts.query)['code'][0]}"}
    answers = [requests.post(f"{world.url}/v1/session", headers=headers, timeout=10).status_code for _ in range(2)]
    assert answers == [201, 401]


def test_with_json_it_says_until_when_the_link_is_good(world: World, dtrove: Dtrove) -> None:
    shown = dtrove("console", "--json").json
    assert set(shown) == {"url", "expires_at"}
    assert shown["url"].startswith(f"{world.url}/sign-in?code=dts_")
