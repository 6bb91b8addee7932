"""How stores are named, how a stream is cut, and what a node's words about its parts are taken for."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import MB, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.cutting import cut
from services.datastore_agentless.backup_stores.local import LocalStore
from services.datastore_agentless.backup_stores.naming import S3Key, parse_stores, wants_login
from services.datastore_agentless.backup_stores.s3.place import S3Place
from services.datastore_agentless.backup_stores.s3.store import MOST_PARTS, S3Store
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.backup_stores.swift.container import Signer, split
from services.datastore_agentless.backup_stores.swift.place import SwiftPlace
from services.datastore_agentless.backup_stores.swift.store import SwiftStore
from services.datastore_agentless.hosts.base import CommandFailed, Job, Progress, Result
from shared.cloud import CloudAccount
from shared.errors import Failure
from shared.secrets import Secret

MINIO = "minio=s3://backups/d/trove?endpoint=https://minio:9000&region=here"
GB = 1024 * MB


def test_the_usual_store_is_a_folder_of_the_installation(tmp_path: Path) -> None:
    stores = Stores((), tmp_path)
    assert stores.names == ("local",)
    store = stores.get(stores.usual)
    assert isinstance(store, LocalStore)
    assert store.folder == tmp_path / "backups"


def test_stores_are_had_by_name_and_the_first_is_the_usual_one(tmp_path: Path) -> None:
    stores = Stores(parse_stores(f"  {MINIO}  near=file:///var/some%20where "), tmp_path, S3Key("me", Secret("mine")))
    assert (stores.usual, stores.names) == ("minio", ("minio", "near"))
    far, near = stores.get("minio"), stores.get("near")
    assert isinstance(far, S3Store)
    assert far.place == S3Place("backups", "d/trove", "https://minio:9000", "here", True, "me", Secret("mine"))
    assert isinstance(near, LocalStore)
    assert near.folder == Path("/var/some where")
    assert stores.get("minio") is far


def test_a_store_that_nobody_has_named_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="there is no backup store 'tape'") as raised:
        Stores(parse_stores(MINIO), tmp_path).get("tape")
    assert "minio" in raised.value.what_to_do


def test_amazons_own_buckets_have_names_and_others_may_have(tmp_path: Path) -> None:
    stores = Stores(parse_stores("a=s3://one b=s3://two?endpoint=http://s3.local&addressing=auto"), tmp_path)
    places = [store.place for name in stores.names if isinstance(store := stores.get(name), S3Store)]
    assert [(place.endpoint, place.path_style, place.prefix) for place in places] == [
        ("", False, ""), ("http://s3.local", False, ""),
    ]  # fmt: skip


def test_a_swift_is_asked_as_the_options_say_or_as_a_cloud_of_clouds_yaml_does(tmp_path: Path) -> None:
    account = CloudAccount(os_username="me", os_region_name="here")
    named = parse_stores(
        "a=swift://Back_ups/d/trove b=swift://two?cloud=mine&region=there&interface=internalURL&endpoint=http://x"
    )
    assert [wants_login(one) for one in named] == [True, False]
    stores = Stores(named, tmp_path, account=account)
    places = [store.place for name in stores.names if isinstance(store := stores.get(name), SwiftStore)]
    other = CloudAccount(os_username="me", os_cloud="mine", os_region_name="there")
    assert places == [SwiftPlace("Back_ups", "d/trove", account), SwiftPlace("two", "", other, "internal", "http://x")]


@pytest.mark.parametrize("before", ["", "/swift"])
def test_a_url_of_swift_s_is_signed_from_its_version_on(before: str) -> None:
    host, account = split(f"https://cloud{before}/v1/AUTH_p/")
    signer = Signer(host, f"{account}/backups", "PUT", 1_700_000_000, Secret("mykey"))
    signed = hmac.new(b"mykey", b"PUT\n1700000000\n/v1/AUTH_p/backups/a b/part-1", hashlib.sha256).hexdigest()
    url = urlsplit(signer.url("a b/part-1", filename="shop 1.sql"))
    assert url.path == f"{before}/v1/AUTH_p/backups/a%20b/part-1"
    assert parse_qs(url.query) == {
        "temp_url_sig": [signed],
        "temp_url_expires": ["1700000000"],
        "filename": ["shop 1.sql"],
    }


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("file:///backups", "is not name=url"),
        ("Local=file:///backups", "is not name=url"),
        ("a=file:///a a=file:///b", "names the store a twice"),
        ("a=ftp://there", "known are file:///folder, s3://bucket/prefix and swift://container/prefix"),
        ("a=file://host/folder", "is not file:///folder"),
        ("a=file:///", "is not file:///folder"),
        ("a=file:relative", "is not file:///folder"),
        ("a=s3:///prefix", "names no bucket"),
        ("a=s3://me:secret@bucket", "names no bucket"),
        ("a=s3://bucket?endpiont=https://x", "the unknown option 'endpiont'"),
        ("a=s3://bucket?endpoint=minio:9000", "is no http or https URL"),
        ("a=s3://bucket?endpoint=", "is no http or https URL"),
        ("a=s3://bucket?addressing=sideways", "the addressing 'sideways'"),
        ("a=swift:///prefix", "names no container"),
        ("a=swift://me:secret@container", "names no container"),
        (
            "a=swift://container?key=x",
            "the unknown option 'key': known are cloud, region, interface and endpoint",
        ),
        ("a=swift://container?endpoint=swift:8080", "is no http or https URL"),
        ("a=swift://container?interface=sideways", "is none of public, internal, admin"),
    ],
)
def test_what_names_no_store_is_refused_with_a_sentence(raw: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        parse_stores(raw)


@pytest.mark.parametrize("stream", [0, 1, 64 * MB, 10 * GB, 625 * GB, 50_000 * GB])
def test_a_stream_fits_into_the_parts_that_s3_takes_with_some_to_spare(stream: int) -> None:
    made = cut(stream, 64 * MB, MOST_PARTS)
    assert made.part_bytes >= 64 * MB
    assert made.count <= MOST_PARTS
    assert made.part_bytes * made.count >= stream * 1.05 + 2 * made.part_bytes


def test_each_part_has_a_url_of_its_own_that_is_made_without_asking_anybody() -> None:
    store = S3Store("s3", S3Place("bucket", "dtrove", "http://127.0.0.1:1", "here", True, "one", Secret("two")))
    way = store.begin("p/c/b", 640 * MB, "token")
    urls = [urlsplit(url) for url in way.urls.reveal().splitlines()]
    assert [int(parse_qs(url.query)["partNumber"][0]) for url in urls] == list(range(1, 20))
    assert {url.path for url in urls} == {"/bucket/dtrove/p/c/b/backup.zst.age"}
    assert {parse_qs(url.query)["uploadId"][0] for url in urls} == {"token"}
    # A node brings bytes and a length; it knows of no other header that could be signed.
    assert {parse_qs(url.query)["X-Amz-SignedHeaders"][0] for url in urls} == {"host"}
    assert way.token == "token"


def test_parts_are_read_in_the_order_of_their_numbers() -> None:
    told = "part 2 5 bb tag2\nnoise\npart 1 9 aa\nsize 70\n"
    assert transfer.read_sent(told) == transfer.Sent((Part(1, 9, "aa"), Part(2, 5, "bb", "tag2")), 70)


@pytest.mark.parametrize(
    "told", ["", "part 1 9 aa\n", "part 1 9 aa\npart 3 9 cc\nsize 5\n", "part 1 9 aa\npart 1 9 aa\nsize 5\n"]
)
def test_a_node_that_does_not_tell_of_every_part_has_not_sent_them(told: str) -> None:
    with pytest.raises(Failure, match="does not say of every part"):
        transfer.read_sent(told)


def test_urls_logins_and_identities_go_by_standard_input_alone() -> None:
    out = next(
        transfer.send(Sending(MB, Secret("https://canary-1")), "dump", "age1x", "send", login=Secret("AUTH canary"))
    )
    identity = Secret("# created\nAGE-SECRET-KEY-1CANARY\n")
    opening = transfer.Opening(login=Secret("password=canary"))
    back = next(
        transfer.receive(Fetching((), Secret("https://canary-2")), "load", identity, "receive", opening=opening)
    )
    assert isinstance(out, Job)
    assert isinstance(back, Job)
    assert out.stdin == Secret("AUTH canary\nhttps://canary-1")
    assert back.stdin == Secret("AGE-SECRET-KEY-1CANARY\npassword=canary\nhttps://canary-2")
    assert "canary" not in (out.script + back.script).lower()


def test_what_is_no_key_of_ages_opens_nothing() -> None:
    with pytest.raises(Failure, match="no private key of age's"):
        next(transfer.receive(Fetching(()), "load", Secret("age1public"), "receive"))


def test_progress_has_a_percentage_where_it_is_known_how_much_will_come() -> None:
    job = next(transfer.send(Sending(MB), "dump", "age1x", "send", of_bytes=100 * MB))
    assert isinstance(job, Job)
    assert job.progress is not None
    assert job.progress(f"read {25 * MB}") == Progress("sent 25 MB", 25)
    assert job.progress(f"read {200 * MB}") == Progress("sent 200 MB", 99)
    assert job.progress("read ") == Progress("sent 0 MB", 0)
    assert job.progress("part 1 5 aa") is None


def test_what_a_job_has_said_itself_is_what_the_user_reads() -> None:
    script = transfer.send(Sending(MB), "dump", "age1x", "send")
    next(script)
    with pytest.raises(CommandFailed, match="send the backup: the store refuses part 2") as raised:
        script.throw(
            CommandFailed("ended", code=3, stderr="age: broken pipe\ndtrove: the store refuses part 2: 403 No")
        )
    assert raised.value.code == 3


def test_what_was_sent_is_what_the_job_has_printed() -> None:
    script = transfer.send(Sending(MB), "dump", "age1x", "send")
    next(script)
    with pytest.raises(StopIteration) as ended:
        script.send(Result(stdout="part 1 9 aa\nsize 70\n"))
    assert ended.value.value == transfer.Sent((Part(1, 9, "aa"),), 70)
