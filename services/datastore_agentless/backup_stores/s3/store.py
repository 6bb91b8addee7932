"""A bucket: `<prefix>/<key>/backup.zst.age`, put together by S3 from the parts that nodes upload, and `manifest.json` beside it.

Every part has a presigned URL of its own, made here without asking anybody. Source: Amazon S3, "Uploading and copying objects using
multipart upload": up to 10,000 parts of 5 MB to 5 GB, all but the last as large as at least that.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from services.datastore_agentless.backup_stores.base import MB, BackupStore, Content, Damaged, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.cutting import cut
from services.datastore_agentless.backup_stores.s3.client import client, in_our_words
from services.datastore_agentless.backup_stores.s3.place import S3Place
from shared.errors import Failure, NotFound
from shared.once import once
from shared.secrets import Secret

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedMultipartUploadTypeDef

STREAM, MANIFEST = "backup.zst.age", "manifest.json"
MOST_PARTS = 10_000
# As long as a transfer may take, and what it may have waited before.
URL_SECONDS = 36 * 3600
# Who reads begins at once, and asks again where a line breaks.
READER_SECONDS = 3600
# Signing takes a part of a millisecond: after so many others are let in.
SIGNED_AT_ONCE = 20


class S3Store(BackupStore):
    """Backups at one place of an S3."""

    def __init__(self, name: str, place: S3Place, *, part_bytes: int = 64 * MB) -> None:
        super().__init__(name)
        self.place, self.part_bytes = place, part_bytes
        self._client: Callable[[], S3Client] = once(lambda: client(place))

    def begin(self, key: str, stream_bytes: int, token: str = "") -> Sending:
        if not token:
            with in_our_words(self.name, "begin an upload"):
                self._make_room(key)
                made = self._s3.create_multipart_upload(**self._of(key, STREAM), ContentType="application/octet-stream")
                token = made["UploadId"]
        chosen = cut(stream_bytes, self.part_bytes, MOST_PARTS)
        urls = []
        with in_our_words(self.name, "sign URLs"):
            for number in range(1, chosen.count + 1):
                urls.append(self._signed("upload_part", key, UploadId=token, PartNumber=number))
                if number % SIGNED_AT_ONCE == 0:
                    time.sleep(0)
        return Sending(chosen.part_bytes, Secret("\n".join(urls)), token)

    def finish(self, key: str, token: str, parts: Sequence[Part], manifest: bytes) -> None:
        if parts:
            # An upload that is not there any more has been completed before, or never came to it: the object tells.
            with contextlib.suppress(NotFound), in_our_words(self.name, "complete an upload"):
                self._complete(key, token, parts)
            self._see(key, parts)
        else:
            self.abandon(key, token)
        with in_our_words(self.name, "keep a manifest"):
            self._s3.put_object(**self._of(key, MANIFEST), Body=manifest, ContentType="application/json")

    def abandon(self, key: str, token: str) -> None:
        with contextlib.suppress(NotFound), in_our_words(self.name, "abandon an upload"):
            self._s3.abort_multipart_upload(**self._of(key, STREAM), UploadId=token)

    def fetching(self, key: str, parts: Sequence[Part]) -> Fetching:
        if not parts:
            return Fetching(())
        self._see(key, parts)
        with in_our_words(self.name, "sign a URL"):
            url, lines, begin = self._signed("get_object", key), [], 0
        for part in parts:
            lines.append(f"{url} {begin}-{begin + part.size - 1}")
            begin += part.size
        return Fetching(tuple(parts), Secret("\n".join(lines)))

    def content(self, key: str, parts: Sequence[Part], name: str) -> Content:
        if not parts:
            return Content()
        self._see(key, parts)
        with in_our_words(self.name, "sign a URL"):
            attached = f'attachment; filename="{name}"'
            return Content(
                Secret(self._signed("get_object", key, seconds=READER_SECONDS, ResponseContentDisposition=attached))
            )

    def manifest(self, key: str) -> bytes:
        with in_our_words(self.name, f"give the manifest of {key}"):
            return self._s3.get_object(**self._of(key, MANIFEST))["Body"].read()

    def remove(self, key: str) -> None:
        with in_our_words(self.name, f"remove {key}"):
            self._forget_uploads(key)
            for name in (MANIFEST, STREAM):
                self._s3.delete_object(**self._of(key, name))

    def reach(self) -> None:
        with in_our_words(self.name, "be written to"):
            self._s3.put_object(**self._of("", ".reach"), Body=b"")
            self._s3.delete_object(**self._of("", ".reach"))

    @property
    def _s3(self) -> S3Client:
        return self._client()

    def _of(self, key: str, name: str) -> Any:
        return {"Bucket": self.place.bucket, "Key": "/".join(filter(None, (self.place.prefix, key, name)))}

    def _signed(self, method: str, key: str, *, seconds: int = URL_SECONDS, **more: object) -> str:
        return self._s3.generate_presigned_url(method, Params={**self._of(key, STREAM), **more}, ExpiresIn=seconds)

    def _see(self, key: str, parts: Sequence[Part]) -> None:
        """Raises Damaged where the object is missing, or not as large as its parts are together; Failure where the bucket is."""
        size = sum(part.size for part in parts)
        try:
            with in_our_words(self.name, "look at an object"):
                seen = self._s3.head_object(**self._of(key, STREAM))["ContentLength"]
        except NotFound as error:
            self._see_bucket()
            raise Damaged(f"the backup {key} is missing in the store {self.name}", key=key) from error
        if seen != size:
            raise Damaged(f"the backup {key} has {seen} bytes in the store {self.name} in place of {size}", key=key)

    def _see_bucket(self) -> None:
        """Raises Failure where the bucket itself is not there: that is another one than backups were put in."""
        try:
            with in_our_words(self.name, "look at its bucket"):
                self._s3.head_bucket(Bucket=self.place.bucket)
        except NotFound as error:
            raise Failure(f"the store {self.name} has no bucket {self.place.bucket}",
                          what_to_do="see what DTROVE_BACKUP_STORES says of it") from error  # fmt: skip

    def _complete(self, key: str, token: str, parts: Sequence[Part]) -> None:
        """Put the parts together, once the store has each as the node had noted it."""
        seen = {}
        for page in self._s3.get_paginator("list_parts").paginate(**self._of(key, STREAM), UploadId=token):
            for one in page.get("Parts", []):
                seen[one["PartNumber"]] = (one["Size"], one["ETag"].strip('"'))
        for part in parts:
            if seen.get(part.number) != (part.size, part.tag):
                what = "is missing" if part.number not in seen else "is not as the node has sent it"
                raise Failure(f"part {part.number} of the backup {key} {what} in the store {self.name}",
                              what_to_do="back up once more")  # fmt: skip
        together: CompletedMultipartUploadTypeDef = {
            "Parts": [{"PartNumber": part.number, "ETag": f'"{part.tag}"'} for part in parts]
        }
        self._s3.complete_multipart_upload(**self._of(key, STREAM), UploadId=token, MultipartUpload=together)

    def _make_room(self, key: str) -> None:
        """Nothing of an earlier try may pass for this one's. Raises Failure where that has become a backup."""
        with contextlib.suppress(NotFound), in_our_words(self.name, "look at an object"):
            self._s3.head_object(**self._of(key, MANIFEST))
            raise Failure(f"the backup {key} is whole already; nothing is written over it")
        self._forget_uploads(key)
        self._s3.delete_object(**self._of(key, STREAM))

    def _forget_uploads(self, key: str) -> None:
        """What was begun for this backup and whose token nobody has: its parts would cost for ever."""
        place = self._of(key, STREAM)
        found = self._s3.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
        for upload in found.get("Uploads", []):
            if upload["Key"] == place["Key"]:
                self.abandon(key, upload["UploadId"])
