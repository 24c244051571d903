"""A child beside a sample of which mean, SD or regression were estimated, and so are uncertain.

Crawford and Howell 1998 (Clin Neuropsychol 12:482), Crawford and Garthwaite 2002
(Neuropsychologia 40:1196; limits of a centile) and 2007 (Cogn Neuropsychol 24:343; regression).

`leverage` is x0' (X'X)^-1 x0: the variance of the expected value in squared SDs. It is 1/n for a
mean, and more for a regression the further a child is from the centre. `effect` is the distance
from the expected value in SDs of the sample.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from fontanelle.norms.noncentral_t import noncentrality_limits

Array = NDArray[np.float64]
Values = Array | float
TAIL = 0.025
"""On each side of a 95 % interval."""


def t_statistic(effect: Values, leverage: Values) -> Array:
    """Return the distance in SDs of a prediction: t with the sample's degrees of freedom."""
    return np.asarray(effect / np.sqrt(1.0 + leverage))


def t_centile(effect: Values, leverage: Values, df: float) -> Array:
    """Return the point estimate of the share of the population below a child, 0 to 100.

    Parameters
    ----------
    effect, leverage
        As the module says; they broadcast.
    df
        Degrees of freedom: n - 1 for a mean, n - k - 1 for a regression on k variables.
    """
    shares: Array = np.asarray(stdtr(df, t_statistic(effect, leverage)), dtype=np.float64)
    return 100.0 * shares


def t_half_width(df: float) -> float:
    """Return the half width of a two-sided 95 % interval, in standard errors."""
    return float(stdtrit(df, 1.0 - TAIL))


def centile_interval(effect: Values, leverage: Values, df: float) -> tuple[Array, Array]:
    """Return the 95 % limits of the share of the population below a child, 0 to 100.

    effect / sqrt(leverage) follows a non-central t; its non-centrality is sought at which what was
    seen is the 97.5th and the 2.5th centile.
    """
    root = np.sqrt(leverage)
    low, high = noncentrality_limits(effect / root, df)
    return 100.0 * np.asarray(ndtr(low * root)), 100.0 * np.asarray(ndtr(high * root))


def regression_leverage(
    sex_step: Values,
    age_step: Values,
    *,
    n: float,
    male_share: float,
    age_sd: float,
    correlation: float = 0.0,
) -> Array:
    """Return the leverage of a child in a regression on sex and age.

    Parameters
    ----------
    sex_step, age_step
        Sex (1 boy, 0 girl) less the share of boys; age less the mean age.
    n
        Children in the sample.
    male_share, age_sd
        Of the sample; the age's SD with n in the denominator, in the unit of `age_step`.
    correlation
        Of age and sex in the sample.
    """
    sex = sex_step / np.sqrt(male_share * (1.0 - male_share))
    age = age_step / age_sd
    distance = (sex**2 - 2.0 * correlation * sex * age + age**2) / (1.0 - correlation**2)
    return np.asarray((1.0 + distance) / n)
