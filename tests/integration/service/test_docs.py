"""The pages that are generated from code are those that lie in docs/."""

import pytest

from fontanelle.errors import Code
from scripts.generate_docs import DOCS, pages


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


def test_every_code_is_documented_with_its_meaning() -> None:
    page = pages()["codes.md"]

    assert all(f"| `{code}` | {code.meaning} |" in page for code in Code)
