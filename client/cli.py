"""`dtrove`: the command line. It speaks HTTP to the API; only `init`, `up`, `down` and `status` touch this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from client import installation
from client.commands import clusters, local, things
from client.http import ApiError
from shared.errors import DtroveError

app = typer.Typer(help="Databases on any host that speaks SSH.", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(clusters.app, name="cluster", help="Make, look at and delete clusters.")
app.add_typer(clusters.instances, name="instance", help="Look at instances, run commands on them.")
app.add_typer(clusters.operations, name="operation", help="Watch, cancel, retry; what exactly ran.")
app.add_typer(things.datastores, name="datastore", help="What databases there are.")
app.add_typer(things.flavors, name="flavor", help="What sizes there are.")
app.add_typer(things.tokens, name="token", help="Who may come in.")
app.add_typer(things.projects, name="project", help="Whose things are whose.")
app.add_typer(things.events, name="event", help="What happens.")
local.register(app)


@app.command()
def secrets(action: Annotated[str, typer.Argument(help="rotate")] = "rotate") -> None:
    """Put a fresh key on top of the keyring; restart the services, and all that is stored from then on is sealed with it."""
    if action != "rotate":
        raise typer.BadParameter("the only action is `rotate`")
    count = installation.rotate(installation.home())
    typer.echo(f"the keyring holds {count} keys; run `dtrove down` and `dtrove up --detach` to use the new one")


def main() -> None:
    """Run the command line; errors are sentences, and exit codes say of which kind (see docs/guides/cli.md)."""
    console = Console(stderr=True)
    try:
        app()
    except ApiError as error:
        console.print(str(error), style="red", highlight=False, markup=False)
        sys.exit(error.exit_code)
    except DtroveError as error:
        stderr = getattr(error, "stderr", "")
        text = "\n".join(part for part in (error.message, stderr, error.what_to_do) if part)
        console.print(text, style="red", highlight=False, markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped watching; what runs goes on: `dtrove operation list`, `dtrove operation watch ID`")
        sys.exit(130)


if __name__ == "__main__":
    main()
