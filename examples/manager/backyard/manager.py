"""MyBackyardDB: a database of one table, and the manager that makes, starts, stops and backs it up.

The database itself is the program `backyardd` beside this file. A manager yields commands and is sent the result of each;
it never runs them, so it needs no SSH, and its plan can be shown before anything happens.
"""

from __future__ import annotations

from pathlib import Path

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Put, Run, Script

HERE = Path(__file__).parent
PROGRAM, CONFIG, BACKUP = "/usr/local/sbin/backyardd", "/etc/backyard.conf", "/usr/local/sbin/my_backup.sh"


class MyBackyardDBManager(BaseManager):
    """No packages and no init system: two files and a process."""

    process = "backyardd"
    url_scheme = "backyard"
    min_ram_mb = 64
    config_template = "backyard.conf.j2"

    @property
    def name(self) -> str:
        """Without this it would be `mybackyarddb`, by the class's name."""
        return "backyard"

    def home(self, instance: Instance) -> str:
        """Where the table lies: on the volume, where there is one."""
        return f"{instance.data_dir or '/var/lib'}/backyard"

    def install(self, instance: Instance) -> Script:
        """Put the program and the backup's script in their places."""
        yield Put(PROGRAM, (HERE / "backyardd").read_text(), mode=0o755, title="put the program in its place")
        yield Put(BACKUP, (HERE / "my_backup.sh").read_text(), mode=0o755, title="put the backup script in its place")

    def configure(self, instance: Instance) -> Script:
        """Write the configuration; returns whether that wants a restart."""
        written = yield Put(CONFIG, self.render_config_file(instance), title="write backyard.conf")
        return written.changed

    def start(self) -> Script:
        """Start the program, where it does not run."""
        alive = yield Run(scripts.alive(self.process), title="see whether backyardd runs", changes=False)
        if alive.text != "yes":
            yield Run(f"setsid {PROGRAM} {CONFIG} </dev/null >/run/backyardd.log 2>&1 &", title="start backyardd")

    def stop(self) -> Script:
        """End the program, and wait until it is gone."""
        yield Run("kill $(cat /run/backyardd.pid)", title="stop backyardd", ok_codes=(0, 1))
        yield Run(scripts.gone(self.process), title="see that backyardd is gone", timeout=60)

    def verify(self, instance: Instance) -> Script:
        """Write a row, and see it in the table."""
        wait = "n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.05"
        yield Run(
            f". {CONFIG}; n=0; until [ -p $home/in ]; do {wait}; done; echo hello > $home/in; "
            f"until grep -qx hello $home/rows; do {wait}; done",
            title="write a row and read it", changes=False,
        )  # fmt: skip

    def backup(self, instance: Instance) -> Script:
        """Perform a backup on the remote instance: a job, which goes on when the connection drops."""
        yield Job("backup", f"/bin/bash {BACKUP} {CONFIG}", title="back up the table")
