"""Which bytes a Range header asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.api.domain.ranges import NoSuchBytes, Span, wanted
from services.api.filed import Filed
from shared.errors import Conflict


@pytest.mark.parametrize(("header", "span"), [
    (None, None), ("", None), ("bytes=0-0", Span(0, 0)), ("bytes=5-", Span(5, 99)), ("bytes=90-500", Span(90, 99)),
    ("bytes=-10", Span(90, 99)), ("bytes=-500", Span(0, 99)), ("Bytes=1-2", Span(1, 2)), ("bytes= 1 - 2 ", Span(1, 2)),
    ("bytes=-", None), ("bytes=7-3", None), ("bytes=0-1,3-4", None), ("items=0-1", None), ("bytes=x-1", None),
    ("bytes=99999999999999999999-", None),
])  # fmt: skip
def test_what_nobody_has_to_understand_asks_for_all(header: str | None, span: Span | None) -> None:
    assert wanted(header, 100) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_bytes_that_are_not_there_are_said_not_to_be(header: str, size: int) -> None:
    with pytest.raises(NoSuchBytes):
        wanted(header, size)


def test_every_span_over_several_parts_is_what_it_is_in_the_whole(tmp_path: Path) -> None:
    pieces = [b"abc", b"", b"defgh", b"i"]
    whole, names = b"".join(pieces), []
    for number, piece in enumerate(pieces):
        (tmp_path / str(number)).write_bytes(piece)
        names.append(str(tmp_path / str(number)))
    filed = Filed.found(names, len(whole), "local")
    for first in range(len(whole)):
        for last in range(first, len(whole)):
            assert b"".join(filed.read(Span(first, last))) == whole[first : last + 1]


def test_a_folder_that_is_not_seen_here_or_has_changed_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="does not see"):
        Filed.found([str(tmp_path / "part-000001")], 5, "local")
    (tmp_path / "part-000001").write_bytes(b"1234")
    with pytest.raises(Conflict, match="not as large"):
        Filed.found([str(tmp_path / "part-000001")], 5, "local")
