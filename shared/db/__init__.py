"""Each service's own database: transactions, inbox, outbox, tasks, encrypted columns, migrations."""

from shared.db.engine import Database, Subscribe, Tx
from shared.db.types import Sealed, UtcDateTime

__all__ = ["Database", "Sealed", "Subscribe", "Tx", "UtcDateTime"]
