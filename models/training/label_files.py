"""A folder of one's own label maps to learn from: pairs of files, each checked before it is used.

`NAME_regions.nii.gz` and `NAME_tissues.nii.gz`, in the numbering of `label_maps/README.md`, in
whatever orientation they are stored. Every wrong pair is named, not the first one alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Reason, Refused
from models.training.labelling import LabelMap, read_label_map

SPACING_MM: Final = 1.0
"""Of every map that is learnt from: heads are painted at it."""
SPACING_TOLERANCE_MM: Final = 0.02
STRAY_SHARE: Final = 0.01
"""Share of the brain that may be air, bone or skin in the other file; in the shipped maps none is.
"""

_REGIONS, _TISSUES = "_regions.nii.gz", "_tissues.nii.gz"
_BRAIN: Final = range(1, 33)
_NEVER_BRAIN: Final = (0, 6, 7, 8, 13)
"""Air, bone, skin and air again."""


@dataclass(frozen=True, slots=True, eq=False)
class NamedMap:
    """One head of a folder.

    Attributes
    ----------
    name
        As its two files are called.
    structures, tissues
        uint8, 1 mm, axes (slice, row, column) growing towards (S, P, L).
    """

    name: str
    structures: NDArray[np.uint8]
    tissues: NDArray[np.uint8]


def names(folder: Path) -> list[str]:
    """Return the names of the heads in a folder; each has both files.

    Raises
    ------
    Refused
        INPUT_NOT_FOUND where there is no such folder or nothing in it; PAIRS_INVALID where a file
        lacks its twin.
    """
    if not folder.is_dir():
        raise Refused(Code.INPUT_NOT_FOUND, "There is no folder of label maps at that path.")
    regions, tissues = (
        {file.name.removesuffix(suffix) for file in folder.glob(f"*{suffix}")}
        for suffix in (_REGIONS, _TISSUES)
    )
    if not regions | tissues:
        raise Refused(
            Code.INPUT_NOT_FOUND,
            f"The folder holds no label maps: two files a head, NAME{_REGIONS} and NAME{_TISSUES}.",
        )
    alone = [f"{name}{_TISSUES}" for name in sorted(regions - tissues)]
    alone += [f"{name}{_REGIONS}" for name in sorted(tissues - regions)]
    if alone:
        raise Refused(Code.PAIRS_INVALID, f"Missing beside their twins: {', '.join(alone)}.")
    return sorted(regions)


def read(folder: Path, name: str) -> NamedMap:
    """Read one head and refuse what a network cannot learn from.

    Raises
    ------
    Refused
        As `models.training.labelling.read_label_map`, for voxels that are not of 1 mm, and where
        the two files do not show the same head.
    """
    found = read_label_map(folder / f"{name}{_REGIONS}", folder / f"{name}{_TISSUES}")
    _require_spacing(found)
    _require_one_head(found)
    return NamedMap(name, found.structures, found.tissues)


def read_all(folder: Path, wanted: Sequence[str] = ()) -> list[NamedMap]:
    """Read the heads of a folder, or those that are wanted.

    Raises
    ------
    Refused
        One for all that is wrong, each head by its name; with the code of the first.
    """
    present = names(folder)
    absent = sorted(set(wanted) - set(present))
    if absent:
        raise Refused(
            Code.INPUT_NOT_FOUND,
            f"The folder holds no {', no '.join(absent)}; it holds {', '.join(present)}.",
        )
    found: list[NamedMap] = []
    wrong: list[tuple[str, Reason]] = []
    for name in wanted or present:
        try:
            found.append(read(folder, name))
        except Refused as refusal:
            wrong.append((name, refusal.reason))
    if wrong:
        said = " ".join(f"{name}: {reason.sentence}" for name, reason in wrong)
        raise Refused(wrong[0][1].code, said)
    return found


def _require_spacing(found: LabelMap) -> None:
    steps = found.grid.step_mm
    if max(abs(step - SPACING_MM) for step in steps) > SPACING_TOLERANCE_MM:
        said = " x ".join(f"{step:.2f}" for step in steps)
        raise Refused(
            Code.LABELS_GRID,
            f"Voxels are {said} mm; training needs {SPACING_MM:g} mm, resample them by nearest "
            "neighbour first.",
        )


def _require_one_head(found: LabelMap) -> None:
    """Two files of one shape may still be of two heads, or turned against one another."""
    brain = np.isin(found.structures, _BRAIN)
    stray = float(np.isin(found.tissues[brain], _NEVER_BRAIN).mean())
    if stray > STRAY_SHARE:
        raise Refused(
            Code.LABELS_GRID,
            f"{100 * stray:.0f} % of the brain is air, bone or skin in the tissues: the two files "
            "do not show the same head.",
        )
