"""`dtrove control-plane`: DTrove's own state in one encrypted archive, and back."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from client import installation
from client.arguments import Json
from client.local.control_plane import marks
from client.terminal import age, err, print_json
from shared.errors import Invalid
from shared.secrets import Secret

app = typer.Typer(no_args_is_help=True)
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A file that begins with the passphrase in a line, or - for standard input.",
                 metavar="FILE"),
]  # fmt: skip
ONLINE = (
    "the services ran meanwhile: each database is of its own moment. What one had said and another had not heard yet is found out "
    "after a restore"
)
NEXT = (
    "nothing that was under way goes on, and no cluster is watched, until `dtrove control-plane resume`. First start DTrove (`dtrove up "
    "--detach`) and compare: `dtrove check`, `dtrove orphans list`, `dtrove operation list`"
)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A file that is not there yet, or a folder.", metavar="FILE|DIR")],
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            "-r",
            help="Who can open it: a public key of age's, or an OpenSSH one. May be repeated.",
            metavar="KEY",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    online: Annotated[bool, typer.Option("--online", help="Copy while the services run.")] = False,
    as_json: Json = False,
) -> None:
    """Put DTrove's own state into one encrypted archive: databases, keyring, first token, configuration.

    Run it where the services run, with their configuration. It is encrypted to --recipient, or to a passphrase, which it asks
    for; whoever opens it has everything. Backups of clusters are not part of it.
    """
    locking = _part("locking")
    lock = (
        locking.recipients(recipient) if recipient else locking.new_passphrase(_passphrase(passphrase_file, new=True))
    )
    made = _part("backing_up").back_up(_here(), target, lock, online)
    if as_json:
        print_json({"file": str(made.path), "bytes": made.bytes, **made.manifest.plain})
        return
    typer.echo(f"{made.path} has all of DTrove's own state, {made.bytes / 1024**2:.1f} MB")
    if online:
        err().print(ONLINE, markup=False, soft_wrap=True)


@app.command()
def restore(
    archive: Annotated[
        Path | None,
        typer.Argument(
            help="What `backup` has made; left out to go on with a restore that broke off.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    identity: Annotated[
        list[Path] | None,
        typer.Option(
            "--identity",
            "-i",
            help="A file with the private key, where it was encrypted to a public one.",
            metavar="FILE",
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where an installation is; that is put aside, not deleted.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Open it, compare all that can be, and change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make this installation that of an archive: all of it, or nothing. The services have to stand still.

    What was under way is held, and clusters are not watched, until `dtrove control-plane resume`: since the copy was made, they
    may have become others than DTrove now believes. An archive of an older release is brought up to date.
    """
    here = _here()
    restoring = _part("restoring")
    goes_on = marks.unfinished(here.home) is not None
    if archive is None and not goes_on:
        raise Invalid("no archive is named, and no restore broke off here", what_to_do="name the archive")
    key = None if goes_on else _key(identity, passphrase_file)
    if check:
        manifest = restoring.check(here, archive, key)
        print_json(manifest.plain) if as_json else typer.echo(
            f"{archive} is whole, and can be restored here. It {_origin(manifest)}"
        )
        return
    if goes_on:
        ours = "; the archive that was named is not looked at" if archive else ""
        err().print(f"a restore that broke off is brought to its end{ours}", markup=False, soft_wrap=True)
    done = restoring.restore(here, archive, key, force)
    if as_json:
        print_json({
            **done.manifest.plain, "held": {"tasks": done.waiting.tasks, "messages": done.waiting.messages}, "aside": done.aside,
            "configuration": str(done.configuration or ""),
        })  # fmt: skip
        return
    _tell(done)


@app.command()
def resume(as_json: Json = False) -> None:
    """Let go on what a restore has held: operations, messages, the watch of every cluster. Services may run."""
    waiting = _part("restoring").resume(_here())
    if as_json:
        print_json({"tasks": waiting.tasks, "messages": waiting.messages})
        return
    typer.echo(
        f"{_number(waiting.tasks, 'task')} and {_number(waiting.messages, 'message')} go on; clusters are watched again"
    )


def _tell(done: Any) -> None:
    typer.echo(f"restored: DTrove as it was {age(done.manifest.made_at)} ago. The archive {_origin(done.manifest)}")
    if done.configuration:
        typer.echo(f"the configuration of then lies in {done.configuration}; the one in use here is as it was")
    for path in done.aside:
        typer.echo(f"put aside: {path}")
    held = f"{_number(done.waiting.tasks, 'task')} and {_number(done.waiting.messages, 'message')} are held: "
    typer.echo(held + NEXT)


def _origin(manifest: Any) -> str:
    how = ", while the services ran" if manifest.online else ""
    return f"was made at {manifest.made_at} by DTrove {manifest.dtrove}{how}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _key(identity: list[Path] | None, passphrase_file: Path | None) -> Any:
    locking = _part("locking")
    return locking.identities(identity) if identity else locking.Passphrase(_passphrase(passphrase_file, new=False))


def _passphrase(file: Path | None, new: bool) -> Secret:
    """From a file, from standard input, or typed unseen: an argument could be read by everybody on this machine."""
    if file is None:
        return Secret(
            str(typer.prompt("Passphrase of the archive", hide_input=True, confirmation_prompt=new, err=True))
        )
    try:
        lines = (sys.stdin.read() if str(file) == "-" else file.read_text()).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"the passphrase cannot be read from {file}: {error}", what_to_do="name a file of one line"
        ) from error
    return Secret(lines[0] if lines else "")


def _here() -> Any:
    return _part("places").Installation.of(installation.home(), installation.config_file())


def _part(name: str) -> Any:
    """A module of client.local.control_plane, loaded when it is wanted: it brings databases and cryptography along."""
    return importlib.import_module(f"client.local.control_plane.{name}")
