"""Cursors: opaque, and none but ours is taken."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code, Refused
from service.api.lists import LARGEST_ID, before, cursor_of, cut


@given(st.integers(1, LARGEST_ID))
def test_a_cursor_goes_on_after_the_id_that_it_was_made_of(last_id: int) -> None:
    assert before(cursor_of(last_id)) == last_id


def test_without_a_cursor_a_list_begins_at_its_beginning() -> None:
    assert before(None) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "4711",
        "ä",
        "====",
        cursor_of(5)[:-2],
        *(
            urlsafe_b64encode(text.encode()).decode()
            for text in ("before 0", "before -1", "before x", "after 5", f"before {LARGEST_ID + 1}")
        ),
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Refused) as refused:
        before(cursor)
    assert refused.value.reason.code is Code.REQUEST_INVALID


def test_a_page_that_is_not_full_has_no_next() -> None:
    assert cut([3, 2, 1], 3, lambda each: each) == ([3, 2, 1], None)


def test_the_next_page_begins_after_the_last_item_of_this_one() -> None:
    items, following = cut([4, 3, 2, 1], 3, lambda each: each)

    assert (list(items), before(following)) == ([4, 3, 2], 2)
