"""One installation with the local provider for all end-to-end tests: real hosts, real databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.golden import gild
from tests.support.installation import Installation


@pytest.fixture(scope="package")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """DTrove as `dtrove up` starts it, with the local provider."""
    with Installation(tmp_path_factory.mktemp("e2e")) as made:
        gild(made)
        yield made
