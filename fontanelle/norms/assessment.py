"""Children's volumes, scored and judged: the numbers of a comparison without its words.

One child or a whole cohort takes this way, so that a table says what a report says.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.norms.comparison import Conditions
from fontanelle.norms.expectations import Array, expectation, with_sum
from fontanelle.norms.judging import (
    Asymmetries,
    Judged,
    Unfit,
    asymmetries,
    judged,
    limit_of,
    limit_of_pairs,
    side_of_z,
    unfit,
)
from fontanelle.norms.obstacles import reservations
from fontanelle.norms.scoring import Scores, errors_of, scores
from fontanelle.norms.statistics import Z_95
from fontanelle.norms.tiers import offsets_of, tier_of
from fontanelle.norms.values import Reference


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """Volumes beside a reference, shapes (children, lines) and (children, pairs).

    Attributes
    ----------
    volumes
        Of the lines: regions and their sum.
    measurement_percent
        The package's error that the intervals hold; NaN where it was never measured.
    at_birth_age
        Scores at the age since birth; None where it decides for everybody.
    limit
        |z| of a flag; None where nobody is flagged.
    pair_side, pair_is_noted
        As in `Judged`.
    """

    volumes: Array
    scores: Scores
    not_fit: Unfit
    judged: Judged
    measurement_percent: Array
    at_birth_age: Scores | None
    limit: float | None
    asymmetries: Asymmetries
    pair_side: NDArray[np.int8]
    pair_is_noted: NDArray[np.bool_]

    @property
    def regions(self) -> int:
        """How many of the lines are regions."""
        return int(self.not_fit.is_empty.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Children who may be compared, shapes (children,).

    Attributes
    ----------
    ages_days, since_birth_days
        The age that decides, corrected where it is; and the other. Both inside the validity.
    is_boy
        1 for a boy, 0 for a girl.
    """

    ages_days: Array
    since_birth_days: Array
    is_boy: Array


def assess(
    volumes: Array, group: Group, reference: Reference, conditions: Conditions
) -> Assessment:
    """Score and judge the volumes of children who may be compared.

    Parameters
    ----------
    volumes
        Of the reference's regions, in its order, shape (children, regions).
    group
        Whose they are, in the same order.
    reference, conditions
        As in `compare`; obstacles have been looked at before.
    """
    tier, offsets = tier_of(reference, conditions), offsets_of(reference, conditions)
    lines = with_sum(volumes, reference)

    def scored(days: Array) -> tuple[Scores, Array]:
        found = expectation(reference, tier, days, group.is_boy)
        errors = errors_of(found, reference, offsets, conditions.measurement_error_percent)
        return scores(lines, found, errors), 100.0 * errors.measurement / found.typical

    found, measurement_percent = scored(group.ages_days)
    is_corrected = bool((group.ages_days != group.since_birth_days).any())
    # Simulating the limit takes a moment, and nobody asks for it where nothing is flagged.
    limit = None if reservations(reference, conditions) else limit_of(reference)
    not_fit = unfit(volumes, reference)
    pairs = asymmetries(volumes, reference)
    pair_side = side_of_z(pairs.z, limit_of_pairs(reference))
    return Assessment(
        volumes=lines,
        scores=found,
        not_fit=not_fit,
        judged=judged(found, not_fit, Z_95 if limit is None else limit),
        measurement_percent=measurement_percent,
        at_birth_age=scored(group.since_birth_days)[0] if is_corrected else None,
        limit=limit,
        asymmetries=pairs,
        pair_side=pair_side,
        pair_is_noted=(side_of_z(pairs.z, Z_95) != 0) & (pair_side == 0),
    )
