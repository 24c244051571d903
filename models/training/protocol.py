"""Which anatomy belongs to which region: label protocols as data.

The numbering of the label maps (structures 0-38, tissues 0-19) is that of
`label_maps/README.md`. A protocol maps it to the classes that a network learns: the parenchyma
of each region, the ventricles, and the CSF outside them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BACKGROUND = 0
VENTRICLES = 11
OUTER_CSF = 12

# Tissue 3 is CSF outside the ventricles; 14 and 15 are vessels, 37 the optic chiasm.
_OUTER_TISSUES = (3, 14, 15)
_CHIASM, _CORD = 37, 38

# Label maps carry CSF down the spinal canal and along the optic nerves; what lies farther from
# the brain than this is not intracranial.
OUTER_CSF_REACH_MM = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    """A named assignment of structures to classes.

    Attributes
    ----------
    name
        As written into the package and the reference.
    structures
        Class of each structure number of the label maps; what is absent is background.
    """

    name: str
    structures: dict[int, int]


# Hypothesis B of Xi's frontal share: frontal takes insula, cingulate, deep grey; temporal takes
# hippocampus and amygdala; the brainstem takes the ventral diencephalon (cerebral peduncles).
# By assignment only: no border has been shifted yet, hence `approximate` in the package.
XI2025_MATCHED = Protocol(
    "xi2025-matched",
    {code: code for code in range(1, 11)}
    | dict.fromkeys((11, 13, 15, 21, 23, 25, 27, 29), 1)
    | dict.fromkeys((12, 14, 16, 22, 24, 26, 28, 30), 2)
    | {17: 7, 18: 8, 19: 7, 20: 8}
    | {31: 10, 32: 10}
    | dict.fromkeys((33, 34, 35, 36), VENTRICLES),
)

PROTOCOLS = {protocol.name: protocol for protocol in (XI2025_MATCHED,)}

# Classes that change places when a head is mirrored.
MIRRORED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 9, 10, 11, 12], dtype=np.uint8)


def classes(
    structures: NDArray[np.uint8],
    tissues: NDArray[np.uint8],
    protocol: Protocol,
    spacing_mm: float = 1.0,
) -> NDArray[np.uint8]:
    """Return the class of each voxel of a label map.

    Parameters
    ----------
    structures, tissues
        Same shape, numbering of the label maps.
    protocol
        The assignment.
    spacing_mm
        Isotropic voxel size.
    """
    table = np.zeros(256, dtype=np.uint8)
    for structure, region in protocol.structures.items():
        table[structure] = region
    result = table[structures]
    brain = result > 0
    distance_mm = ndimage.distance_transform_edt(~brain) * spacing_mm
    outer = np.isin(tissues, _OUTER_TISSUES) | (structures == _CHIASM)
    outer &= ~brain & (structures != _CORD) & (distance_mm <= OUTER_CSF_REACH_MM)
    result[outer] = OUTER_CSF
    return result
