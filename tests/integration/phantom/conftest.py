"""One plain head for all tests of the phantom, and a field that is small enough to be quick."""

import pytest

from models.phantom.head import Phantom, Recipe, make
from models.phantom.scan import Field

COARSE = Field(slices=80, rows_columns=(96, 96), step_mm=2.0, pixel_mm=2.2)


@pytest.fixture(scope="session")
def plain() -> Phantom:
    return make(Recipe())
