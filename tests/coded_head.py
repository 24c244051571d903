"""A head whose HU spell its regions, and a package of two steps whose networks read them.

Every region of the brain has HU of its own, so a network that looks each voxel up segments without
having learnt anything: what is left to go wrong is geometry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fontanelle.imaging.geometry import Geometry, Grid, Image, LabelArray
from fontanelle.imaging.placement import centroids
from models.package import file_sha256
from models.toml_text import toml_text
from models.training.region_set import region_set_text
from tests.analytic_head import axial, places
from tests.regions import REGIONS

VENTRICLES, CSF = 11, 12
LOW_HU, HIGH_HU = -30.0, 520.0
"""Half way from brain to bone the window ends, so the inner table is found where it is."""
MID_HU, HALF_HU = (LOW_HU + HIGH_HU) / 2, (HIGH_HU - LOW_HU) / 2
SEMI_AXES_MM = (58.0, 72.0, 56.0)
BONE_MM, SKIN_MM, BONE_HU = 7.0, 5.0, 1000.0
# Centre (L, P, S) of each region's cell, mm; every voxel of the brain belongs to the nearest.
CENTERS: Mapping[str, tuple[float, float, float]] = {
    "left_frontal": (24, -34, 14),
    "right_frontal": (-24, -34, 14),
    "left_parietal": (26, 14, 30),
    "right_parietal": (-28, 16, 30),
    "left_occipital": (20, 50, 4),
    "right_occipital": (-20, 50, 2),
    "left_temporal": (36, -4, -22),
    "right_temporal": (-36, -4, -20),
    "cerebellum": (0, 30, -34),
    "brainstem": (0, -4, -30),
}
# Between two regions interpolation spells those between them: so neighbours follow one another.
SPELT_HU = {
    REGIONS[name].code: 12.0 + 4.0 * place
    for place, name in enumerate(
        (
            "cerebellum",
            "brainstem",
            "left_temporal",
            "left_parietal",
            "left_occipital",
            "left_frontal",
            "right_frontal",
            "right_occipital",
            "right_parietal",
            "right_temporal",
        )
    )
} | {VENTRICLES: 54.0, CSF: 6.0}


@dataclass(frozen=True)
class CodedHead:
    """Where and how large a head is: `turn_deg` about (L, P, S), then `scale`, then `shift_mm`."""

    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mirrored: bool = False
    without: str | None = None
    centers: Mapping[str, tuple[float, float, float]] = field(default_factory=lambda: CENTERS)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """Head to patient."""
        return Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix()

    def own_mm(self, lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places in the head's own frame, upright and of size 1."""
        own = (lps_mm - np.array(self.shift_mm)) @ self.rotation / self.scale
        return own * [-1, 1, 1] if self.mirrored else own

    def classes(self, lps_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Class of each place."""
        own = self.own_mm(lps_mm)
        depth = np.sqrt(((own / np.array(SEMI_AXES_MM)) ** 2).sum(axis=-1))
        centers = np.array(list(self.centers.values()))
        squared = [((own - center) ** 2).sum(axis=-1) for center in centers]
        codes = np.array([REGIONS[name].code for name in self.centers], np.uint8)
        result = codes[np.argmin(squared, axis=0)]
        if self.without is not None:
            result[result == REGIONS[self.without].code] = CSF
        result[((own / np.array((9.0, 16.0, 7.0))) ** 2).sum(axis=-1) < 1] = VENTRICLES
        result[depth > 1.0] = 0
        return result

    def image(self, grid: Grid) -> Image:
        """Paint the head."""
        lps = places(grid)
        own = self.own_mm(lps)
        hu = np.full(own.shape[:-1], -1000.0, np.float32)
        for reach, value in ((BONE_MM + SKIN_MM, 20.0), (BONE_MM, BONE_HU)):
            outer = np.array(SEMI_AXES_MM) + reach
            hu[((own / outer) ** 2).sum(axis=-1) < 1] = value
        classes = self.classes(lps)
        spelt = np.array([SPELT_HU.get(code, 0.0) for code in range(13)], np.float32)
        inside = classes > 0
        hu[inside] = spelt[classes[inside]]
        return Image(hu.astype(np.int16), grid)

    def truth_ml(self, grid: Grid) -> NDArray[np.float64]:
        """Volume of each class, counted on a grid."""
        voxel_ml = grid.plane_voxel_mm3[0] / 1000
        return np.bincount(self.classes(places(grid)).ravel(), minlength=13) * voxel_ml


def oblique(shape: tuple[int, int, int], spacing_mm: float) -> Geometry:
    """Return a grid turned about all axes."""
    axes = Rotation.from_euler("xyz", (11, -8, 14), degrees=True).as_matrix()[:, ::-1] * spacing_mm
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = -axes @ ((np.array(shape) - 1) / 2)
    return Geometry(shape, affine)


def read(hu: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Look the class of each voxel up by its HU; a rim of bone counts as CSF."""
    result = np.where((hu > 60) & (hu < HIGH_HU - 2), CSF, 0).astype(np.uint8)
    for code, spelt in SPELT_HU.items():
        result[np.abs(hu - spelt) <= 2] = code
    return result


def write_network(
    path: Path,
    opset: int = 18,
    element: str = "uint8",
    sides: Sequence[int | str] = ("s", "r", "c"),
    name: str = "image",
) -> None:
    """Write `read` as an ONNX file: the table of a class by HU, of 0.1 HU a step."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    steps = np.arange(LOW_HU, HIGH_HU + 0.1, 0.1).astype(np.float32)
    kind = {"uint8": TensorProto.UINT8, "int64": TensorProto.INT64}[element]
    constants = {
        "table": read(steps).astype(element),
        "gain": np.float32(HALF_HU / 0.1),
        "offset": np.float32((MID_HU - LOW_HU) / 0.1),
        "axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Squeeze", [name, "axis"], ["flat"]),
        helper.make_node("Mul", ["flat", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["place"]),
        helper.make_node("Round", ["place"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["classes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "reading",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, *sides])],
        [helper.make_tensor_value_info("classes", kind, [1, *sides])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, str(path))


FIELD, COARSE_FIELD = (64, 96, 64), (48, 64, 48)
SPACING_MM, COARSE_MM = 2.5, 4.0
WINDOW = {"name": "hu_window", "low_hu": LOW_HU, "high_hu": HIGH_HU, "outside_hu": -1024.0}


@cache
def _golden(field: tuple[int, int, int], spacing_mm: float) -> tuple[NDArray[np.int8], NDArray]:
    """Return a painted head as it is stored, and the voxels of each class in it."""
    hu = CodedHead().image(axial(field, spacing_mm)).hu.astype(np.float32)
    stored = np.rint(np.clip((hu - MID_HU) / HALF_HU, -1, 1) * 127).astype(np.int8)
    classes = read(stored.astype(np.float32) / 127 * HALF_HU + MID_HU)
    return stored, np.bincount(classes.ravel(), minlength=256)


@cache
def _placement() -> tuple[float, dict[str, tuple[float, float, float]]]:
    """Return intracranial volume and centroids of the head as it is."""
    grid = axial(FIELD, SPACING_MM)
    total_ml = float(CodedHead().truth_ml(grid)[1:].sum())
    labels = LabelArray(CodedHead().classes(places(grid)), grid)
    return total_ml, centroids(labels, total_ml, REGIONS)


def write_package(folder: Path, **changes: object) -> Path:
    """Write a package of two steps whose networks read; `changes` replace entries."""
    folder.mkdir(parents=True)
    for name in ("model.onnx", "localiser.onnx"):
        write_network(folder / name)
    (image, voxels), (coarse, counted) = (
        _golden(FIELD, SPACING_MM),
        _golden(COARSE_FIELD, COARSE_MM),
    )
    golden = {"image": image, "voxels": voxels}
    golden |= {"localiser_image": coarse, "localiser_voxels": counted}
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **golden)
    (folder / "MODEL_CARD.md").write_text("Reads.")
    total_ml, centers = _placement()
    names = ("MODEL_CARD.md", "golden.npz", "localiser.onnx", "model.onnx")
    table: dict[str, object] = {
        "schema": "fontanelle.package/2",
        "name": "reading",
        "version": "1",
        "protocol": "xi2025-matched",
        "protocol_match": "approximate",
        "qualified": False,
        "intended_age_days": [548, 913],
        "outer_csf": CSF,
        "known_limits": [],
        "golden_tolerance_ml": 0.5,
        "preprocessing": {**WINDOW, "spacing_mm": SPACING_MM, "fields": [FIELD]},
        "localiser": {**WINDOW, "spacing_mm": COARSE_MM, "field": COARSE_FIELD},
        "canonical": {"intracranial_ml": total_ml, "center_lps_mm": [0.0, 0.0, 0.0]},
        "placement": {"tolerance": 0.15, "centroids": centers},
        "files": {name: file_sha256(folder / name) for name in names},
        "training": {},
    }
    kept = {key: value for key, value in (table | changes).items() if value is not None}
    (folder / "package.toml").write_text(toml_text(kept) + region_set_text())
    return folder
