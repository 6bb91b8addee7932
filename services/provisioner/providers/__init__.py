"""Providers, one folder each, and the door to them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from services.provisioner.providers.base import BaseProvider, ProviderError

_SHORT = {name: f"services.provisioner.providers.{name}.Provider" for name in ("local", "static", "openstack", "fake")}


def get_provider(name: str, options: Mapping[str, object]) -> BaseProvider:
    """The provider called `name`: a short name, or a dotted path to a class. Raises ProviderError."""
    return provider_class(name)(options)


def provider_class(name: str) -> type[BaseProvider]:
    """The class of the provider called `name`. Raises ProviderError."""
    module, _, attribute = _SHORT.get(name, name).rpartition(".")
    try:
        chosen = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ProviderError(
            f"there is no provider {name!r}: {error}",
            what_to_do=f"set DTROVE_PROVIDER to one of {', '.join(_SHORT)}, or to the dotted path of a class",
        ) from error
    if not (isinstance(chosen, type) and issubclass(chosen, BaseProvider)):
        raise ProviderError(f"{name} is no provider", what_to_do="derive it from BaseProvider")
    if missing := sorted(chosen.__abstractmethods__):
        raise ProviderError(f"the provider {name} lacks {', '.join(missing)}",
                            what_to_do="write what is missing: docs/guides/write-a-provider.md says what each one does")  # fmt: skip
    return chosen
