"""A datastore: one version of a database that users can choose."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Datastore:
    """Links a manager class to a version, the packages to install and the image to build on.

    `manager_class` is a dotted path or a name of DTROVE_DATASTORE_MANAGERS; `manager` is that manager's name.
    """

    id: str
    manager_class: str
    manager: str
    version: str
    image: str
    packages: list[str] = field(default_factory=list)
    default_parameters: dict[str, str] = field(default_factory=dict)
    deleted: bool = False

    @property
    def name(self) -> str:
        """The display name, as in `mysql - 10.11`."""
        return f"{self.manager} - {self.version}"
