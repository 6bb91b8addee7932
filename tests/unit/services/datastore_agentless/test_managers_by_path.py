"""Whatever an administrator names as a manager, the service that looks for it lives on."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.datastore_agentless.datastores import manager_class
from shared.errors import Failure


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise SystemExit(3)", "3"),
        ("1 / 0", "division by zero"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("class Manager: pass", "is no datastore manager"),
        ("Manager = 7", "is no datastore manager"),
    ],
)
def test_a_module_that_fails_at_its_import_is_refused_like_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    name = f"stranger_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Failure) as caught:
        manager_class(f"{name}.Manager")
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["", ".", "..x", "os.system", "a b", "x" * 5000, "services.x.Y", "\u202e.x", "os."])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Failure):
        manager_class(name)
