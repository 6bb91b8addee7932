"""How far an operation is, as one number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

# Steps of an operation whose like has never run here: every one weighs the same.
FIRST_GUESS = {"create_cluster": 11, "delete_cluster": 2, "add_nodes": 5, "remove_node": 1, "backup": 5, "delete_backup": 2,
               "verify_backup": 12, "export": 5, "delete_export": 2, "import": 5, "perform": 1, "start_cluster": 2, "stop_cluster": 1,
               "restart_cluster": 4, "resize_cluster": 3,
               "restore_cluster": 6, "undo_restore": 6, "confirm_restore": 1}  # fmt: skip


def first_weights(kind: str, size: int) -> dict[str, float]:
    """Weights by step before anything was learnt."""
    return {f"unknown {number}": 1.0 for number in range(FIRST_GUESS.get(kind, 0) * max(size, 1))}


def percent(status: str, steps: Sequence[tuple[str, str, int | None]], weights: Mapping[str, float]) -> int | None:
    """Percent of the whole, or None where nothing is known of its length.

    `steps` are (name, status, percent of the step); `weights` the seconds that each name took in an earlier operation,
    over all hosts. A step that is new weighs what the others weigh on the average.
    """
    if status == "succeeded":
        return 100
    if not weights:
        return None
    average = sum(weights.values()) / len(weights)
    hosts = Counter(name for name, _, _ in steps)
    seen = [(weights.get(name, average * hosts[name]) / hosts[name], state, part) for name, state, part in steps]
    done = sum(weight * (1.0 if state == "succeeded" else (part or 0) / 100) for weight, state, part in seen)
    whole = max(sum(weights.values()), sum(weight for weight, _, _ in seen))
    return min(99, int(100 * done / whole)) if whole > 0 else None
