"""Draws the nodes of a cluster: the primary, and below it those that follow it."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from rich.tree import Tree


def drawn(cluster: dict[str, Any]) -> Tree:
    """The picture of a cluster of several nodes; before there is a primary, all of them stand below the cluster's name."""
    nodes = cluster["instances"]
    primary = next((node for node in nodes if node["role"] == "primary"), None)
    widths = [max(len(word) for word in column) for column in zip(*map(_words, nodes), strict=True)]
    root = Tree(_line(primary, widths) if primary else Text(cluster["name"]), guide_style="dim")
    for node in nodes:
        if node is not primary:
            root.add(_line(node, widths))
    return root


def _words(node: dict[str, Any]) -> tuple[str, ...]:
    return node["name"], node["role"] or "", node["status"], node["addr"] or ""


def _line(node: dict[str, Any], widths: list[int]) -> Text:
    return Text("  ".join(word.ljust(width) for word, width in zip(_words(node), widths, strict=True)).rstrip())
