"""How data change places on a node: those that serve are set aside beside the others, on the same disk, and can come back.

Each set of data has a name of its own beside the place of those that serve: `<data>.restored` came from a backup, `<data>.former` was
there before, `<data>.undone` is what gives way to that again. Names change by renaming, so that at any moment each of them is whole
and has one name; who comes later sees by the names what is done. What lies beside the data, or elsewhere, and belongs to them goes
inside the folder for as long as they are set aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.hosts.base import Phase, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.dumping import Dumping
    from services.datastore_agentless.domain.instance import Instance

RESTORED, FORMER, UNDONE = "restored", "former", "undone"
# What goes inside the folder of data that are set aside.
KEPT = "dtrove-kept"
DROP_SECONDS = 3600.0


class Aside:
    """The places of one engine's data. Scripts are find-or-do, as a manager's; nothing here starts the engine but `serve`."""

    def __init__(self, dumping: Dumping) -> None:
        self.dumping = dumping
        self.manager = dumping.manager

    def lies_there(self, node: Instance) -> Script:
        """Whether data that were set aside lie beside those that serve; returns a bool."""
        told = yield Run(f"[ -e {self._data(node)}.{FORMER} ] && echo yes || echo no", changes=False, sample="no\n",
                         title="see whether data were set aside")  # fmt: skip
        return told.text == "yes"

    def exchange(self, node: Instance, *, comes: str, goes: str) -> Script:
        """Stop the engine, and have the data called `comes` take the place of those that serve, which are called `goes` from then on.

        Nothing changes places where none have that name: then it is done, or was never begun.
        """
        where = self._where(node, comes=comes, goes=goes)
        yield Phase("putting the data in their place")
        yield Run(_MEND.format(**where), title="end what was cut off", timeout=120)
        yield from self.manager.stop()
        yield Run(_KEEP.format(**where), title="keep what belongs to the data", timeout=120)
        if comes == RESTORED:
            yield from self.dumping.stopped(node)
        yield Run(_EXCHANGE.format(**where), title=f"exchange the data for those that are {comes}", timeout=120)

    def serve(self, node: Instance, *, fresh: bool = False) -> Script:
        """Start the engine on the data that are in their place, which with `fresh` came from a backup, and set the administrator's login."""
        yield Phase("starting the database")
        yield from self.manager.start()
        if fresh:
            yield from self.dumping.started(node)
        yield from self.manager.secure(node)

    def drop(self, node: Instance, *names: str) -> Script:
        """Keep nothing that has one of these names, which may end in a star."""
        data = self._data(node)
        places = " ".join(f"{data}.{name}" for name in names)
        yield Run(
            f'rm -rf {places} && sync -f "$(dirname {data})"',
            title="remove the data that were beside",
            timeout=DROP_SECONDS,
        )

    def _data(self, node: Instance) -> str:
        return quote(self.manager.data_path(node))

    def _where(self, node: Instance, *, comes: str, goes: str) -> dict[str, str]:
        data = self._data(node)
        beside = [(f"{data}.{name}", name) for name in self.dumping.beside]
        outside = [(quote(path), path.rpartition("/")[2]) for path in self.dumping.outside]
        into = f"{data}/{KEPT}"
        moves = [
            f"[ ! -e {path} ] || [ -e {into}.{name} ] || mv {path} {into}.{name} || exit 1\n" for path, name in beside
        ]
        copies = [
            f'[ ! -e {path} ] || [ -e {into}.{name} ] || {{ cp -p {path} {into}.new && mv {into}.new {into}.{name}; }} || exit 1\n'
            for path, name in outside
        ]  # fmt: skip
        back = [
            f"[ ! -e {into}.{name} ] || {{ rm -rf {path}; mv {into}.{name} {path}; }} || exit 1\n"
            for path, name in beside
        ]
        back += [
            f'[ ! -e {into}.{name} ] || {{ cp -p {into}.{name} {path}.new && mv {path}.new {path} && rm {into}.{name}; }} || exit 1\n'
            for path, name in outside
        ]  # fmt: skip
        return {"data": data, "comes": comes, "goes": goes, "gone": scripts.gone(self.manager.process),
                "keep": "".join([*moves, *copies]), "back": "".join(back)}  # fmt: skip


# Between two renamings no engine runs, and none can be asked to stop.
_MEND = "[ -d {data} ] || [ ! -d {data}.{comes} ] || mv -T {data}.{comes} {data}"

# Only while there is something to come: what is kept of data belongs to those that were there then.
_KEEP = """if [ -d {data}.{comes} ] && [ -d {data} ] && [ ! -e {data}.{goes} ]; then
{keep}sync -f {data}
fi"""

# An engine that somebody has started meanwhile would go on with the data that it has open.
_EXCHANGE = """{{ {gone}; }} || exit 1
if [ -d {data}.{comes} ]; then
  [ ! -d {data} ] || [ -e {data}.{goes} ] || mv {data} {data}.{goes} || exit 1
  mv -T {data}.{comes} {data} || exit 1
fi
[ -d {data} ] || {{ echo 'there are no data in their place' >&2; exit 1; }}
{back}sync -f {data}"""
