"""A client of S3 with bounds on all that it does, and its errors in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
from botocore import exceptions as told
from botocore.config import Config

from services.datastore_agentless.backup_stores.s3.place import S3Place
from shared.errors import Failure, NotFound, Retryable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 60, 4
_PASSING = frozenset(
    ("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "OperationAborted", "429")
)
_ABSENT = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}


def client(place: S3Place) -> S3Client:
    """A client for one place."""
    config = Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"max_attempts": ATTEMPTS, "mode": "standard"},
        signature_version="s3v4", s3={"addressing_style": "path" if place.path_style else "auto"},
        # Other stores than Amazon's know nothing of newer sums, and a presigned URL with them would ask the node for one.
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
    )  # fmt: skip
    # A session of its own: boto3's shared one is not safe to share among threads.
    return boto3.session.Session().client(
        "s3", config=config, endpoint_url=place.endpoint or None, region_name=place.region or None,
        aws_access_key_id=place.access_key_id or None, aws_secret_access_key=place.secret_access_key.reveal() or None,
    )  # fmt: skip


@contextlib.contextmanager
def in_our_words(store: str, doing: str) -> Iterator[None]:
    """Turns what boto3 raises into Retryable, NotFound or Failure, with a sentence."""
    try:
        yield
    except (told.NoCredentialsError, told.PartialCredentialsError) as error:
        raise Failure(f"the store {store} has no credentials: {error}",
                      what_to_do="set DTROVE_S3_ACCESS_KEY_ID and DTROVE_S3_SECRET_ACCESS_KEY") from error  # fmt: skip
    except told.SSLError as error:
        raise Failure(f"the store {store} shows a certificate that is not trusted: {error}") from error
    except (told.ConnectionError, told.HTTPClientError) as error:
        raise Retryable(f"the store {store} does not answer: {error}") from error
    except told.ClientError as error:
        raise _refused(store, doing, error) from error
    except told.BotoCoreError as error:
        raise Failure(f"the store {store} could not {doing}: {error}") from error


def _refused(store: str, doing: str, error: told.ClientError) -> Exception:
    said = error.response.get("Error", {})
    code, words = str(said.get("Code", "")), str(said.get("Message", "")).rstrip(".")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    sentence = f"the store {store} could not {doing}: {code} {words}"
    if code in _ABSENT:
        return NotFound(sentence)
    if code in _PASSING or status >= 500:
        return Retryable(sentence)
    return Failure(
        sentence, what_to_do="see that the bucket is there and that DTrove's key may read, write and delete in it"
    )
