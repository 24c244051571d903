"""The real package, reference and engine, opened once; small synthetic series, written once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from fontanelle.clock import SystemClock
from fontanelle.norms.reference import shipped
from models.package import find, load
from models.phantom.head import Phantom, Recipe, make
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header, write_series
from worker.inference.opening import open_engine
from worker.pipeline import Outcome, Tools, analyse_path

SMALL = Field(slices=110, rows_columns=(192, 192), step_mm=1.5, pixel_mm=1.15)
LONG = Field(slices=150, rows_columns=(250, 250), step_mm=2.0, pixel_mm=1.2, shift_mm=-70.0)
CUT = Field(slices=75, rows_columns=(192, 192), step_mm=1.6, pixel_mm=1.15, shift_mm=-30.0)
Analyse = Callable[..., Outcome]


@cache
def phantom(recipe: Recipe) -> Phantom:
    return make(recipe)


@pytest.fixture(scope="session")
def tools() -> Tools:
    package = load(find())
    return Tools(package, shipped("xi2025"), open_engine(package))


@pytest.fixture(scope="session")
def analyse(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Analyse:
    """Return a function that scans a phantom, writes it as DICOM and analyses the files."""
    seen: dict[object, Outcome] = {}

    def run(
        recipe: Recipe | None = None,
        *,
        view: View = View.AXIAL,
        field: Field = SMALL,
        header: Header | None = None,
        age_days: int | None = None,
        sex: str | None = None,
    ) -> Outcome:
        recipe, header = recipe or Recipe(), header or Header()
        key = (recipe, view, field, header, age_days, sex)
        if key not in seen:
            folder = tmp_path_factory.mktemp("series")
            write_series(folder, phantom(recipe), grid(view, field), header)
            seen[key] = analyse_path(
                Path(folder), tools, age_days=age_days, sex=sex, clock=SystemClock()
            )
        return seen[key]

    return run
