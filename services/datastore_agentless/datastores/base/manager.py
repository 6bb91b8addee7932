"""The base of every datastore manager. Managers yield commands; they never run them.

Each method that works on a host is a generator of commands (see hosts.base). It is find-or-do: after a crash it runs
again from its top, and what is done already changes nothing and restarts nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote as quote_url

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from services.datastore_agentless.datastores.base import fitness, packages, scripts
from services.datastore_agentless.datastores.base.accounts import AccountKeeper
from services.datastore_agentless.datastores.base.archiving import Archiving
from services.datastore_agentless.datastores.base.counting import Counting
from services.datastore_agentless.datastores.base.dumping import Dumping
from services.datastore_agentless.datastores.base.exporting import Exporting
from services.datastore_agentless.datastores.base.importing import Importing
from services.datastore_agentless.datastores.base.parameters import Parameters
from services.datastore_agentless.datastores.base.proving import Proving
from services.datastore_agentless.datastores.base.replaying import Replaying
from services.datastore_agentless.datastores.base.tallying import Tallying
from services.datastore_agentless.datastores.base.topology import Topology
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import ANY_CODE, CommandFailed, Job, Phase, Put, Result, Run, Script, quote
from shared.clock import Clock, SystemClock
from shared.errors import Failure, Unsupported

# Source: systemd.unit(5). Where nothing is mounted by fstab there, it says nothing.
_AFTER_VOLUME = """# Written by DTrove.
[Unit]
RequiresMountsFor="{place}"
"""


class BaseManager:
    """Subclass it and override what your database does differently.

    `service_name` is the init system's name of the service, `port` where the database listens, `process` the name of its
    process, by which a start or a stop is believed. `config_template` is the file in the folder `templates` beside your
    module that `render_config_file` fills. `min_ram_mb` is the least memory that it is offered for. `topology_class` says how
    several nodes work together; without one its clusters have one node. `parameters_class` says how its parameters are changed;
    without one they are as the template has them.
    """

    service_name: str | None = None
    process: str = ""
    port: int = 0
    url_scheme: str = ""
    url_database: str = ""
    admin_user: str = "dtrove"
    min_ram_mb: int = 256
    config_template: str = ""
    topology_class: type[Topology] | None = None
    parameters_class: type[Parameters] | None = None
    # Who keeps databases and users; None: that is left to the database's own client.
    accounts_class: type[AccountKeeper] | None = None
    # How its data become a backup, and data again; None: `backup` alone says.
    dumping_class: type[Dumping] | None = None
    # How its data become what its own tools read; None: it has no exports.
    exporting_class: type[Exporting] | None = None
    # How such a stream comes into a cluster that serves; None: by the database's own client alone.
    importing_class: type[Importing] | None = None
    # What is asked of data that were restored; None: that the engine begins on them is all that is proved.
    proving_class: type[Proving] | None = None
    # What is counted beside a backup, and held against restored data; None: nothing is.
    tallying_class: type[Tallying] | None = None
    # How its log is kept, piece by piece; None: its data are kept as backups have them, and not at the moments between.
    archiving_class: type[Archiving] | None = None
    # How restored data take that log up to a moment; None: they are what a backup has.
    replaying_class: type[Replaying] | None = None
    # What a client of it says first, to see whether it greets: empty where the server begins; None: nobody knows.
    hello: bytes | None = None
    clock: Clock = SystemClock()

    def __init__(self, datastore: Datastore) -> None:
        self.datastore = datastore

    @property
    def name(self) -> str:
        """The manager's name: the class's, lower case, without `Manager` (MySQLManager is `mysql`)."""
        return type(self).__name__.removesuffix("Manager").lower()

    def data_path(self, instance: Instance) -> str:
        """Where the data lies."""
        return instance.data_dir or "/var/lib"

    def log_path(self, instance: Instance) -> str:
        """The file that the database writes its log to; empty where that is not known."""
        return ""

    @property
    def topology(self) -> Topology | None:
        """How several nodes work together; None: its clusters have one."""
        return self.topology_class(self) if self.topology_class else None

    @property
    def parameters(self) -> Parameters | None:
        """How its parameters are looked up and changed; None: nobody changes them."""
        return self.parameters_class(self) if self.parameters_class else None

    @property
    def accounts(self) -> AccountKeeper | None:
        """Who keeps databases and users; None: nobody does."""
        return self.accounts_class(self) if self.accounts_class else None

    @property
    def dumping(self) -> Dumping | None:
        """How its data become one stream, and data again; None: its own `backup` is all there is."""
        return self.dumping_class(self) if self.dumping_class else None

    @property
    def full_only(self) -> str:
        """Why it makes no incremental backups, as the end of a sentence about the datastore; empty: it does."""
        return (
            self.dumping.full_only
            if self.dumping
            else "has no incremental backups: its manager's own `backup` says what is made"
        )

    @property
    def exporting(self) -> Exporting | None:
        """How its data become what others read; None: nobody knows."""
        return self.exporting_class(self) if self.exporting_class else None

    @property
    def importing(self) -> Importing | None:
        """How what others read becomes its data; None: nobody knows."""
        return self.importing_class(self) if self.importing_class else None

    @property
    def proving(self) -> Proving | None:
        """How restored data are seen to be whole; None: nobody knows."""
        return self.proving_class(self) if self.proving_class else None

    @property
    def tallying(self) -> Tallying | None:
        """How what a backup has is counted; None: nobody knows."""
        return self.tallying_class(self) if self.tallying_class else None

    @property
    def archiving(self) -> Archiving | None:
        """How its log comes to lie where DTrove fetches it; None: nobody does."""
        return self.archiving_class(self) if self.archiving_class else None

    @property
    def replaying(self) -> Replaying | None:
        """How restored data take its log; None: nobody knows."""
        return self.replaying_class(self) if self.replaying_class else None

    @property
    def counting(self) -> Counting | None:
        """How the engine is asked for its numbers; None: nobody knows."""
        return None

    def preflight(self, instance: Instance) -> Script:
        """Look whether the host is fit, before anything is changed; returns how far ahead its clock is, in seconds.

        Raises Failure with a plain sentence.
        """
        needs = fitness.Needs(self.datastore.packages, self.port, scripts.process_name(self.process), self.min_ram_mb,
                              instance.data_dir)  # fmt: skip
        looked = yield Run(fitness.facts(needs), title="look at the host", changes=False, timeout=180,
                           sample=fitness.FIT)  # fmt: skip
        needs = replace(needs, now=self.clock.now().timestamp())
        found = fitness.read(looked.stdout)
        for sentence, remedy in fitness.objections(found, needs):
            raise Failure(f"{instance.name} is not fit: {sentence}", what_to_do=remedy)
        return fitness.clock_offset(found, needs)

    def prepare(self, instance: Instance) -> Script:
        """Install and configure the datastore on the instance, start it, and set the administrator's login."""
        yield Phase("installing packages", 5)
        yield from self.install(instance)
        yield Phase("writing the configuration", 70)
        changed = yield from self.configure(instance)
        yield from self.wait_for_volume(instance)
        yield Phase("starting the database", 80)
        yield from (self.restart() if changed else self.start())
        yield Phase("setting the administrator's login", 90)
        if changed or not (yield from self.admits(instance)):
            yield from self.secure(instance)

    def install(self, instance: Instance) -> Script:
        """Install the datastore's packages, with nothing started before it is configured."""
        yield from self.install_packages(instance, self.datastore.packages)

    def install_packages(self, instance: Instance, wanted: Sequence[str]) -> Script:
        """Install these, where one of them is missing; nothing is started."""
        if not wanted:
            return
        there = yield Run(packages.installed(wanted), title="see what is installed", ok_codes=(0, 1), changes=False)
        if there.code == 0 and there.text == "yes":
            return
        try:
            yield Job(f"install-{wanted[0]}", packages.install(wanted), title=f"install {' '.join(wanted)}",
                      timeout=1200 + packages.LOCK_SECONDS, progress=packages.progress)  # fmt: skip
        except CommandFailed as error:
            sentence, remedy = packages.remedy(error.stderr, instance.name, wanted)
            raise CommandFailed(
                sentence, code=error.code, command=error.command, stderr=error.stderr, what_to_do=remedy
            ) from error

    def configure(self, instance: Instance) -> Script:
        """Write the configuration; returns whether anything changed that wants a restart."""
        yield from ()
        return False

    def write_configuration(self, instance: Instance) -> Script:
        """Write the file that holds the parameters, and nothing else; returns whether it changed."""
        yield from ()
        return False

    def wait_for_volume(self, instance: Instance) -> Script:
        """Have systemd start the service at boot only once its volume is mounted: without it, it would begin anew."""
        if not (self.service_name and instance.data_dir):
            return
        unit = yield Put(f"/etc/systemd/system/{self.service_name}.service.d/dtrove-volume.conf",
                         _AFTER_VOLUME.format(place=instance.data_dir.replace("%", "%%")),
                         title=f"let {self.service_name} wait for its volume")  # fmt: skip
        if unit.changed:
            yield Run(scripts.READ_UNITS, title="read the units again")

    def secure(self, instance: Instance) -> Script:
        """Shut every door that needs no password, then make the administrator: in this order, for a crash between the two."""
        yield from ()

    def question(self, instance: Instance) -> Run | None:
        """The command that logs in as the administrator over the network address and asks for the version; None: no such."""
        return None

    def answered_version(self, answer: Result) -> str:
        """The version in the answer to `question`."""
        return answer.text

    def admits(self, instance: Instance) -> Script:
        """Whether the administrator's login works already: then nothing is left to be done about it."""
        question = self.question(instance)
        if question is None:
            return False
        answer = yield replace(question, title="see whether the login works", ok_codes=ANY_CODE)
        return bool(answer.code == 0 and self.answered_version(answer).startswith(self.datastore.version))

    def verify(self, instance: Instance) -> Script:
        """Prove that the database answers on its address, with its login, in the right version."""
        yield from self.wait_for_port()
        question = self.question(instance)
        if question is None:
            return
        version = self.answered_version((yield question))
        if not version.startswith(self.datastore.version):
            raise Failure(f"{instance.name} runs {self.name} {version[:100]}, not {self.datastore.version}",
                          what_to_do="mend the datastore's packages or version")  # fmt: skip

    def backup(self, instance: Instance) -> Script:
        """Perform a backup on the remote instance."""
        yield from ()
        raise Unsupported(
            f"the manager {self.name} makes no backups",
            what_to_do="override `backup`, or name a `dumping_class`, in a manager of your own",
        )

    def render_config_file(self, instance: Instance) -> str:
        """Load and render the config file for this datastore; a version's own template goes before the general one.

        Templates lie in `templates` beside the class's module, a version's own in a folder with the version's name; a
        subclass inherits those of its parents. The filter `one_line` refuses a value with a line break, `shell` quotes one
        for sh. Raises Failure where there is no template.
        """
        environment = Environment(  # noqa: S701 - configuration files are no HTML
            loader=FileSystemLoader(self._template_places()), undefined=StrictUndefined, keep_trailing_newline=True,
            trim_blocks=True,
        )  # fmt: skip
        environment.filters.update(one_line=one_line, shell=quote)
        try:
            template = environment.get_template(self.config_template)
        except TemplateNotFound as error:
            raise Failure(f"the manager {self.name} has no template {self.config_template!r}",
                          what_to_do="put it into the folder `templates` beside the manager's module") from error  # fmt: skip
        parameters = {**self.datastore.default_parameters, **instance.parameters}
        return template.render(instance=instance, datastore=self.datastore, manager=self, parameters=parameters)

    def _template_places(self) -> list[str]:
        lineage = [one for one in type(self).__mro__ if issubclass(one, BaseManager)]
        folders = [Path(inspect.getfile(one)).parent / "templates" for one in lineage]
        return [str(place) for folder in folders for place in (folder / self.datastore.version, folder)]

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
        running = yield Run(scripts.alive(self.process), title=f"see whether {self.name} runs", changes=False)
        if running.text == "yes":
            yield from self.stop()
        yield from self.start()

    def at_boot(self, starts: bool) -> Script:
        """Have the init system start the datastore when the host boots, or leave that to DTrove."""
        if self.service_name:
            title = f"start {self.service_name} at boot" if starts else f"leave {self.service_name} alone at boot"
            yield Run(scripts.at_boot(self.service_name, starts), title=title)

    def wait_for_port(self) -> Script:
        """Wait until the database listens."""
        if self.port:
            yield Run(
                scripts.listening(self.port, self.process), title=f"see that port {self.port} answers", timeout=90,
                changes=False,
            )  # fmt: skip

    def url(self, host: str, port: int, user: str, password: str = "") -> str:
        """The URL of the database, with a password only where one is given."""
        login = quote_url(user, safe="") + (f":{quote_url(password, safe='')}" if password else "")
        where = f"[{host}]" if ":" in host else host
        return f"{self.url_scheme}://{login}@{where}:{port}/{self.url_database}"


def one_line(value: object) -> str:
    """A value as it may stand in a configuration file. Raises Failure for one that would begin a line of its own."""
    text = str(value)
    if any(sign in text for sign in "\n\r\0"):
        raise Failure(
            f"a parameter's value may not hold a line break: {text[:40]!r}", what_to_do="correct the parameter"
        )
    return text
