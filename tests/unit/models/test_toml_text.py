"""Tables written as TOML are read back as they were."""

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toml_text import toml_text

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
TABLE = st.recursive(
    st.dictionaries(TEXT, PLAIN | st.lists(PLAIN)),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b c", "d.e", "model.onnx"]), inner),
    max_leaves=6,
)


@given(TABLE)
def test_any_table_is_read_back(table: dict) -> None:
    assert tomllib.loads(toml_text(table)) == table


def test_a_sentence_with_quotation_marks_is_read_back() -> None:
    said = 'It says "no".\nAnd \\ that.'
    assert tomllib.loads(toml_text({"limits": [said]})) == {"limits": [said]}


def test_what_toml_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_text({"a": None})
    assert math.isclose(tomllib.loads(toml_text({"a": 1e-7}))["a"], 1e-7)
