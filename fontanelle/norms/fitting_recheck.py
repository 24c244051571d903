"""The same regressions by statsmodels (extra `cohorts`): another route to every figure."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from fontanelle.norms.cohort import Cohort
from fontanelle.norms.fitting import Fit, RegionFit, design_of


@dataclass(frozen=True, slots=True)
class Recheck:
    """What statsmodels said.

    Attributes
    ----------
    version
        Of statsmodels.
    figures
        How many were compared.
    largest_difference
        Of any figure, as a share of it.
    """

    version: str
    figures: int
    largest_difference: float


def recheck(cohort: Cohort, fitted: Fit, days_per_year: float) -> Recheck | None:
    """Fit every region again; None where statsmodels is not installed."""
    if find_spec("statsmodels") is None:
        return None
    import statsmodels
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.diagnostic import het_breuschpagan

    design = design_of(cohort.is_boy.astype(np.float64), cohort.age_days / days_per_year)
    ours, theirs = [], []
    for at, region in enumerate(fitted.regions):
        again = OLS(cohort.volumes_ml[:, at], design).fit()
        influence = again.get_influence()
        spread, spread_p, *_ = het_breuschpagan(again.resid, design)
        ours += _figures(region)
        theirs += [
            *(again.params[1], again.bse[1], *again.conf_int()[1], again.pvalues[1]),
            *(again.params[2], again.bse[2], *again.conf_int()[2], again.pvalues[2]),
            *(again.params[0], np.sqrt(again.mse_resid), again.rsquared),
            *(spread, spread_p, influence.hat_matrix_diag.max(), influence.cooks_distance[0].max()),
            np.abs(influence.resid_studentized_external).max(),
        ]
    found, wanted = np.asarray(ours), np.asarray(theirs)
    differences = np.abs(found - wanted) / np.maximum(np.abs(wanted), np.finfo(float).tiny)
    return Recheck(statsmodels.__version__, len(ours), float(differences.max()))


def _figures(region: RegionFit) -> list[float]:
    judged = region.diagnostics
    return [
        *(
            number
            for each in (region.sex, region.age)
            for number in (each.value, each.se, each.low, each.high, each.p)
        ),
        *(region.mean_ml, region.residual_sd_ml, region.r_squared),
        *(judged.breusch_pagan, judged.breusch_pagan_p),
        *(judged.largest_leverage, judged.largest_cook),
        abs(judged.largest_residual),
    ]
