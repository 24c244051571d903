"""How a head lies and how large it is: the similarity between a package's canonical frame and it.

In the canonical frame every head is upright, centred and of one size, so that a network sees
turn, place and size as given instead of having to learn them. Regions' centroids tell the pose.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.placement import Placement, centroids, centroids_lps_mm, rigid_fit
from fontanelle.imaging.regions import RegionSet


@dataclass(frozen=True, slots=True)
class Canonical:
    """The frame in which a package's network sees heads; axes (L, P, S).

    Attributes
    ----------
    intracranial_ml
        Volume to which every head is scaled.
    field
        Voxels of the network's field, (slice, row, column), growing towards (S, P, L).
    spacing_mm
        Isotropic voxel of the field, in canonical mm.
    center_lps_mm
        Middle of the field relative to the mean of the regions' centroids, in canonical mm.
    """

    intracranial_ml: float
    field: tuple[int, int, int]
    spacing_mm: float
    center_lps_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A similarity from the canonical frame to a patient.

    Attributes
    ----------
    rotation
        Shape (3, 3), proper: canonical (L, P, S) to patient (L, P, S).
    scale
        Patient mm for one canonical mm.
    middle_lps_mm
        Mean of the regions' centroids in the patient, mm.
    misplaced
        Largest distance of a centroid from its expected place after the fit, in the unit of
        `fontanelle.imaging.placement.Placement`.
    mirrored
        Whether a reflection would fit better.
    """

    rotation: NDArray[np.float64]
    scale: float
    middle_lps_mm: tuple[float, float, float]
    misplaced: float
    mirrored: bool

    @property
    def turn_deg(self) -> float:
        """Angle of the turn from the patient's axes."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


def find_pose(
    labels: LabelArray,
    intracranial_ml: float,
    region_set: RegionSet,
    placement: Placement,
    canonical: Canonical,
) -> Pose | None:
    """Fit the canonical frame to a head by its regions' centroids.

    Parameters
    ----------
    labels
        Codes of `region_set` on a regular grid; a coarse one tells the pose to about 3 degrees.
    intracranial_ml
        Of the same labels.
    region_set, placement, canonical
        Of the package.

    Returns
    -------
    None where a region is missing.
    """
    found = centroids(labels, intracranial_ml, region_set)
    names = [region.name for region in region_set.regions]
    if any(name not in found for name in names):
        return None
    expected = np.array([placement.centroids[name] for name in names])
    places = np.array([found[name] for name in names])
    rotation, mirrored = rigid_fit(expected, places)
    misplaced = np.linalg.norm(places - expected @ rotation.T, axis=1)
    middle = np.mean(list(centroids_lps_mm(labels, region_set).values()), axis=0)
    return Pose(
        rotation=rotation,
        scale=float((intracranial_ml / canonical.intracranial_ml) ** (1 / 3)),
        middle_lps_mm=(float(middle[0]), float(middle[1]), float(middle[2])),
        misplaced=float(misplaced.max()),
        mirrored=mirrored,
    )


def canonical_grid(pose: Pose, canonical: Canonical) -> Geometry:
    """Return the network's field as a grid in the patient: turned, and scaled in all axes alike."""
    step_mm = canonical.spacing_mm * pose.scale
    # Columns of the rotation are the canonical L, P and S axes; arrays count (S, P, L).
    axes = pose.rotation[:, ::-1] * step_mm
    middle = np.array(pose.middle_lps_mm) + pose.rotation @ (
        pose.scale * np.array(canonical.center_lps_mm)
    )
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = middle - axes @ ((np.array(canonical.field) - 1) / 2)
    return Geometry(canonical.field, affine)
