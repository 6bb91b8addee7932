"""Which lines a piece of a log holds, and where its reader goes on."""

from __future__ import annotations

import pytest

from services.datastore_agentless.domain.reading import (
    FIRST_BYTES,
    LINE_CHARACTERS,
    MOST_BYTES,
    Lines,
    Piece,
    Place,
    lines_of,
)


def mask(text: str) -> str:
    return text.replace("hushhush", "***")


def read(data: bytes, *, start: int = 0, size: int | None = None, before: Place | None = None, wanted: int = 3,
         inode: int = 7, follow: bool = True) -> Lines:  # fmt: skip
    piece = Piece(inode, start, start + len(data) if size is None else size, data)
    return lines_of(piece, before, wanted, mask, follow=follow)


def test_the_last_lines_come_first_and_then_what_is_written_after() -> None:
    first = read(b"a\nb\nc\nd\nhalf")
    assert (first.text, first.place) == ("b\nc\nd\n", Place(7, 8))
    more = read(b"half a line\ne\n", start=8, before=first.place)
    assert (more.text, more.place, more.notes) == ("half a line\ne\n", Place(7, 22), ())
    assert read(b"", start=22, before=more.place).text == ""
    assert read(b"a\nb\n", wanted=0).text == ""
    assert read(b"\n\nx\n").text == "\n\nx\n"


def test_whoever_does_not_follow_sees_also_the_line_that_is_not_whole() -> None:
    assert read(b"a\nhalf", follow=False).text == "a\nhalf\n"


def test_the_end_of_a_large_log_begins_with_a_whole_line() -> None:
    assert read(b"left of a line\nwhole\n", start=FIRST_BYTES).text == "whole\n"


def test_a_log_that_was_rotated_truncated_or_too_fast_says_so() -> None:
    before = Place(7, 100)
    rotated = read(b"new\n", inode=8, before=before)
    assert (rotated.text, rotated.place) == ("new\n", Place(8, 4))
    assert "rotated" in rotated.notes[0]
    truncated = read(b"new\n", before=before)
    assert (truncated.text, truncated.place) == ("new\n", Place(7, 4))
    assert "truncated" in truncated.notes[0]
    skipped = read(b"of a line\nwhole\n", start=5100, before=before)
    assert (skipped.text, skipped.notes) == (
        "whole\n",
        ("5000 bytes were skipped: the log grows faster than it is read",),
    )


def test_a_log_that_is_not_there_yet_is_waited_for() -> None:
    nothing = read(b"", inode=0)
    assert (nothing.text, nothing.notes, nothing.place) == ("", ("there is no log yet",), None)
    # In the middle of a rotation.
    assert read(b"", inode=0, before=Place(7, 5)) == Lines(place=Place(7, 5))


def test_secrets_are_masked_also_where_a_line_is_cut_in_the_middle_of_one() -> None:
    assert read(b"login with hushhush failed\n").text == "login with *** failed\n"
    long = b"x" * (LINE_CHARACTERS - 4) + b"hushhush" + b"y" * 100 + b"\n"
    assert "hush" not in read(long).text
    # A line that is longer than a look: nothing of its rest is shown, for it may begin with half a secret.
    endless = b"x" * (MOST_BYTES - 4) + b"hush"
    first = read(endless, before=Place(7, 0), size=MOST_BYTES + 20)
    assert (first.place, first.more, "hush" in first.text) == (Place(7, MOST_BYTES, in_line=True), True, False)
    rest = read(b"hush and more\nnext\n", start=MOST_BYTES, before=first.place)
    assert (rest.text, rest.place) == ("next\n", Place(7, MOST_BYTES + 19))


def test_bytes_that_are_no_text_do_not_move_the_place() -> None:
    found = read(b"caf\xe9 \xff\nb\n")
    assert (found.text, found.place) == ("caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}\nb\n", Place(7, 9))


@pytest.mark.parametrize("place", [Place(7, 0), Place(12345, 10**12, in_line=True)])
def test_a_place_is_read_as_it_was_written(place: Place) -> None:
    assert Place.parse(str(place)) == place
    assert Place.parse("x:1") is Place.parse("") is Place.parse("1") is None
