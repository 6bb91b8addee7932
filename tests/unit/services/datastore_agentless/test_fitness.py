"""What speaks against a host, in plain sentences; what apt says while it works."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.datastore_agentless.datastores.base import fitness, packages
from services.datastore_agentless.hosts.base import Progress

NEEDS = fitness.Needs(["postgresql-15"], 5432, "postgres", 512, "/data", now=1_000_000.0)
FIT = fitness.read(fitness.FIT) | {"clock": "1000002"}


def objections(**found: str) -> list[str]:
    return [sentence for sentence, remedy in fitness.objections(FIT | found, NEEDS) if remedy]


def test_a_fit_host_has_none() -> None:
    assert objections() == []


@pytest.mark.parametrize(("name", "value", "sentence"), [
    ("uid", "1000", "commands do not run as root"),
    ("apt", "none", "it has no apt (debian 12)"),
    ("root_mb", "100", "only 100 MB are free on /var/lib, 600 are needed"),
    ("data_mb", "50", "only 50 MB are free on /data, 200 are needed"),
    ("memory_mb", "256", "it has 256 MB of memory, 512 are needed"),
    ("port", "taken", "another program listens on port 5432"),
    ("missing", " nosuch", "its package source does not have nosuch"),
    ("clock", "1000090", "its clock is 90 s ahead of the controller's"),
    ("clock", "999000", "its clock is 1000 s behind the controller's"),
])  # fmt: skip
def test_each_refusal_is_a_plain_sentence_with_a_remedy(name: str, value: str, sentence: str) -> None:
    assert objections(**{name: value}) == [sentence]


def test_a_hosts_clock_is_known_where_it_said_its_time() -> None:
    assert fitness.clock_offset(FIT, NEEDS) == 2.0
    assert fitness.clock_offset({}, NEEDS) is None


def test_a_source_out_of_reach_is_told_with_its_reason_and_not_as_a_missing_package() -> None:
    told = objections(source="no", words="Could not resolve 'deb.example.org'", missing=" postgresql-15")
    assert told == ["it does not reach its package source: Could not resolve 'deb.example.org'"]


def test_a_flavor_s_memory_may_show_a_little_less() -> None:
    assert objections(memory_mb="470") == []


def test_who_needs_no_packages_needs_no_apt_and_less_room() -> None:
    needs = replace(NEEDS, packages=[])
    assert list(fitness.objections(FIT | {"apt": "none", "root_mb": "100"}, needs)) == []


def test_a_manager_s_odd_names_are_quoted_in_the_shell() -> None:
    shell = fitness.facts(replace(NEEDS, packages=["a b;id"], directory="/da ta", process="x;y"))
    assert "'a b;id'" in shell
    assert "'/da ta'" in shell
    assert "running 'x;y'" in shell


@pytest.mark.parametrize(("line", "told"), [
    ("dlstatus:1:50.0000:Retrieving file 1 of 2", Progress("downloading packages", 12)),
    ("pmstatus:postgresql-15:0.0000:Unpacking", Progress("installing packages", 20)),
    ("pmstatus:postgresql-15:100:Installed: done", Progress("installing packages", 70)),
    ("dtrove-waiting:unattended-upgr", Progress("waiting for the package manager, which unattended-upgr holds")),
    ("Reading package lists...", None), ("pmstatus:odd", None), ("pmstatus:a:b:c", None), ("", None),
])  # fmt: skip
def test_apt_s_status_lines_are_progress_and_nothing_else_is(line: str, told: Progress | None) -> None:
    assert packages.progress(line) == told
