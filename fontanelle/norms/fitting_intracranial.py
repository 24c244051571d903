"""Regional volumes beside intracranial volume: how much of the spread is the size of the head.

For the hospital to read. A comparison does not use it: it would call a small lobe in a small head
usual, which is another question.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.norms.small_samples import t_half_width

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IntracranialFit:
    """One region's regression on sex, age and intracranial volume.

    Attributes
    ----------
    slope, low, high
        mL of the region for each mL of intracranial volume, and the 95 % interval.
    residual_sd_ml, residual_sd_without_ml
        With intracranial volume in the regression, and without.
    """

    name: str
    slope: float
    low: float
    high: float
    residual_sd_ml: float
    residual_sd_without_ml: float


def with_intracranial(
    names: tuple[str, ...], design: Floats, volumes_ml: Floats, intracranial_ml: Floats
) -> tuple[IntracranialFit, ...]:
    """Fit all regions once more, with intracranial volume.

    Parameters
    ----------
    design
        1, sex and age less their means, shape (children, 3).
    volumes_ml
        Shape (children, regions).
    intracranial_ml
        Shape (children,).
    """
    wider = np.column_stack([design, intracranial_ml - intracranial_ml.mean()])
    inverse = np.linalg.inv(wider.T @ wider)
    slopes = inverse @ wider.T @ volumes_ml
    sds, before = _residual_sd(wider, volumes_ml), _residual_sd(design, volumes_ml)
    half = t_half_width(len(wider) - wider.shape[1]) * np.sqrt(inverse[3, 3]) * sds
    return tuple(
        IntracranialFit(
            name,
            float(slopes[3, at]),
            float(slopes[3, at] - half[at]),
            float(slopes[3, at] + half[at]),
            float(sds[at]),
            float(before[at]),
        )
        for at, name in enumerate(names)
    )


def _residual_sd(design: Floats, volumes_ml: Floats) -> Floats:
    coefficients, *_ = np.linalg.lstsq(design, volumes_ml)
    squared = ((volumes_ml - design @ coefficients) ** 2).sum(axis=0)
    return np.asarray(np.sqrt(squared / (len(design) - design.shape[1])))
