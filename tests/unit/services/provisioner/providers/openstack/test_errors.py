"""A cloud's errors become sentences: what was refused, in whose words, under which id, whether it may pass, what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import keystoneauth1.exceptions as ks
import pytest
import requests
from openstack import exceptions

from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.openstack.errors import LONGEST_WAIT, translated


def answer(status: int, words: str = "no", **headers: str) -> exceptions.SDKException:
    """What the library raises for an answer of the cloud's."""
    response = requests.Response()
    response.status_code, response._content = status, json.dumps({"error": {"message": words}}).encode()
    response.headers.update({"Content-Type": "application/json", "x-openstack-request-id": "req-1", **headers})
    response.request = requests.Request("POST", "http://nova/servers").prepare()
    try:
        exceptions.raise_from_response(response)
    except exceptions.SDKException as error:
        return error
    raise AssertionError


def of(error: Exception) -> ProviderError | ProviderBusy:
    with pytest.raises((ProviderError, ProviderBusy)) as caught, translated("create a server"):
        raise error
    return caught.value


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert isinstance(of(answer(status)), ProviderBusy)


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_what_will_not_pass_ends_the_step(status: int) -> None:
    assert isinstance(of(answer(status)), ProviderError)


@pytest.mark.parametrize("status", [403, 409, 413])
def test_a_quota_ends_the_step_whatever_the_number_and_says_what_to_do(status: int) -> None:
    error = of(answer(status, "Quota exceeded for cores: Requested 2, but already used 20 of 20 cores"))
    assert isinstance(error, ProviderError)
    assert "already used 20 of 20" in error.message
    assert "raise the project's quota" in error.what_to_do


def test_the_cloud_s_words_and_the_request_s_id_are_told() -> None:
    error = of(answer(500, "Unexpected API Error."))
    assert error.message == "could not create a server: Unexpected API Error (HTTP 500, request req-1)"
    assert "req-1" in error.what_to_do


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("", 0.0), ("soon", 0.0), ("86400", LONGEST_WAIT)])
def test_patience_that_is_asked_for_is_kept_within_reason(told: str, seconds: float) -> None:
    error = of(answer(429, **{"Retry-After": told}))
    assert isinstance(error, ProviderBusy)
    assert error.after == seconds


def test_patience_may_be_asked_for_by_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    error = of(answer(503, **{"Retry-After": at}))
    assert isinstance(error, ProviderBusy)
    assert 25 < error.after <= 30


@pytest.mark.parametrize("error", [
    ks.ConnectFailure("no route"), ks.ConnectTimeout("too long"), requests.exceptions.ReadTimeout("too long"),
    requests.exceptions.ConnectionError("reset"), ks.DiscoveryFailure("no versions"), ks.ServiceUnavailable("unwell"),
])  # fmt: skip
def test_a_cloud_that_does_not_answer_is_asked_again(error: Exception) -> None:
    assert isinstance(of(error), ProviderBusy)


def test_a_login_that_is_refused_names_the_options_to_mend() -> None:
    error = of(ks.Unauthorized("The request you have made requires authentication."))
    assert isinstance(error, ProviderError)
    assert "OS_USERNAME" in error.what_to_do


def test_a_catalogue_without_the_service_names_the_options_to_mend() -> None:
    error = of(ks.EndpointNotFound("internal endpoint for compute service not found"))
    assert isinstance(error, ProviderError)
    assert "OS_REGION_NAME" in error.what_to_do
