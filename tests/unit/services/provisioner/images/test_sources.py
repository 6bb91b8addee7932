"""Finding a Debian mirror in the apt sources of whatever machine this is."""

from __future__ import annotations

from pathlib import Path

from services.provisioner.images.sources import apt_sources, mirror_of

DEB822 = """# A comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/x.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main

Enabled: no
Types: deb
URIs: http://old.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main
"""


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return tmp_path


def test_stanzas_are_read_but_those_switched_off_or_of_sources_alone(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/debian.sources", DEB822)
    found = apt_sources(tmp_path)
    assert [(one.uri, one.suites, one.components) for one in found] == [
        ("http://mirror.example/debian", ("trixie", "trixie-updates"), ("main", "contrib")),
        ("http://mirror.example/debian-security", ("trixie-security",), ("main",)),
    ]


def test_lines_are_read_with_their_options_and_without_comments(tmp_path: Path) -> None:
    write(
        tmp_path, "sources.list",
        "# deb http://off.example bookworm main\n"
        "deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian bookworm main contrib # here\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://flat.example ./\n",
    )  # fmt: skip
    write(tmp_path, "sources.list.d/other.list", "deb http://other.example jammy main universe\n")
    write(tmp_path, "sources.list.d/broken.list.disabled", "deb http://disabled.example bookworm main\n")
    assert [(one.uri, one.suites) for one in apt_sources(tmp_path)] == [
        ("http://mirror.example/debian", ("bookworm",)),
        ("http://other.example", ("jammy",)),
    ]


def test_a_source_that_names_the_suite_is_taken_before_any_other(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://a.example trixie main\ndeb http://b.example bookworm main\n")
    for is_debian in (True, False):
        chosen = mirror_of("bookworm", apt_sources(tmp_path), is_debian=is_debian)
        assert chosen is not None
        assert chosen.uri == "http://b.example"


def test_another_release_of_debian_has_the_suite_on_its_own_mirror_but_not_on_the_one_for_security(
    tmp_path: Path,
) -> None:
    write(tmp_path, "sources.list", "deb http://a.example/debian-security trixie-security main\n"
                                    "deb http://a.example/debian trixie main\n")  # fmt: skip
    chosen = mirror_of("bookworm", apt_sources(tmp_path), is_debian=True)
    assert chosen is not None
    assert chosen.uri == "http://a.example/debian"


def test_a_system_that_only_descends_from_debian_has_no_mirror_of_it(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://archive.example/ubuntu noble main universe\n")
    assert mirror_of("bookworm", apt_sources(tmp_path), is_debian=False) is None


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert apt_sources(tmp_path) == []
