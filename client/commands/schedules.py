"""`dtrove schedule`: when clusters are backed up, and for how long that is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from client import names
from client.arguments import ClusterName, Json, Yes
from client.http import Api
from client.terminal import Column, ahead, print_json, show, show_list

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("cron"), Column("timezone"), Column("kind"), Column("kept"), Column("next"), Column("last run", "last", cut=True),
           Column("id"))  # fmt: skip
ScheduleName = Annotated[
    str,
    typer.Argument(
        help="Id of a schedule, or how it begins; may be left out where there is one.", metavar="[SCHEDULE]"
    ),
]
Cron = Annotated[str, typer.Option(help="Minute, hour, day of the month, month, day of the week; as in `30 3 * * *`.")]
Timezone = Annotated[str | None, typer.Option(help="Whose clocks that speaks of, as in Europe/Berlin; UTC without it.")]
Kind = Annotated[
    str | None, typer.Option(help="full, or incremental: what has changed, and a full one every --full-days.")
]
FullDays = Annotated[
    int | None,
    typer.Option(
        "--full-days", help="Of an incremental schedule: make a full one every so many days; 7 without it.", min=1
    ),
]
Store = Annotated[str | None, typer.Option(help="Where backups go; '' is where they usually go.")]
Count = Annotated[
    int | None, typer.Option("--keep-count", help="Keep so many of the last ones; 0 for no such number.", min=0)
]
Days = Annotated[
    int | None, typer.Option("--keep-days", help="Keep each for so many days; 0 for no such number.", min=0)
]

VerifyDays = Annotated[
    int | None,
    typer.Option("--verify-days", help="Prove the newest backup by a restore every so many days; 0 for never.", min=0),
]


@app.command("list")
def list_schedules(cluster: ClusterName, as_json: Json = False) -> None:
    """When a cluster is backed up next, by the schedule's own clocks, and what became of it last."""
    api = Api()
    found = api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}/schedules")["schedules"]
    rows = found if as_json else [{**one, **_words(one)} for one in found]
    show_list(rows, as_json, COLUMNS, "there are no schedules: nothing of this cluster is backed up by itself")


@app.command()
def create(
    cluster: ClusterName,
    cron: Cron,
    timezone: Timezone = None,
    kind: Kind = None,
    full_days: FullDays = None,
    store: Store = None,
    keep_count: Count = None,
    keep_days: Days = None,
    verify_days: VerifyDays = None,
    as_json: Json = False,
) -> None:
    """Have a cluster backed up at times that recur; without --keep-count and --keep-days each is kept for a week."""
    api = Api()
    body = {
        "cron": cron,
        **_changes(timezone=timezone, kind=kind, full_days=full_days, store=store),
        **_retention({}, keep_count, keep_days),
        **_proofs(verify_days),
    }
    _show(api.send("POST", f"/v1/clusters/{names.cluster(api, cluster)['id']}/schedules", body)[0], as_json)


@app.command("show")
def show_schedule(cluster: ClusterName, schedule: ScheduleName = "", as_json: Json = False) -> None:
    """One schedule, its next five times, and its last run."""
    _show(names.schedule(Api(), cluster, schedule), as_json)


@app.command()
def update(
    cluster: ClusterName,
    schedule: ScheduleName = "",
    cron: Annotated[str | None, typer.Option(help="Other times, as in `30 3 * * *`.")] = None,
    timezone: Timezone = None,
    kind: Kind = None,
    full_days: FullDays = None,
    store: Store = None,
    keep_count: Count = None,
    keep_days: Days = None,
    verify_days: VerifyDays = None,
    as_json: Json = False,
) -> None:
    """Change what is named; the rest stays as it is."""
    api = Api()
    found = names.schedule(api, cluster, schedule)
    changes = _changes(cron=cron, timezone=timezone, kind=kind, full_days=full_days, store=store)
    changes |= _retention(found["retention"], keep_count, keep_days) | _proofs(verify_days)
    if not changes:
        raise typer.BadParameter(
            "say what to change: --cron, --timezone, --kind, --full-days, --store, --keep-count, --keep-days or --verify-days"
        )
    _show(_send(api, "PATCH", found, changes), as_json)


@app.command()
def pause(cluster: ClusterName, schedule: ScheduleName = "", as_json: Json = False) -> None:
    """Make no more backups by it until it is resumed; what was made is kept for as long as it says."""
    api = Api()
    _show(_send(api, "PATCH", names.schedule(api, cluster, schedule), {"enabled": False}), as_json)


@app.command()
def resume(cluster: ClusterName, schedule: ScheduleName = "", as_json: Json = False) -> None:
    """Go on from its next time; what it has missed is not made up for."""
    api = Api()
    _show(_send(api, "PATCH", names.schedule(api, cluster, schedule), {"enabled": True}), as_json)


@app.command()
def delete(cluster: ClusterName, schedule: ScheduleName = "", yes: Yes = False, as_json: Json = False) -> None:
    """Remove it; what it has made is kept for as many days as it said, or for 30."""
    api = Api()
    found = names.schedule(api, cluster, schedule)
    if not yes:
        typer.confirm(f"Delete the schedule {found['cron']} ({found['timezone']})?", abort=True, err=True)
    _send(api, "DELETE", found)
    if as_json:
        print_json({"id": found["id"], "deleted": True})


def _send(api: Api, method: str, schedule: dict[str, Any], body: dict[str, Any] | None = None) -> Any:
    return api.send(method, f"/v1/clusters/{schedule['cluster']}/schedules/{schedule['id']}", body)[0]


def _changes(**given: str | int | None) -> dict[str, str | int]:
    return {name: value for name, value in given.items() if value is not None}


def _retention(before: dict[str, Any], count: int | None, days: int | None) -> dict[str, Any]:
    """The numbers that were named, 0 for none, beside those that stay."""
    given = {name: value or None for name, value in (("count", count), ("days", days)) if value is not None}
    return {"retention": {**before, **given}} if given else {}


def _proofs(days: int | None) -> dict[str, Any]:
    return {} if days is None else {"verify_days": days or None}


def _show(schedule: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(schedule)
        return
    times = [f"{_local(one, schedule)} ({ahead(one)})" for one in schedule["next_times"]]
    run = schedule["last_run"]
    told = {
        name: value
        for name, value in schedule.items()
        if name not in ("retention", "enabled", "next_times", "last_run", "full_days")
    }
    if schedule["kind"] != "full":
        told["kind"] += f", a full one every {schedule['full_days']} days"
    show(told | {"kept": _kept(schedule), "next times": times or ["paused"], "last run": run and {
        "due": _local(run["due_at"], schedule), **{name: run[name] for name in ("outcome", "message", "backup", "operation")}
    }}, as_json)  # fmt: skip


def _words(schedule: dict[str, Any]) -> dict[str, str]:
    """What the table says of it."""
    first, run = (schedule["next_times"] or [None])[0], schedule["last_run"]
    return {
        "kept": _kept(schedule),
        "next": f"{_local(first, schedule)}, {ahead(first)}" if first else "paused",
        "last": f"{_local(run['due_at'], schedule)} {run['outcome']} {run['message']}".strip() if run else "",
    }


def _kept(schedule: dict[str, Any]) -> str:
    count, days = schedule["retention"]["count"], schedule["retention"]["days"]
    words = [f"the last {count}"] if count else []
    words += [f"those of {days} days"] if days else []
    return ", and ".join(words) or "for ever"


def _local(moment: str, schedule: dict[str, Any]) -> str:
    """A moment as clocks show it in the schedule's zone, and in UTC where this machine does not know the zone."""
    at = datetime.fromisoformat(moment)
    try:
        return f"{at.astimezone(ZoneInfo(schedule['timezone'])):%a %Y-%m-%d %H:%M %Z}"
    except (ValueError, OSError, KeyError):
        return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"
