"""Tables of a configuration become dataclasses, or one sentence that names all that is wrong."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code, Refused
from models.training.tables import from_table


@dataclass(frozen=True, slots=True)
class Part:
    size: tuple[int, int, int]
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    rate: float
    parts: tuple[Part, ...]
    shares: Mapping[str, float] = field(default_factory=dict)
    note: str | None = None


GOOD = """
name = "one"
rate = 1
shares = {a = 0.5}
[[parts]]
size = [1, 2, 3]
[[parts]]
size = [4, 5, 6]
is_open = true
"""


def test_tables_and_arrays_become_dataclasses_and_tuples() -> None:
    whole = from_table(Whole, tomllib.loads(GOOD))
    assert whole == Whole("one", 1.0, (Part((1, 2, 3)), Part((4, 5, 6), is_open=True)), {"a": 0.5})
    assert isinstance(whole.rate, float)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rate = 1", "rate = 1\nrates = 2", "unknown key rates"),
        ("is_open = true", "is_shut = true", r"unknown key parts\[1\]\.is_shut"),
        ('name = "one"', "", "lacks name"),
        ("size = [1, 2, 3]", "", r"lacks parts\[0\]\.size"),
        ("rate = 1", 'rate = "fast"', "rate = 'fast' where a float belongs"),
        ("rate = 1", "rate = true", "rate = True where a float belongs"),
        ("[1, 2, 3]", "[1, 2]", "3 values belong"),
        ("[1, 2, 3]", "[1, 2, 3.5]", r"size\[2\] = 3.5 where a int belongs"),
        ("[1, 2, 3]", "[1, 2, true]", "where a int belongs"),
        ('name = "one"', 'name = ["one"]', "where a str belongs"),
        ("is_open = true", "is_open = 1", "where a bool belongs"),
        ("shares = {a = 0.5}", "shares = 0.5", "where a Mapping belongs"),
        ("rate = 1", "rate = 1\nnote = 2", "note = 2 where a str belongs"),
    ],
)
def test_what_does_not_fit_is_named(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(Refused, match=said) as refusal:
        from_table(Whole, tomllib.loads(GOOD.replace(old, new, 1)))
    assert refusal.value.reason.code is Code.TRAINING_CONFIG


def test_all_that_is_wrong_is_said_in_one_sentence() -> None:
    table = tomllib.loads(GOOD.replace("rate = 1", "speed = 1"))
    with pytest.raises(Refused, match="unknown key speed; lacks rate") as refusal:
        from_table(Whole, table)
    assert refusal.value.reason.sentence.count(".") == 1


@given(st.text(min_size=1).filter(lambda key: key not in Whole.__dataclass_fields__))
def test_no_unknown_key_passes(key: str) -> None:
    with pytest.raises(Refused, match="unknown key"):
        from_table(Whole, {**tomllib.loads(GOOD), key: 1})
