"""What a change of a cluster is made of: what it is called, what is asked for it, and the call of the API that does it.

Nothing is validated here: a field that is wrong is said so by the API, and shown beside the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.api.web.asking import Asking, Refused

Given = Mapping[str, str]
Cluster = Mapping[str, Any]
# What a select offers: values, and how they read.
Choices = Callable[[Asking, Cluster], list[tuple[str, str]]]
MOST_DIGITS = 9


@dataclass(frozen=True)
class Field:
    """One thing that is asked, by the name that the API's errors have for it.

    With `choices` it is one of them; `is_box`: it is ticked or not; `fixed`: the link that leads here has chosen it, and it is only
    shown. `engines` are the managers whose clusters have it, empty for all.
    """

    name: str
    label: str
    hint: str = ""
    choices: Choices | None = None
    default: str = ""
    is_box: bool = False
    fixed: bool = False
    engines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call of the API, below the cluster's own path."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A change. `title` and `button` name `{cluster}` and the fields; `says` is what it means, in a sentence or two.

    Where something is lost or nobody is served, `named` says which name has to be typed first. `back` is the page, below the
    cluster's, that shows what came of it.
    """

    title: str
    button: str
    says: str
    call: Callable[[Given], Call]
    fields: tuple[Field, ...] = ()
    named: Callable[[Cluster, Given], str] | None = None
    back: str = ""

    def fields_of(self, cluster: Cluster) -> list[Field]:
        """What there is to say for a cluster of this engine."""
        manager = cluster["datastore"]["manager"]
        return [one for one in self.fields if not one.engines or manager in one.engines]


def cluster_name(cluster: Cluster, _given: Given) -> str:
    """The cluster's name."""
    return str(cluster["name"])


def node_name(cluster: Cluster, given: Given) -> str:
    """The name of the node that was chosen; its id where there is no such node, of which the API says so."""
    names = {one["id"]: str(one["name"]) for one in cluster["instances"]}
    return names.get(given["instance"], given["instance"])


def what_is_in(name: str) -> Callable[[Cluster, Given], str]:
    """What stands in a field."""
    return lambda _cluster, given: given[name]


def number(text: str) -> int | str:
    """A number; what is none goes to the API as it is, which says what is wrong with it."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else text


def segment(name: str) -> str:
    """A name as one part of a path. Raises Refused for what would be none, or two."""
    if not name or "/" in name:
        raise Refused(404, {"detail": "there is no such name; go back, and follow a link of the list"})
    return name
