"""What may be shown of a message that holds secrets."""

from __future__ import annotations

import json
import re
from typing import Any

MASK = "***"
SHOWN_CHARACTERS = 65_536
_WORDS = r"token|password|passphrase|secret|private|private_key|api_key|authorization"
_NAME = re.compile(rf"(.*_)?({_WORDS})", re.IGNORECASE)
# In a text that is not JSON: from a telling name to the end of what stands behind it.
_TELLING = re.compile(rf'((?:{_WORDS})"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}&]+)', re.IGNORECASE)


# Parameters of databases are called more briefly: Redis has requirepass and masterauth.
_PARAMETER = re.compile(rf"(.*[_-])?({_WORDS}|passwd|auth)|.*pass(word)?|.*auth", re.IGNORECASE)


def is_secret_parameter(name: str) -> bool:
    """Whether a database's parameter is by its name a password or a key."""
    return _PARAMETER.fullmatch(name) is not None


def masked(body: bytes) -> Any:
    """A message's body as JSON data, or as text where it is none, with what its names call secret as `***`."""
    text = body.decode("utf-8", "replace")
    if len(text) <= SHOWN_CHARACTERS:
        try:
            return masked_data(json.loads(text))
        except (ValueError, RecursionError):
            pass
    return _TELLING.sub(rf"\1{MASK}", text[:SHOWN_CHARACTERS])


def masked_data(value: Any) -> Any:
    """JSON data, with what its names call secret as `***`."""
    if isinstance(value, dict):
        return {name: MASK if _NAME.fullmatch(name) else masked_data(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked_data(inner) for inner in value]
    return value
