"""Labels for a site's own CT: painted heads are laid over it and their labels carried along.

This is how Xi et al. 2025 made what they train on and call ground truth (one template; here
several, by majority). It is no truth: lobes come out where the templates have them, and agreement
with such labels is agreement with a registration.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.errors import Code, Refused
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from fontanelle.imaging.head import Head, axis_aligned, find_head
from fontanelle.imaging.resample import restored, sampled
from models.phantom.head import Recipe, make
from models.training.alignment import Start, aligned, greys, itk_image, mutual_information
from models.training.heads import HELD_OUT, names
from models.training.labelling import region_set
from models.training.protocol import OUTER_CSF, Protocol

TEMPLATES = ("toddler_24mo", "head_07", "head_13")
"""A child of two and two adults with narrow sulci; for an older head add one with wide ones."""
SPACING_MM = 2.0
"""Of the grid on which heads are laid over one another; labels are carried on half of it."""
MARGIN_MM = 16.0
"""Around the head's box: vault and skull base."""
SKULL_MM = 8.0
"""What is compared reaches so far beyond the inside of the skull."""
BRAIN_HU = (-15.0, 250.0)
"""Wide, as a voxel at the inner table is half bone; noise and bone thinner than that stay apart."""
BOX_MM = 8.0
"""The head's box is that of whole coarse voxels of brain: the rim lies outside."""
OPENING_MM = 6.0
"""Half the width of passages out of the skull that are closed: orbits, nerves; not the foramen."""
INSIDE_DICE_MIN = 0.90
"""Least overlap of the template's inside of the skull with the CT's."""
INFORMATION_MIN = 0.46
"""Least mutual information, nats: heads of other people reach 0.51 to 0.66 at 3 mm, a skull that
holds no brain's anatomy 0.43."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A painted head and its classes, axes growing towards (S, P, L).

    Attributes
    ----------
    name
        Of its label map.
    hu, classes
        int16 and uint8 on `grid`.
    head
        As found in it, by the means by which a CT's is found.
    """

    name: str
    hu: NDArray[np.int16]
    classes: NDArray[np.uint8]
    grid: Geometry
    head: Head


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one template lies on the CT.

    Attributes
    ----------
    template
        Its name.
    information
        Mutual information of CT and template in and around the skull, nats.
    inside_dice
        Overlap of the insides of the two skulls.
    """

    template: str
    information: float
    inside_dice: float

    @property
    def is_good(self) -> bool:
        """Whether its labels may be carried over."""
        return self.information >= INFORMATION_MIN and self.inside_dice >= INSIDE_DICE_MIN

    @property
    def sentence(self) -> str:
        """Both figures, for people."""
        return (
            f"{self.template}: overlap of the skull's inside {self.inside_dice:.2f}, "
            f"mutual information {self.information:.2f}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A CT as templates are laid over it.

    Attributes
    ----------
    head
        As found.
    field, fine
        Grids of the registration and of the labels, along the patient's axes.
    hu
        On `field`.
    inside
        What the skull holds, on `field`.
    """

    head: Head
    field: Geometry
    fine: Geometry
    hu: NDArray[np.float32]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, image: Image, spacing_mm: float) -> Self:
        """Find the head and sample it."""
        head = find_head(image)
        field = _field(head, spacing_mm)
        hu = sampled(image, field, -1024.0)
        return cls(head, field, _field(head, spacing_mm / 2), hu, skull_inside(hu, field, head))


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Labels of a CT, and what they are worth.

    Attributes
    ----------
    labels
        Codes of the region set on the CT's grid.
    fits
        Of every template that was tried; those that are not good had no vote.
    agreement
        Share of labelled voxels in which the voting templates agree with the outcome, 0..1.
    """

    labels: LabelArray
    fits: tuple[Fit, ...]
    agreement: float


def require_templates(wanted: Sequence[str]) -> None:
    """Refuse names of heads that may not or cannot be laid over a CT.

    Raises
    ------
    Refused
        HELD_OUT for a head that networks are judged on: labels carried from it would be learnt.
        INPUT_NOT_FOUND for one that is not shipped.
    """
    for name in wanted:
        if name in HELD_OUT:
            raise Refused(Code.HELD_OUT, f"{name} is held out: it may be no template.")
        if name not in names():
            allowed = ", ".join(sorted(set(names()) - set(HELD_OUT)))
            raise Refused(
                Code.INPUT_NOT_FOUND, f"There is no label map {name}; templates are: {allowed}."
            )


def template(name: str, protocol: Protocol) -> Template:
    """Paint a label map as a template.

    Raises
    ------
    Refused
        As `require_templates`.
    """
    require_templates([name])
    phantom = make(Recipe(label_map=name, protocol=protocol))
    shape = phantom.hu.shape
    grid = Geometry((shape[0], shape[1], shape[2]), phantom.affine_lps_mm)
    return Template(name, phantom.hu, phantom.codes, grid, find_head(Image(phantom.hu, grid)))


def carried_labels(
    image: Image, templates: Iterable[Template], *, spacing_mm: float = SPACING_MM
) -> Carried:
    """Carry the labels of painted heads over to a CT.

    Parameters
    ----------
    image
        A head CT on any grid.
    templates
        Heads to lay over it, taken one by one; the vote of each that fits counts alike, ties go to
        the best.
    spacing_mm
        Isotropic voxel for the registration.

    Raises
    ------
    Refused
        NO_BRAIN or BRAIN_CUT where no head is found; REGISTRATION_FAILED where no template fits.
    """
    target = Target.of(image, spacing_mm)
    laid = [_laid(one, target) for one in templates]
    good = [(fit, classes) for fit, classes in laid if fit.is_good]
    if not good:
        figures = "; ".join(fit.sentence for fit, _ in laid)
        raise Refused(
            Code.REGISTRATION_FAILED,
            f"No template fits: {figures} (at least {INSIDE_DICE_MIN:.2f} and "
            f"{INFORMATION_MIN:.2f} are needed).",
        )
    good.sort(key=lambda one: one[0].information, reverse=True)
    votes = [classes for _, classes in good]
    fused = majority(votes)
    codes = assemble(fused, region_set(), OUTER_CSF)
    labels = restored(codes, target.fine, image.grid)
    agreement = float(np.mean([(vote == fused)[fused > 0].mean() for vote in votes]))
    return Carried(labels, tuple(fit for fit, _ in laid), agreement)


def majority(votes: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return the class with most votes in each voxel; of a tie, that of the earliest array."""
    winner = votes[0].copy()
    most = np.zeros(winner.shape, dtype=np.uint8)
    for candidate in votes:
        count = np.asarray(sum((vote == candidate).astype(np.uint8) for vote in votes))
        better = np.asarray(count > most)
        winner[better], most[better] = candidate[better], count[better]
    return winner


def skull_inside(hu: NDArray[np.float32], field: Geometry, head: Head) -> NDArray[np.bool_]:
    """Return what the skull holds: tissue in the head's box, without what hangs on by a thread."""
    smooth = ndimage.gaussian_filter(hu, 0.5)
    tissue = (smooth > BRAIN_HU[0]) & (smooth < BRAIN_HU[1]) & _in_box(field, head)
    steps = max(1, round(OPENING_MM / field.step_mm[0]))
    core = _largest(np.asarray(ndimage.binary_erosion(tissue, iterations=steps)))
    grown = ndimage.binary_dilation(core, iterations=steps + 1, mask=tissue)
    return np.asarray(ndimage.binary_fill_holes(grown))


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels = np.asarray(ndimage.label(mask)[0])
    sizes = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(np.argmax(sizes)) if sizes.size else mask


def _laid(one: Template, target: Target) -> tuple[Fit, NDArray[np.uint8]]:
    """Lay one template over the CT; return how it fits and its classes on the fine grid."""
    fixed, moving = greys(target.hu, target.field), greys(one.hu, one.grid)
    reach = max(1, round(SKULL_MM / target.field.step_mm[0]))
    compared = ndimage.binary_dilation(target.inside, iterations=reach)
    mask = itk_image(compared.astype(np.uint8), target.field)
    scale = (one.head.inside_ml / target.head.inside_ml) ** (1 / 3)
    start = Start(_middle(target.inside, target.field), _middle(one.classes, one.grid), scale)
    transform = aligned(fixed, mask, moving, start)
    within = _moved(one, transform, target.field) > 0
    both = float((within & target.inside).sum())
    fit = Fit(
        one.name,
        information=mutual_information(fixed, mask, moving, transform),
        inside_dice=2.0 * both / float(within.sum() + target.inside.sum()),
    )
    return fit, _moved(one, transform, target.fine)


def _middle(mask: NDArray[np.generic], grid: Geometry) -> tuple[float, float, float]:
    """Return the mean place of a mask in LPS mm; the middle of a head's box may lie in its neck."""
    x, y, z = grid.to_patient(np.argwhere(mask).mean(axis=0)).tolist()
    return x, y, z


def _moved(one: Template, transform: sitk.Transform, grid: Geometry) -> NDArray[np.uint8]:
    target = itk_image(np.zeros(grid.shape, np.uint8), grid)
    source = itk_image(one.classes, one.grid)
    moved = sitk.Resample(source, target, transform, sitk.sitkNearestNeighbor, 0)
    return np.asarray(sitk.GetArrayFromImage(moved), dtype=np.uint8)


def _field(head: Head, spacing_mm: float) -> Geometry:
    low, high = np.array(head.low_lps_mm) - MARGIN_MM, np.array(head.high_lps_mm) + MARGIN_MM
    count = np.ceil((high - low) / spacing_mm).astype(int)[::-1]
    return axis_aligned(tuple(count.tolist()), spacing_mm, low + spacing_mm / 2)


def _in_box(field: Geometry, head: Head) -> NDArray[np.bool_]:
    inside = np.ones(field.shape, dtype=np.bool_)
    for axis in range(3):
        places = field.affine_lps_mm[2 - axis, 3] + field.step_mm[axis] * np.arange(
            field.shape[axis]
        )
        low, high = head.low_lps_mm[2 - axis] - BOX_MM, head.high_lps_mm[2 - axis] + BOX_MM
        within = (places > low) & (places < high)
        inside &= within[tuple(slice(None) if i == axis else None for i in range(3))]
    return inside
