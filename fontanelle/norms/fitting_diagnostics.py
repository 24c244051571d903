"""Whether a regression may be believed: normal residuals, one SD for all, no child that decides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
FAR_RESIDUAL = 3.0
"""In SDs, each residual beside the regression of all other children."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """One region's residuals, judged.

    Attributes
    ----------
    shapiro_w, shapiro_p
        Normality (Shapiro and Wilk 1965).
    breusch_pagan, breusch_pagan_p
        Whether the spread changes with sex or age (Breusch and Pagan 1979, by Koenker 1981).
    curve_p, interaction_p
        Whether age squared, or another slope for boys, would add something.
    largest_leverage, mean_leverage
        Of a child on its own expected value; the mean is 3 / n.
    largest_cook
        How far one child moves all expected values (Cook 1977); above 1 it decides.
    largest_residual, far_residuals
        Studentised without the child itself; how many are beyond 3 either way.
    """

    shapiro_w: float
    shapiro_p: float
    breusch_pagan: float
    breusch_pagan_p: float
    curve_p: float
    interaction_p: float
    largest_leverage: float
    mean_leverage: float
    largest_cook: float
    largest_residual: float
    far_residuals: int


def diagnose(design: Floats, residuals: Floats) -> Diagnostics:
    """Judge the residuals of one region.

    Parameters
    ----------
    design
        1, sex and age less their means, shape (children, 3).
    residuals
        Of the regression on `design`, shape (children,).
    """
    n, columns = design.shape
    leverage = leverages(design)
    variance = (residuals**2).sum() / (n - columns)
    inside = residuals / np.sqrt(variance * (1.0 - leverage))
    outside = inside * np.sqrt((n - columns - 1) / (n - columns - inside**2))
    shapiro = stats.shapiro(residuals)
    breusch_pagan = n * _explained(design, residuals**2)
    farthest = outside[np.argmax(np.abs(outside))]
    return Diagnostics(
        shapiro_w=float(shapiro.statistic),
        shapiro_p=float(shapiro.pvalue),
        breusch_pagan=breusch_pagan,
        breusch_pagan_p=float(stats.chi2.sf(breusch_pagan, columns - 1)),
        curve_p=_added_p(design, residuals, design[:, 2] ** 2),
        interaction_p=_added_p(design, residuals, design[:, 1] * design[:, 2]),
        largest_leverage=float(leverage.max()),
        mean_leverage=columns / n,
        largest_cook=float((inside**2 * leverage / (1.0 - leverage)).max() / columns),
        largest_residual=float(farthest),
        far_residuals=int((np.abs(outside) > FAR_RESIDUAL).sum()),
    )


def leverages(design: Floats, at: Floats | None = None) -> Floats:
    """Return x' (X'X)^-1 x of every row x of `at`, or of the design itself."""
    inverse = np.linalg.inv(design.T @ design)
    rows = design if at is None else at
    return np.asarray(np.einsum("ij,jk,ik->i", rows, inverse, rows))


def _explained(design: Floats, values: Floats) -> float:
    """Return R squared of a regression of `values` on the design, which holds the constant."""
    left = _left_over(design, values)
    return 1.0 - float((left**2).sum() / ((values - values.mean()) ** 2).sum())


def _added_p(design: Floats, residuals: Floats, column: Floats) -> float:
    """Return p of one more column, by t (Frisch, Waugh and Lovell: both without the design)."""
    rest = _left_over(design, column)
    # Two ages only, or boys of one age: the column says nothing that the design does not.
    if (rest**2).sum() <= 1e-9 * (column**2).sum():
        return float("nan")
    n, columns = design.shape
    slope = float(rest @ residuals / (rest @ rest))
    after = residuals - slope * rest
    variance = float(after @ after) / (n - columns - 1)
    t = slope / np.sqrt(variance / (rest @ rest))
    return float(2.0 * stats.t.sf(abs(t), n - columns - 1))


def _left_over(design: Floats, values: Floats) -> Floats:
    coefficients, *_ = np.linalg.lstsq(design, values)
    return np.asarray(values - design @ coefficients)
