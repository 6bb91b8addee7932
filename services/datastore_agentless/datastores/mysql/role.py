"""What a node is, as the file says that its server reads at each start: one that takes writes, or one that does not."""

from __future__ import annotations

# MariaDB reads its files by name: this one comes after zz-dtrove.cnf.
ROLE_FILE = "/etc/mysql/mariadb.conf.d/zzz-dtrove-role.cnf"
READ_ONLY = "# Written by DTrove.\n[mysqld]\nread_only = ON\n"
# Some weeks: a primary that waits for a replica does not stop to.
FOR_EVER_MS = 2**32 - 1


def primary(*, waits: bool, frozen: bool = False) -> str:
    """A primary's, whose commits wait for a replica or for none; a frozen one takes no writes, and forgets nothing else."""
    return (
        f"# Written by DTrove.\n[mysqld]\nrpl_semi_sync_master_enabled = {on_off(waits)}\n"
        f"rpl_semi_sync_master_timeout = {FOR_EVER_MS}\n" + ("read_only = ON\n" if frozen else "")
    )


def on_off(value: bool) -> str:
    """A truth as MariaDB writes it."""
    return "ON" if value else "OFF"
