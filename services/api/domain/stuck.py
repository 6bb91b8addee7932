"""Says of operations that are stuck where each one is, who works on it, and what can be done."""

from __future__ import annotations

from services.api.domain.seen import Seen, Stuck
from shared.contracts.state import OpenTask

SHOWN = 20
_RETRY = "`dtrove operation show ID` has its steps, `dtrove operation transcript ID` what ran"
_STOP = "`dtrove operation cancel ID` stops it and undoes it, `dtrove cluster delete NAME` works in any state"


def stuck_operations(seen: Seen) -> tuple[tuple[str, ...], str]:
    """A sentence for each of the first few, and what to do."""
    lines = [_line(one, seen) for one in seen.stuck[:SHOWN]]
    if len(seen.stuck) > SHOWN:
        lines.append(f"and {len(seen.stuck) - SHOWN} more")
    return tuple(lines), f"{_RETRY}; {_STOP}"


def _line(one: Stuck, seen: Seen) -> str:
    where = f"step {one.step}" + (f" on {one.host}" if one.host else "") if one.step else "before its first step"
    words = f" ({one.message})" if one.message else ""
    return f"{one.kind} {one.id} of {one.cluster}: {where}{words}, silent for {one.seconds:.0f} s; {_work(one, seen)}"


def _work(one: Stuck, seen: Seen) -> str:
    """Who is at it, as far as the services say."""
    held = [(state.service, task) for state in seen.states for task in state.tasks if task.operation_id == one.id]
    if held:
        # One that nobody works on says more than one that is in good hands.
        service, task = min(held, key=lambda each: each[1].worked_on)
        return _of_task(service, task, seen)
    silent = sorted(name for name, answer in seen.services.items() if answer.state is None)
    if silent:
        return f"{' and '.join(silent)} cannot be asked for its work"
    return "no service has work filed for it: what was said of it is parked or on its way"


def _of_task(service: str, task: OpenTask, seen: Seen) -> str:
    step = task.step or "its first step"
    if task.worked_on:
        return f"{service} works on {step}, and has said nothing since: look at the host"
    if task.due_at > seen.at:
        wait = (task.due_at - seen.at).total_seconds()
        return f"{service} tries {step} again in {wait:.0f} s" + (f": {task.message}" if task.message else "")
    return f"{service} has {step} filed, and nobody takes it: it is busy, or hangs (its log says more)"
