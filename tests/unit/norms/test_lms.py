"""The LMS method, and references whose regions have rows of it."""

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.norms.lms import Lms, LmsRow, between_rows, lms_value, lms_z
from fontanelle.norms.statistics import centile

powers = st.floats(-3, 3)
variations = st.floats(0.01, 0.15)


# CDC 2000, rows around each age as printed; cm, z and centile computed by hand from L, M and S.
@pytest.mark.parametrize(
    ("cm", "lms", "z", "percent"),
    [
        (47.0, (1.314069, 48.630679, 0.029053), -1.1480, 12.5479),
        (44.0, (1.066213, 46.589855, 0.028552), -1.9433, 2.5993),
        (50.5, (0.518801, 47.767374, 0.027870), 2.0252, 97.8576),
        (46.0, (2.088154, 48.141858, 0.030587), -1.4194, 7.7893),
    ],
)
def test_head_circumferences_have_the_z_of_the_growth_chart(cm, lms, z, percent) -> None:
    found = float(lms_z(cm, *lms))

    assert found == pytest.approx(z, abs=1e-4)
    assert centile(found) == pytest.approx(percent, abs=2e-3)


@given(st.floats(-4, 4), powers, st.floats(1, 300), variations)
def test_the_value_of_a_z_has_that_z(z, power, median, variation) -> None:
    if 1 + power * variation * z <= 0.05:
        return
    value = lms_value(z, power, median, variation)

    assert float(lms_z(value, power, median, variation)) == pytest.approx(z, abs=1e-6)


@given(st.floats(0.5, 1.8), st.floats(1.001, 1.5), powers, variations)
def test_more_is_a_higher_z(ratio, factor, power, variation) -> None:
    assert lms_z(ratio * factor, power, 1.0, variation) > lms_z(ratio, power, 1.0, variation)


def test_a_power_of_nothing_is_the_logarithm() -> None:
    assert float(lms_z(exp(0.2), 0.0, 1.0, 0.1)) == pytest.approx(2.0)
    assert float(lms_value(2.0, 0.0, 1.0, 0.1)) == pytest.approx(exp(0.2))
    assert float(lms_z(1.2, 1e-6, 1.0, 0.1)) == pytest.approx(
        float(lms_z(1.2, 0.0, 1.0, 0.1)), 1e-5
    )


@pytest.mark.parametrize(("z", "power"), [(-5.0, 2.0), (5.0, -2.0)])
def test_a_z_that_no_child_can_have_is_refused(z, power) -> None:
    with pytest.raises(ValueError, match="no value has this z"):
        lms_value(z, power, 50.0, 0.1)


def test_between_rows_l_m_and_s_are_linear_and_nothing_is_extrapolated() -> None:
    rows = [LmsRow(10, Lms(1.0, 40.0, 0.1)), LmsRow(20, Lms(3.0, 50.0, 0.2))]

    power, median, variation = between_rows(rows, np.array([15.0, 20.0]))

    assert power == pytest.approx([2.0, 3.0])
    assert median == pytest.approx([45.0, 50.0])
    assert variation == pytest.approx([0.15, 0.2])
    for outside in (9.9, 20.1):
        with pytest.raises(ValueError, match="10 and 20"):
            between_rows(rows, np.array([outside]))
