"""The cloud's errors as sentences: what was refused, in whose words, under which request id, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import keystoneauth1.exceptions as ks
from openstack.exceptions import HttpException, SDKException
from requests import RequestException

from services.provisioner.providers.base import ProviderBusy, ProviderError

BUSY = (408, 413, 429)
# Nobody is told to wait longer than this: a step's deadline is in minutes.
LONGEST_WAIT = 120.0
ASK_OPERATOR = "give the cloud's operators this request id: {id}"


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Let every error of the cloud leave as ProviderError or ProviderBusy; `action` follows "could not"."""
    try:
        yield
    except HttpException as error:
        raise _of_answer(action, error) from error
    except ks.Unauthorized as error:
        raise ProviderError(
            f"could not {action}: Keystone does not let DTrove in: {_words(error)}",
            what_to_do="see OS_USERNAME, OS_PASSWORD and OS_PROJECT_ID (or the application credential), then retry",
        ) from error
    except (ks.EndpointNotFound, ks.MissingRequiredOptions, ks.EmptyCatalog) as error:
        raise ProviderError(
            f"could not {action}: {_words(error)}",
            what_to_do="see OS_REGION_NAME, OS_INTERFACE and OS_NOVA_ENDPOINT_TYPE, and the cloud's service catalogue",
        ) from error
    except (ks.ConnectFailure, ks.DiscoveryFailure, ks.RetriableConnectionFailure, RequestException) as error:
        raise ProviderBusy(
            f"could not {action}: the cloud does not answer: {_words(error)}",
            what_to_do="see whether the cloud's API is up, and OS_AUTH_URL",
        ) from error
    except ks.HttpError as error:
        raise _of_identity(action, error) from error
    except (SDKException, ks.ClientException) as error:
        raise ProviderError(f"could not {action}: {_words(error)}") from error


def _of_answer(action: str, error: HttpException) -> ProviderError | ProviderBusy:
    status, details = error.status_code or 0, str(error.details or error.message or "").strip().rstrip(".")
    told = ", ".join(filter(None, (f"HTTP {status}" if status else "", f"request {_id(error)}" if _id(error) else "")))
    message = f"could not {action}: {details}" + (f" ({told})" if told else "")
    # Nova's word for a quota is 403, Neutron's 409, Cinder's 413.
    if "quota" in details.lower():
        return ProviderError(message, what_to_do="raise the project's quota, or delete what is not needed; then retry")
    if status in BUSY or status >= 500 or status == 0:
        return ProviderBusy(
            message, what_to_do=ASK_OPERATOR.format(id=_id(error) or "none was given"), after=_after(error)
        )
    if status == 401:
        return ProviderBusy(message, what_to_do="the cloud does not take the token; a new one is asked for")
    if status == 403:
        return ProviderError(
            message, what_to_do="give DTrove's user a role in the project that may do this, then retry"
        )
    if status == 409:
        return ProviderBusy(message, what_to_do="something else is under way at the same thing; it is tried again")
    return ProviderError(message, what_to_do=ASK_OPERATOR.format(id=_id(error)) if _id(error) else "")


def _of_identity(action: str, error: ks.HttpError) -> ProviderError | ProviderBusy:
    message = f"could not {action}: {_words(error)}"
    if error.http_status in BUSY or error.http_status >= 500:
        return ProviderBusy(message, what_to_do="see whether the cloud's identity service is well")
    return ProviderError(message, what_to_do="see the OS_* options, then retry")


def _id(error: HttpException) -> str:
    return str(error.request_id or "")


def _after(error: HttpException) -> float:
    """Seconds that the cloud asks to be left alone for. Source: RFC 9110, 10.2.3: seconds, or a date."""
    told = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    if told.isdigit():
        return min(LONGEST_WAIT, float(told))
    try:
        at = parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return 0.0
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(LONGEST_WAIT, max(0.0, (aware - datetime.now(UTC)).total_seconds()))


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
