"""`dtrove secrets`: the keys that seal what is stored."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import installation
from client.arguments import Json
from client.exits import Exit
from client.http import Api, ApiError
from client.terminal import print_json
from shared.errors import Failure
from shared.secrets import Keyring, new_key, read_keyring, write_keyring

app = typer.Typer(no_args_is_help=True)
# Each call seals a bounded number of secrets anew; more than this many calls means that it gets nowhere.
MAX_ROUNDS = 10_000


@app.callback()
def secrets() -> None:
    """The keys that seal what is stored."""


@app.command()
def rotate(
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Then forget the old keys. Old copies of the databases need them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a new key and seal every stored secret with it; the services go on meanwhile.

    Run it where the keyring file is. Needs an administrator's token.
    """
    api = Api()
    # Whoever may not go on to the end is refused before anything is changed.
    api.get("/v1/tokens", limit=1)
    path = installation.keyring_file(installation.home())
    ring = Keyring((new_key(), *read_keyring(path).keys))
    write_keyring(path, ring)
    counts = _reseal(api, ring)
    kept = ring
    if drop_old:
        kept = Keyring(ring.keys[:1])
        write_keyring(path, kept)
    if as_json:
        print_json({"resealed": counts, "keys": len(kept.keys)})
        return
    for service, count in counts.items():
        typer.echo(f"{service}: {count} secret{'' if count == 1 else 's'} sealed with the new key")
    typer.echo(f"the keyring {path} holds {len(kept.keys)} key{'' if len(kept.keys) == 1 else 's'}")
    if not drop_old:
        typer.echo("the old keys stay until `dtrove secrets rotate --drop-old`")


def _reseal(api: Api, ring: Keyring) -> dict[str, int]:
    counts: dict[str, int] = {}
    try:
        for _ in range(MAX_ROUNDS):
            answer = api.send("POST", "/v1/secrets/reseal")[0]
            _check(answer["services"], ring)
            for service, state in answer["services"].items():
                counts[service] = counts.get(service, 0) + state["resealed"]
            if not any(state["left"] for state in answer["services"].values()):
                return counts
    except ApiError as error:
        raise ApiError(
            f"{error}\nthe new key is in use for what is stored from now on, and the old ones are still there; run "
            "`dtrove secrets rotate` again", error.exit_code,
        ) from error  # fmt: skip
    raise Failure("secrets are stored faster than they can be sealed anew", what_to_do="try again at a quieter time")


def _check(services: dict[str, Any], ring: Keyring) -> None:
    """No key may be dropped while a service does not know the new one. Raises ApiError."""
    behind = [name for name, state in services.items() if state["key"] != ring.newest]
    if behind:
        raise ApiError(
            f"{', '.join(behind)} does not read this keyring file: give it the new one (DTROVE_KEYRING)", Exit.FAILED
        )
