"""Draws the nodes of a cluster: the primary, and below it those that follow it, with how each was when it was last seen."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from rich.tree import Tree

from client.terminal import span

Words = tuple[str, ...]


def drawn(cluster: dict[str, Any]) -> Tree:
    """The picture of a cluster; before there is a primary, all nodes stand below the cluster's name."""
    nodes = cluster["instances"]
    seen = {one["instance"]: one for one in (cluster.get("health") or {"nodes": ()})["nodes"]}
    primary = next((node for node in nodes if node["role"] == "primary"), None)
    words = {node["id"]: _words(node, seen.get(node["id"])) for node in nodes}
    widths = [max(map(len, column)) for column in zip(*words.values(), strict=True)]
    root = Tree(_line(words[primary["id"]], widths) if primary else Text(cluster["name"]), guide_style="dim")
    for node in nodes:
        if node is not primary:
            root.add(_line(words[node["id"]], widths))
    return root


def lag(seen: dict[str, Any]) -> str:
    """How far a node is behind, empty where that is not known."""
    seconds = seen["facts"].get("lag_seconds")
    return "" if seconds is None else f"{seconds:.1f} s"


def _words(node: dict[str, Any], seen: dict[str, Any] | None) -> Words:
    known = (node["name"], node["role"] or "", node["status"], node["addr"] or "")
    if seen is None:
        return *known, "", ""
    behind = lag(seen)
    verdict = f"{seen['verdict']}, seen {span(seen['age_seconds'])} ago"
    return *known, verdict, f"lag {behind}" if behind else ""


def _line(words: Words, widths: list[int]) -> Text:
    padded = (word.ljust(width) for word, width in zip(words, widths, strict=True) if width)
    return Text("  ".join(padded).rstrip())
