"""`dtrove`: the command line. It speaks HTTP to the API.

Only init, up, down, status, config, control-plane, and the keyring of `secrets rotate` are this machine's.
"""

from __future__ import annotations

import sys

import typer

from client.commands import (
    access,
    accounts,
    audit,
    backups,
    catalogue,
    check,
    clusters,
    config,
    console,
    control_plane,
    demo,
    events,
    exports,
    imports,
    instances,
    local,
    operations,
    orphans,
    parameter_groups,
    parameters,
    parked,
    restores,
    rolls,
    schedules,
    secrets,
)
from client.exits import MEANINGS, Exit
from client.http import ApiError
from client.terminal import err
from shared.config import ConfigInvalid
from shared.errors import DtroveError

EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items()) + "."

app = typer.Typer(
    help="Databases on any host that speaks SSH. Things are named by name or id.", epilog=EPILOG, no_args_is_help=True,
    pretty_exceptions_enable=False,
)  # fmt: skip
local.register(app)
config.register(app)
demo.register(app)
console.register(app)
check.register(app)
audit.register(app)
rolls.register(clusters.app)
restores.register(clusters.app)
parameters.register(clusters.app, catalogue.datastores)
app.add_typer(clusters.app, name="cluster", help="Make, look at, change and delete clusters.")
clusters.app.add_typer(accounts.root, name="root", help="Let the superuser log in, or no more.")
app.add_typer(backups.app, name="backup", help="Make, look at, prove, delete and restore backups.")
app.add_typer(exports.app, name="export", help="Have data in a form that the engine's own tools read, and download it.")
app.add_typer(imports.app, name="import", help="Have what an export holds in a cluster that serves.")
app.add_typer(accounts.databases, name="database", help="A cluster's databases.")
app.add_typer(accounts.users, name="user", help="A cluster's users, their passwords, and what they may.")
app.add_typer(schedules.app, name="schedule", help="When a cluster is backed up, and for how long that is kept.")
app.add_typer(instances.app, name="instance", help="Look at instances, run commands on them, log in.")
app.add_typer(operations.app, name="operation", help="Watch, cancel, retry; what exactly ran.")
app.add_typer(catalogue.datastores, name="datastore", help="What databases there are.")
app.add_typer(
    parameter_groups.app, name="parameter-group", help="Parameters under a name, which several clusters share."
)
app.add_typer(catalogue.flavors, name="flavor", help="What sizes there are.")
app.add_typer(events.app, name="event")
app.add_typer(access.tokens, name="token", help="Who may come in.")
app.add_typer(access.projects, name="project", help="Whose things are whose.")
app.add_typer(parked.app, name="parked", help="Messages that no service could take in.")
app.add_typer(
    orphans.app, name="orphans", help="What the provider holds and nobody here knows of, and what it has lost."
)
app.add_typer(secrets.app, name="secrets")
app.add_typer(control_plane.app, name="control-plane", help="DTrove's own state in one encrypted archive, and back.")


def main() -> None:
    """Run the command line; errors are sentences, and exit codes say of which kind."""
    try:
        app()
    except ApiError as error:
        sys.exit(_say(str(error), error.exit_code))
    except ConfigInvalid as error:
        sys.exit(_say(f"{error.message}\n{error.what_to_do}", Exit.CONFIGURATION))
    except DtroveError as error:
        stderr = getattr(error, "stderr", "")
        sys.exit(_say("\n".join(filter(None, (error.message, stderr, error.what_to_do))), Exit.FAILED))


def _say(text: str, code: int) -> int:
    err().print(text, style="red", markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    main()
