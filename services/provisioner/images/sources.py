"""Reads a machine's apt sources, in both of their forms, to find a mirror that has the hosts' suite.

Source: sources.list(5): one-line entries, and deb822 stanzas in *.sources files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AptSource:
    """One entry: where packages come from, and the file that says so."""

    file: Path
    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def apt_sources(etc: Path = Path("/etc/apt")) -> list[AptSource]:
    """Every binary source that is switched on, the main list first."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    found: list[AptSource] = []
    for file in files:
        if file.is_file() and file.suffix == ".sources":
            found += _stanzas(file)
        elif file.is_file() and file.suffix == ".list":
            found += _lines(file)
    return found


def mirror_of(suite: str, sources: list[AptSource], *, is_debian: bool) -> AptSource | None:
    """The source that has `suite`: one that names it, else, on Debian, the one of the machine's own release.

    A Debian mirror carries every release that is supported, whichever the machine itself follows.
    """
    named = [source for source in sources if suite in source.suites and "main" in source.components]
    if named:
        return named[0]
    own = [source for source in sources if "main" in source.components
           and not any("security" in text for text in (source.uri, *source.suites))]  # fmt: skip
    return own[0] if own and is_debian else None


def _lines(file: Path) -> Iterator[AptSource]:
    for line in file.read_text(errors="replace").splitlines():
        words = line.split("#")[0].split()
        if not words or words[0] != "deb":
            continue
        if len(words) > 1 and words[1].startswith("["):
            closing = next((number for number, word in enumerate(words) if word.endswith("]")), len(words))
            words = [words[0], *words[closing + 1 :]]
        if len(words) > 3:
            yield AptSource(file, words[1], (words[2],), tuple(words[3:]))


def _stanzas(file: Path) -> Iterator[AptSource]:
    for stanza in file.read_text(errors="replace").split("\n\n"):
        fields: dict[str, list[str]] = {}
        for line in stanza.splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith(("#", " ", "\t")):
                fields[name.strip().lower()] = value.split()
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        for uri in fields.get("uris", []):
            yield AptSource(file, uri, tuple(fields.get("suites", [])), tuple(fields.get("components", [])))
