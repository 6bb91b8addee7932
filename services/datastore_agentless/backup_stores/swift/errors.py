"""What Swift and Keystone refuse, in our words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import keystoneauth1.exceptions as ks
from openstack.exceptions import SDKException
from requests import RequestException

from shared.errors import Failure, NotFound, Retryable

# Source: Swift's middleware `ratelimit`: 498 is its word for "too fast".
_PASSING = (408, 409, 429, 498)
_TAGS = re.compile(r"<[^>]*>")
_LET_IN = "see OS_USERNAME, OS_PASSWORD and OS_PROJECT_ID (or the application credential, or clouds.yaml)"


@contextlib.contextmanager
def in_our_words(store: str, doing: str) -> Iterator[None]:
    """Turns what keystoneauth raises into Retryable, NotFound or Failure, with a sentence; `doing` follows "could not"."""
    try:
        yield
    except ks.Unauthorized as error:
        raise Failure(f"the store {store} does not let DTrove in: {_words(error)}", what_to_do=_LET_IN) from error
    except ks.HttpError as error:
        raise _refused(store, doing, error) from error
    except ks.SSLError as error:
        raise Failure(f"the store {store} shows a certificate that is not trusted: {_words(error)}",
                      what_to_do="name the authority that has signed it in OS_CACERT") from error  # fmt: skip
    except (ks.ConnectionError, ks.RetriableConnectionFailure, ks.DiscoveryFailure, RequestException) as error:
        raise Retryable(f"the store {store} does not answer: {_words(error)}") from error
    except ks.CatalogException as error:
        raise Failure(f"the store {store} is in a cloud whose catalogue names no object store: {_words(error)}",
                      what_to_do="see OS_REGION_NAME and OS_INTERFACE, or region and interface of the store's URL") from error  # fmt: skip
    except (ks.ClientException, SDKException) as error:
        raise Failure(f"the store {store} could not {doing}: {_words(error)}", what_to_do=_LET_IN) from error


def _refused(store: str, doing: str, error: ks.HttpError) -> Exception:
    body = _TAGS.sub(" ", error.response.text[:1000]) if error.response is not None else ""
    sentence = (
        f"the store {store} could not {doing}: {error.http_status} {' '.join(body.split())[:300] or _words(error)}"
    )
    if error.http_status == 404:
        return NotFound(sentence)
    if error.http_status in _PASSING or error.http_status >= 500:
        return Retryable(sentence)
    return Failure(sentence, what_to_do="see that DTrove's user has a role that owns the project's containers (such as member), "
                                        "and that the quota of the container and the project leaves room")  # fmt: skip


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
