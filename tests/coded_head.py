"""A head whose HU spell its regions, and a package of two steps whose networks read them.

Every region of the brain has HU of its own, so a network that looks each voxel up segments without
having learnt anything: what is left to go wrong is geometry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fontanelle.imaging.geometry import Geometry, Grid, Image
from tests.analytic_head import places
from tests.regions import REGIONS

VENTRICLES, CSF = 11, 12
MID_HU, HALF_HU = 50.0, 80.0
SEMI_AXES_MM = (58.0, 72.0, 56.0)
BONE_MM, SKIN_MM = 5.0, 5.0
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
        result[depth > 0.93] = CSF
        result[((own / np.array((14.0, 24.0, 8.0))) ** 2).sum(axis=-1) < 1] = VENTRICLES
        result[depth > 1.0] = 0
        return result

    def image(self, grid: Grid) -> Image:
        """Paint the head."""
        lps = places(grid)
        own = self.own_mm(lps)
        hu = np.full(own.shape[:-1], -1000.0, np.float32)
        for reach, value in ((BONE_MM + SKIN_MM, 20.0), (BONE_MM, 1000.0)):
            outer = np.array(SEMI_AXES_MM) + reach
            hu[((own / outer) ** 2).sum(axis=-1) < 1] = value
        classes = self.classes(lps)
        spelt = np.array([hu_of(code) for code in range(13)], np.float32)
        inside = classes > 0
        hu[inside] = spelt[classes[inside]]
        return Image(hu.astype(np.int16), grid)

    def truth_ml(self, grid: Grid) -> NDArray[np.float64]:
        """Volume of each class, counted on a grid."""
        voxel_ml = grid.plane_voxel_mm3[0] / 1000
        return np.bincount(self.classes(places(grid)).ravel(), minlength=13) * voxel_ml


def hu_of(code: int) -> float:
    """HU that spell a class."""
    return {VENTRICLES: 6.0, CSF: 2.0}.get(code, 8.0 + 4.0 * code)


def oblique(shape: tuple[int, int, int], spacing_mm: float) -> Geometry:
    """Return a grid turned about all axes."""
    axes = Rotation.from_euler("xyz", (11, -8, 14), degrees=True).as_matrix()[:, ::-1] * spacing_mm
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = -axes @ ((np.array(shape) - 1) / 2)
    return Geometry(shape, affine)


def reading_network() -> object:
    """Return a torch module that looks classes up by HU; image (1, 1, S, R, C) in, -1..1."""
    import torch

    class Reading(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            hu = image[:, 0] * HALF_HU + MID_HU
            regions = torch.round((hu - 8.0) / 4.0)
            result = torch.where((regions >= 1) & (regions <= 10), regions, 0.0)
            result = torch.where((hu > 4) & (hu < 10), 11.0, result)
            return torch.where((hu > -5) & (hu <= 4), 12.0, result).to(torch.uint8)

    return Reading()


def write_package(folder: Path, **changes: object) -> Path:
    """Write a package of two steps whose networks read; `changes` replace top-level entries."""
    from fontanelle.imaging.geometry import LabelArray
    from fontanelle.imaging.placement import centroids
    from models.export import export_onnx
    from models.export.to_onnx import run_onnx
    from models.export.toml_text import toml_text
    from models.package import file_sha256
    from models.training.region_set import region_set_text
    from tests.analytic_head import axial

    folder.mkdir(parents=True)
    head = CodedHead()
    grid = axial((64, 96, 64), 2.5)
    labels = LabelArray(head.classes(places(grid)), grid)
    total_ml = float(head.truth_ml(grid)[1:].sum())
    window = {"name": "hu_window", "low_hu": -30.0, "high_hu": 130.0, "outside_hu": -1024.0}
    golden: dict[str, NDArray[np.generic]] = {}
    for file, prefix, shape in (
        ("model.onnx", "", (64, 96, 64)),
        ("localiser.onnx", "localiser_", (48, 64, 48)),
    ):
        export_onnx(reading_network(), folder / file, (32, 32, 32))
        step_mm = 4.0 if prefix else 2.5
        hu = head.image(axial(shape, step_mm)).hu.astype(np.float32)
        stored = np.rint(np.clip((hu - MID_HU) / HALF_HU, -1, 1) * 127).astype(np.int8)
        classes = run_onnx(folder / file, stored[None, None].astype(np.float32) / 127)
        golden[f"{prefix}image"] = stored
        golden[f"{prefix}voxels"] = np.bincount(classes.ravel(), minlength=256)
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **golden)
    (folder / "MODEL_CARD.md").write_text("Reads.")
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
        "preprocessing": {**window, "spacing_mm": 2.5, "fields": [[64, 96, 64]]},
        "localiser": {**window, "spacing_mm": 4.0, "field": [48, 64, 48]},
        "canonical": {"intracranial_ml": total_ml, "center_lps_mm": [0.0, 0.0, 0.0]},
        "placement": {"tolerance": 0.12, "centroids": centroids(labels, total_ml, REGIONS)},
        "files": {name: file_sha256(folder / name) for name in names},
        "training": {},
    }
    text = toml_text(table | changes) + region_set_text()
    (folder / "package.toml").write_text(text)
    return folder


def turned(head: CodedHead, turn_deg: tuple[float, float, float]) -> CodedHead:
    """Return a head turned otherwise."""
    return replace(head, turn_deg=turn_deg)
