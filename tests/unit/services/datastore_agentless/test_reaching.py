"""Whether the stores of backups answer, as it was seen last."""

from __future__ import annotations

from services.datastore_agentless.backup_stores.reaching import Reaching
from tests.support.keeping import MemoryStore, MemoryStores


def test_a_store_that_does_not_answer_is_told_by_its_name_until_it_does() -> None:
    near, far = MemoryStore("near"), MemoryStore("far")
    far.away = True
    reaching = Reaching(MemoryStores(near, far))
    assert reaching.troubles == {}
    reaching.look()
    assert reaching.troubles == {"near": "", "far": "the store far does not answer"}
    far.away = False
    reaching.look()
    assert reaching.troubles == {"near": "", "far": ""}
