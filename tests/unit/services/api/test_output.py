"""Output comes out in the order in which it was printed, whichever piece comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.api.domain.output import KEPT, REMEMBERED, Mark, with_piece


def put_together(pieces: list[tuple[int, str]]) -> str:
    text, marks = "", list[Mark]()
    for sequence, piece in pieces:
        text, marks = with_piece(text, marks, sequence, piece)
    return text


@given(st.lists(st.text(max_size=5), max_size=30).flatmap(lambda texts: st.permutations(list(enumerate(texts)))))
def test_pieces_that_overtake_each_other_are_put_where_they_belong(pieces: list[tuple[int, str]]) -> None:
    assert put_together(pieces) == "".join(text for _, text in sorted(pieces))


def test_of_a_long_output_the_end_is_kept_and_a_late_piece_of_what_is_cut_off_harms_nothing() -> None:
    pieces = [(number, f"{number:09d}\n") for number in range(1, KEPT // 10 + 500)]
    whole = "".join(text for _, text in pieces)
    assert put_together(pieces) == whole[-KEPT:]
    assert put_together([*pieces, (0, "late\n")]).endswith(whole[-10 * REMEMBERED :])
