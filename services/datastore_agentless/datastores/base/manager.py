"""The base of every datastore manager. Managers yield commands; they never run them.

Each method that works on a host is a generator of commands (see hosts.base). It is find-or-do: after a crash it runs
again from its top, and what is done already changes nothing and restarts nothing.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from urllib.parse import quote as quote_url

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Job, Phase, Run, Script, quote
from shared.errors import Failure, Unsupported

# dpkg's own bound, in seconds, on waiting for whoever holds its lock.
LOCK_SECONDS = 300
DISK_MB_NEEDED = 500


class BaseManager:
    """Subclass it and override what your database does differently.

    `service_name` is the init system's name of the service, `port` where the database listens, `process` the name of its
    process, by which a start or a stop is believed. `config_path` is the file that `render_config_file` fills.
    """

    service_name: str | None = None
    process: str = ""
    port: int = 0
    url_scheme: str = ""
    url_database: str = ""
    admin_user: str = "dtrove"
    min_ram_mb: int = 256
    config_template: str = ""

    def __init__(self, datastore: Datastore) -> None:
        self.datastore = datastore

    @property
    def name(self) -> str:
        """The manager's name: the class's, lower case, without `Manager` (MySQLManager is `mysql`)."""
        return type(self).__name__.removesuffix("Manager").lower()

    def preflight(self, instance: Instance) -> Script:
        """Look whether the host is fit, before anything is changed. Raises Failure with a plain sentence."""
        packages = " ".join(quote(package) for package in self.datastore.packages)
        looked = yield Run(
            scripts.FACTS.format(packages=packages, port=self.port, process=quote(self.process or "none"),
                                 directory=quote(instance.data_dir or "/var/lib")),
            title="look at the host", changes=False, timeout=120, sample=scripts.FIT,
        )  # fmt: skip
        facts = dict(line.split("=", 1) for line in looked.stdout.splitlines() if "=" in line)
        yield Phase("judging what was found")
        for sentence, remedy in scripts.objections(facts, DISK_MB_NEEDED, self.port):
            raise Failure(f"{instance.name} is not fit: {sentence}", what_to_do=remedy)

    def prepare(self, instance: Instance) -> Script:
        """Install and configure the datastore on the instance, start it, and set the administrator's login."""
        yield Phase("installing packages", 5)
        yield from self.install(instance)
        yield Phase("writing the configuration", 70)
        changed = yield from self.configure(instance)
        yield Phase("starting the database", 80)
        yield from (self.restart() if changed else self.start())
        yield Phase("setting the administrator's login", 90)
        yield from self.secure(instance)

    def install(self, instance: Instance) -> Script:
        """Install the datastore's packages, with nothing started before it is configured."""
        packages = " ".join(quote(package) for package in self.datastore.packages)
        if not packages:
            return
        there = yield Run(scripts.INSTALLED.format(packages=packages), title="see what is installed",
                          ok_codes=(0, 1), changes=False)  # fmt: skip
        if there.code == 0 and there.text == "yes":
            return
        try:
            yield Job(
                f"install-{self.name}", scripts.INSTALL.format(packages=packages, lock=LOCK_SECONDS),
                title=f"install {packages}", timeout=1200,
            )  # fmt: skip
        except CommandFailed as error:
            raise CommandFailed(
                f"{packages} could not be installed on {instance.name}",
                code=error.code,
                command=error.command,
                stderr=error.stderr,
                what_to_do="see whether the package's name is right and the host reaches its package source; then retry",
            ) from error

    def configure(self, instance: Instance) -> Script:
        """Write the configuration; returns whether anything changed that wants a restart."""
        yield from ()
        return False

    def secure(self, instance: Instance) -> Script:
        """Set the administrator's login and shut every other door."""
        yield from ()

    def verify(self, instance: Instance) -> Script:
        """Prove that the database answers on its address, with its login, in the right version."""
        yield from self.wait_for_port()

    def backup(self, instance: Instance) -> Script:
        """Perform a backup on the remote instance."""
        yield from ()
        raise Unsupported(
            f"the manager {self.name} makes no backups yet",
            what_to_do="override `backup` in a manager of your own, or wait for the data protection release",
        )

    def render_config_file(self, instance: Instance) -> str:
        """Load and render the config file for this datastore; a version's own template goes before the general one."""
        folder = Path(inspect.getfile(type(self))).parent / "templates"
        places = [str(folder / self.datastore.version), str(folder)]
        environment = Environment(  # noqa: S701 - configuration files are no HTML
            loader=FileSystemLoader(places), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
        )
        template = environment.get_template(self.config_template)
        parameters = {**self.datastore.default_parameters, **instance.parameters}
        return template.render(instance=instance, datastore=self.datastore, manager=self, parameters=parameters)

    def start(self) -> Script:
        """Start the datastore, where it does not run."""
        if self.service_name:
            yield Run(scripts.service("start", self.service_name), title=f"start {self.service_name}", timeout=120)
            yield from self.wait_for_port()

    def stop(self) -> Script:
        """Stop the datastore; believed when its process is gone, not before."""
        if self.service_name:
            yield Run(scripts.service("stop", self.service_name), title=f"stop {self.service_name}", timeout=120)
            yield Run(scripts.gone(self.process), title=f"see that {self.service_name} is gone", timeout=60)

    def restart(self) -> Script:
        """Restart the datastore, or start it where it is stopped."""
        yield from self.stop()
        yield from self.start()

    def wait_for_port(self) -> Script:
        """Wait until the database listens."""
        if self.port:
            yield Run(
                scripts.listening(self.port), title=f"see that port {self.port} answers", timeout=90, changes=False
            )

    def url(self, host: str, port: int, user: str, password: str = "") -> str:
        """The URL of the database, with a password only where one is given."""
        login = quote_url(user, safe="") + (f":{quote_url(password, safe='')}" if password else "")
        return f"{self.url_scheme}://{login}@{host}:{port}/{self.url_database}"
