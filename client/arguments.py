"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from client import completion

ClusterName = Annotated[str, typer.Argument(help="Name or id of a cluster.", metavar="CLUSTER",
                                            autocompletion=completion.clusters)]  # fmt: skip
InstanceName = Annotated[str, typer.Argument(help="Name or id of an instance.", metavar="INSTANCE",
                                             autocompletion=completion.instances)]  # fmt: skip
OperationName = Annotated[
    str,
    typer.Argument(
        help="Id of an operation; or a cluster, which means its latest operation.", metavar="OPERATION",
        autocompletion=completion.operations,
    ),
]  # fmt: skip
BackupName = Annotated[
    str,
    typer.Argument(
        help="Id of a backup; or a cluster, which means its newest one that is completed.", metavar="BACKUP",
        autocompletion=completion.backups_or_clusters,
    ),
]  # fmt: skip
ExportName = Annotated[
    str,
    typer.Argument(
        help="Id of an export; or a cluster, which means its newest one that is completed.", metavar="EXPORT",
        autocompletion=completion.exports_or_clusters,
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show each step until the end, on standard error.")]
Timeout = Annotated[
    float | None,
    typer.Option(help="With --wait: seconds until the command ends with 6; the operation goes on.", min=0.0),
]
Plan = Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
