"""`dtrove orphans`: what the provider holds and the database knows nothing of."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from client.arguments import Json, Timeout, Yes
from client.exits import Exit
from client.http import Api, ApiError
from client.terminal import Column, age, err, print_json, show_list

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("why"), Column("kind"), Column("id"), Column("age"), Column("removal"), Column("message", cut=True))
LOOK_SECONDS = 0.5
UNDER_WAY, GONE = "under_way", "gone"


@app.command("list")
def list_orphans(as_json: Json = False) -> None:
    """Servers and volumes that belong to nobody here, and servers that are gone. Needs an administrator's token.

    unknown: no instance here has ever had its tag, it may be another installation's. doubled: a second one of a live
    instance. left_over: of a build that was undone. deleted: of a deleted instance. gone: a live instance's server that
    the provider does not have any more.
    """
    _show(_all(Api()), as_json)


@app.command()
def clean(
    ids: Annotated[
        list[str] | None, typer.Argument(help="What the provider calls them.", metavar="[ID...]", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that can be removed.")] = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they are gone.")] = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Remove servers and volumes that belong to nobody here, for good. It asks before it does.

    With --wait it ends with 1 where one could not be removed.
    """
    api = Api()
    chosen = _chosen(_all(api), ids or [], everything)
    if not chosen:
        print_json([]) if as_json else err().print("nothing is to be removed")
        return
    if not yes:
        for one in chosen:
            err().print(f"{one['why']}: {one['message']}", markup=False, soft_wrap=True)
        typer.confirm(
            f"Remove {'this' if len(chosen) == 1 else f'these {len(chosen)}'} for good?", abort=True, err=True
        )
    filed, _ = api.send("POST", "/v1/orphans/clean", {"ids": [one["id"] for one in chosen]})
    left = _wait(api, {one["id"] for one in chosen}, timeout) if wait else filed["orphans"]
    if as_json:
        print_json(left)
    elif not wait:
        err().print("on the way; `dtrove orphans list` shows what is left")
    if wait and left:
        for one in left:
            err().print(one["message"], style="red", markup=False, soft_wrap=True)
        raise typer.Exit(Exit.FAILED)


def _all(api: Api) -> list[dict[str, Any]]:
    return api.all("/v1/orphans", "orphans")


def _chosen(found: list[dict[str, Any]], ids: list[str], everything: bool) -> list[dict[str, Any]]:
    """Those that were named. Raises ApiError (2, 3)."""
    if everything == bool(ids):
        raise ApiError("name what is to go by its id, or say --all", Exit.REFUSED)
    if everything:
        return [one for one in found if one["why"] != GONE]
    known = {one["id"] for one in found}
    if missing := [one for one in ids if one not in known]:
        raise ApiError(f"there is no orphan {', '.join(missing)}; `dtrove orphans list` shows what there is",
                       Exit.NOT_FOUND)  # fmt: skip
    return [one for one in found if one["id"] in ids]


def _wait(api: Api, ids: set[str], timeout: float | None) -> list[dict[str, Any]]:
    """Wait until none of these is under way; what is left of them. Raises Exit (6)."""
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = [one for one in _all(api) if one["id"] in ids]
        if not any(one["removal"] == UNDER_WAY for one in left):
            return left
        if until is not None and time.monotonic() > until:
            err().print("they are still being removed; `dtrove orphans list` shows how far that is")
            raise typer.Exit(Exit.TIMEOUT)
        time.sleep(LOOK_SECONDS)


def _show(found: list[dict[str, Any]], as_json: bool) -> None:
    rows = found if as_json else [one | {"age": age(one["found_at"])} for one in found]
    show_list(rows, as_json, COLUMNS, "the provider holds what the database says, and nothing else")
