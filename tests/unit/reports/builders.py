"""A small asymmetric head, its result, and the CT slices it was measured on, in any stance.

The head is described in patient space and sampled on the slices' own planes: its left frontal
block is larger than its right one and lies at positive x, whatever the order of the slices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fontanelle.errors import Code, Reason
from fontanelle.imaging.geometry import Grid, Image, LabelArray, stack, stacking_order
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.quality import Grade, QualityCheck
from fontanelle.imaging.regions import Coded, Region, RegionSet
from fontanelle.imaging.volumes import measure
from fontanelle.norms.comparison import (
    AsymmetryComparison,
    Comparison,
    Flag,
    Multiplicity,
    ProtocolMatch,
    RegionComparison,
    Sex,
    SiteStatus,
    Tier,
)
from fontanelle.norms.head_size import HeadSize, Measured, head_size
from fontanelle.norms.serial import (
    SerialComparison,
    Visit,
    VisitRegion,
    compare_with_earlier,
)
from fontanelle.reports.result import (
    EngineUsed,
    Fitness,
    Identity,
    PackageUsed,
    Result,
    ScanFacts,
    State,
)

SIZE = 48
"""Rows and columns."""
PIXEL_MM = (4.0, 4.0)


def _lobe(code: int, side: str, lobe: str, snomed: str, rgb: tuple[int, int, int]) -> Region:
    return Region(
        code=code,
        csf_code=code + 20,
        name=f"{side}_{lobe}",
        label=f"{side.capitalize()} {lobe} lobe",
        laterality=side,
        pair=lobe,
        property_type=Coded(snomed, "SCT", f"{lobe.capitalize()} lobe"),
        rgb=rgb,
    )


# Codes and colours of the ten regions as the first package declares them.
REGIONS = (
    _lobe(1, "left", "frontal", "83251001", (230, 97, 1)),
    _lobe(2, "right", "frontal", "83251001", (253, 184, 99)),
    _lobe(3, "left", "parietal", "16630005", (27, 120, 55)),
    _lobe(4, "right", "parietal", "16630005", (127, 191, 123)),
    _lobe(5, "left", "occipital", "31065004", (33, 102, 172)),
    _lobe(6, "right", "occipital", "31065004", (103, 169, 207)),
    _lobe(7, "left", "temporal", "78277001", (118, 42, 131)),
    _lobe(8, "right", "temporal", "78277001", (194, 165, 207)),
    Region(
        9,
        29,
        "cerebellum",
        "Cerebellum",
        None,
        None,
        Coded("113305005", "SCT", "Cerebellum"),
        (191, 129, 45),
    ),
    Region(
        10,
        30,
        "brainstem",
        "Brainstem",
        None,
        None,
        Coded("119238007", "SCT", "Brain Stem"),
        (128, 128, 128),
    ),
)
VENTRICLES = Region(
    11,
    None,
    "ventricles",
    "Ventricles",
    None,
    None,
    Coded("35764002", "SCT", "Brain ventricle"),
    (64, 224, 208),
)
REGION_SET = RegionSet("xi2025", REGIONS, VENTRICLES)


@dataclass(frozen=True, slots=True)
class Stance:
    """How the slices lie: orientation (six numbers) and one position a slice, as acquired."""

    name: str
    orientation: tuple[float, ...]
    positions_lps_mm: tuple[tuple[float, float, float], ...]
    patient_position: str = "HFS"


def _steps(corner: Sequence[float], step: Sequence[float], count: int) -> list[list[float]]:
    return [[float(c + k * s) for c, s in zip(corner, step, strict=True)] for k in range(count)]


def _stance(
    name: str, orientation: Sequence[float], positions: Sequence[Sequence[float]], **more: str
) -> Stance:
    return Stance(name, tuple(orientation), tuple((p[0], p[1], p[2]) for p in positions), **more)


def _centred(orientation: Sequence[float], step: Sequence[float], count: int) -> list[list[float]]:
    """Place a stack so that its middle lies in the origin."""
    row, column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    middle = (SIZE - 1) / 2 * (row * PIXEL_MM[1] + column * PIXEL_MM[0])
    corner = -middle - (count - 1) / 2 * np.asarray(step)
    return _steps(corner.tolist(), step, count)


AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_T = np.deg2rad(18.5)
TILT = (1.0, 0.0, 0.0, 0.0, float(np.cos(_T)), float(-np.sin(_T)))
_A, _B = np.deg2rad(11.0), np.deg2rad(-7.0)
_TURN = np.array([[np.cos(_A), -np.sin(_A), 0], [np.sin(_A), np.cos(_A), 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, np.cos(_B), -np.sin(_B)], [0, np.sin(_B), np.cos(_B)]]
)
OBLIQUE = (*_TURN[:, 0].tolist(), *_TURN[:, 1].tolist())
UNEVEN_Z = [
    -66.0,
    -61,
    -56,
    -51,
    -46,
    -41,
    -36,
    -31,
    -26,
    -21,
    -16,
    -9,
    -2,
    5,
    12,
    19,
    26,
    33,
    40,
    47,
    54,
    61,
    68,
]

STANCES = (
    _stance("axial", AXIAL, _centred(AXIAL, (0, 0, 6.0), 23)),
    _stance("reversed", AXIAL, _centred(AXIAL, (0, 0, 6.0), 23)[::-1]),
    # Feet first, supine: columns run to the patient's right, and the table travels to the feet.
    _stance(
        "feet_first",
        (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        _centred((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0, 0, 6.0), 23),
        patient_position="FFS",
    ),
    _stance("oblique", OBLIQUE, _centred(OBLIQUE, (6 * _TURN[:, 2]).tolist(), 23)),
    # Tilted gantry: the table moves along z, the planes lean by 18.5 degrees.
    _stance("tilted", TILT, _centred(TILT, (0, 0, 6.0), 23)),
    _stance("uneven", AXIAL, [[-94.0, -94.0, z] for z in UNEVEN_Z]),
)
BY_NAME = {stance.name: stance for stance in STANCES}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A result with all that its objects are rendered from."""

    result: Result
    labels: LabelArray
    image: Image
    sources: list[Dataset]


def case(stance: str = "axial", size: int = SIZE, **changes: object) -> Case:
    """Build a case in one stance; `changes` replace fields of the result."""
    chosen = BY_NAME[stance]
    order = stacking_order(chosen.positions_lps_mm, chosen.orientation)
    positions = [chosen.positions_lps_mm[k] for k in order]
    grid = stack(positions, chosen.orientation, PIXEL_MM, (size, size))
    labels = labels_on(grid)
    image = Image(hu_at(_points(grid), labels.codes), grid)
    sources = [source(chosen, k, size) for k in order]
    return Case(result(labels, **changes), labels, image, sources)


def labels_on(grid: Grid, centre_lps_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> LabelArray:
    """Return the head's label array on a grid, its middle at a given place."""
    return LabelArray(codes_at(_points(grid) - np.asarray(centre_lps_mm)), grid)


def codes_at(points_lps_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the head's region codes at points (..., 3): larger on the left than on the right."""
    x, y, z = np.moveaxis(points_lps_mm, -1, 0)
    half_width = np.where(x > 0, 60.0, 48.0)
    inside = (x / half_width) ** 2 + (y / 74.0) ** 2 + (z / 58.0) ** 2 < 1
    lobe = np.select([z < -22, y < -18, y > 40], [7, 1, 5], 3)
    codes = np.where(x > 0, lobe, lobe + 1)
    codes[(z < -22) & (y > 10)] = 9
    codes[(z < -22) & (np.abs(x) < 12) & (np.abs(y) < 10)] = 10
    codes[(np.abs(x) < 14) & (np.abs(y) < 26) & (np.abs(z) < 14)] = 11
    rim = inside & ((x / half_width) ** 2 + (y / 74.0) ** 2 + (z / 58.0) ** 2 > 0.86)
    codes = np.where(rim & (codes < 11), codes + 20, codes)
    return np.where(inside, codes, 0).astype(np.uint8)


def hu_at(points_lps_mm: NDArray[np.float64], codes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return plausible HU: brain 35, CSF 8, a ring of bone, air."""
    x, y, z = np.moveaxis(points_lps_mm, -1, 0)
    r = (x / np.where(x > 0, 66.0, 54.0)) ** 2 + (y / 80.0) ** 2 + (z / 64.0) ** 2
    hu = np.where(r < 1.0, 700, np.where(r < 1.12, 20, -1000))
    hu = np.where(codes > 0, 35, hu)
    hu = np.where(codes >= 11, 8, hu)
    return hu.astype(np.int16)


def _points(grid: Grid) -> NDArray[np.float64]:
    rows, columns = np.meshgrid(np.arange(grid.shape[1]), np.arange(grid.shape[2]), indexing="ij")
    planes = []
    for k in range(grid.shape[0]):
        affine = grid.plane_affine(k)
        planes.append(
            affine[:3, 3] + rows[..., None] * affine[:3, 1] + columns[..., None] * affine[:3, 2]
        )
    return np.stack(planes)


def source(stance: Stance, index: int, size: int = SIZE) -> Dataset:
    """Return one CT slice without pixel data."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SpecificCharacterSet = "ISO_IR 100"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.7.{index + 1}"
    data.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.5"
    data.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.6"
    data.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.8"
    data.PositionReferenceIndicator = ""
    data.PatientName = "Müller^Änne"
    data.PatientID = "P-0815"
    data.IssuerOfPatientID = "KLINIKUM"
    data.PatientBirthDate = "20230110"
    data.PatientSex = "M"
    data.PatientAge = "023M"
    data.StudyDate, data.StudyTime = "20250102", "101500"
    data.AcquisitionDate, data.AcquisitionTime = "20250102", "101700"
    data.StudyID = "S1"
    data.StudyDescription = "Schädel-CT"
    data.AccessionNumber = "A4711"
    data.ReferringPhysicianName = "Weiß^Otto"
    data.InstitutionName = "Klinikum"
    data.SeriesDate, data.SeriesTime = "20250102", "101600"
    data.ContentDate, data.ContentTime = "20250102", "101800"
    data.KVP = 100
    data.AcquisitionNumber = 1
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation, data.RescaleIntercept, data.RescaleSlope = 1, 0, 1
    data.Manufacturer = "Scanner Works"
    data.ManufacturerModelName = "S1"
    data.Modality = "CT"
    data.SeriesNumber = 2
    data.InstanceNumber = index + 1
    data.PatientPosition = stance.patient_position
    data.Rows = data.Columns = size
    data.PixelSpacing = list(PIXEL_MM)
    data.SliceThickness = 6
    data.ImageOrientationPatient = [round(v, 9) for v in stance.orientation]
    data.ImagePositionPatient = [round(v, 6) for v in stance.positions_lps_mm[index]]
    return data


UNCALIBRATED = Reason(Code.SITE_UNCALIBRATED, "No normal heads of this site were measured yet.")
APPROXIMATE = Reason(Code.PROTOCOL_APPROXIMATE, "The regions match by assignment only.")
UNKNOWN_AGE = Reason(Code.AGE_UNKNOWN, "There is no birth date and no stated age.")


def comparison(*, compared: bool = True) -> Comparison:
    """Return a comparison whose numbers are invented, or one that says why there is none."""
    pairs = dict.fromkeys(region.pair for region in REGIONS if region.pair)
    reasons = (UNCALIBRATED, APPROXIMATE) if compared else (UNKNOWN_AGE,)
    return Comparison(
        reference_id="xi2025",
        reference_version="sha256:" + "cd" * 32,
        tier=Tier.DERIVED,
        site_status=SiteStatus.NONE,
        regions=tuple(_compared(r.name, k, reasons, compared) for k, r in enumerate(REGIONS)),
        total=_compared("total", len(REGIONS), reasons, compared),
        asymmetry=tuple(
            AsymmetryComparison(
                str(pair),
                2.7312 + k,
                0.28 if compared else None,
                Flag.UNCALIBRATED if compared else Flag.NOT_COMPARED,
                reasons,
                1.9104 if compared else None,
                2.931 if compared else None,
            )
            for k, pair in enumerate(pairs)
        ),
        reasons=reasons,
    )


def _compared(name: str, k: int, reasons: tuple[Reason, ...], compared: bool) -> RegionComparison:
    if not compared:
        return RegionComparison(name, Flag.NOT_COMPARED, reasons)
    return RegionComparison(
        region=name,
        flag=Flag.UNCALIBRATED,
        reasons=reasons,
        expected_ml=100.2262 + k,
        low_ml=80.5,
        high_ml=130.25,
        z=-0.46414 + k / 7,
        z_low=-1.9,
        z_high=1.01,
        centile=32.1284,
        pooled_z=-0.00052,
        pooled_centile=49.98,
        centile_low=2.87,
        centile_high=84.38,
        sd_ml=12.75,
        share_percent=10.0,
    )


def judged(base: Comparison | None = None, low: int = 1) -> Comparison:
    """Return a comparison of a qualified site: so many regions are low, and flagged."""
    base = base or comparison()
    kept = replace(base.regions[0], reasons=(), measurement_error_percent=1.25)
    regions = tuple(
        replace(
            kept,
            region=each.region,
            flag=Flag.LOW if k < low else Flag.NOT_FLAGGED,
            z=-2.61 if k < low else each.z,
        )
        for k, each in enumerate(base.regions)
    )
    return replace(
        base,
        site_status=SiteStatus.QUALIFIED,
        tier=Tier.CALIBRATED,
        regions=regions,
        asymmetry=tuple(
            replace(pair, flag=Flag.NOT_FLAGGED, reasons=()) for pair in base.asymmetry
        ),
        reasons=(),
        total=replace(kept, region="total"),
        multiplicity=Multiplicity(2.54, low, len(REGIONS), 16.1, is_small_head=low > 6),
    )


def preterm(base: Comparison | None = None) -> Comparison:
    """Return a comparison by corrected age, with what the age since birth would have said."""
    base = base or comparison()
    return replace(
        base,
        corrected_age_days=667,
        regions=tuple(
            replace(
                each,
                chronological_expected_ml=103.5,
                chronological_z=-0.6512,
                chronological_centile=25.7,
            )
            for each in base.regions
        ),
    )


def head_of(
    *, given_cm: float | None = None, measured_cm: float | None = 47.0, age_days: int | None = 723
) -> HeadSize:
    """Return the size of the head of a boy."""
    hidden = Reason(Code.HEAD_NOT_IN_VIEW, Code.HEAD_NOT_IN_VIEW.meaning)
    return head_size(
        Measured(
            intracranial_ml=1030.4,
            cephalic_index=82.5,
            given_cm=given_cm,
            measured_cm=measured_cm,
            error_cm=None if measured_cm is None else 0.5,
            not_measured=hidden if measured_cm is None else None,
        ),
        age_days,
        Sex.MALE,
    )


def visit(days_ago: int = 0, times: float = 1.0, **changes: object) -> Visit:
    """Return a visit of the builders' child, its volumes so many times those of the first."""
    fields: dict[str, object] = {
        "analysis_id": 4711 - days_ago,
        "digest": f"{days_ago:064d}",
        "study_date": date(2025, 1, 2) - timedelta(days_ago),
        "age_days": 723 - days_ago,
        "corrected_age_days": None,
        "birth_date": "2023-01-10",
        "sex": "M",
        "package_sha256": "ef" * 32,
        "protocol": "xi2025-matched",
        "reference_version": "sha256:" + "cd" * 32,
        "tier": "derived",
        "site_status": "none",
        "regions": {
            region.name: VisitRegion(times * (80.0 + k), 100.2262 + k - days_ago / 40)
            for k, region in enumerate(REGIONS)
        },
    }
    fields.update(changes)
    return Visit(**fields)  # type: ignore[arg-type]


def earlier_of(times: float = 0.95, error_percent: float | None = None) -> SerialComparison:
    """Return a comparison with a scan of 180 days before."""
    errors = {} if error_percent is None else {r.name: error_percent for r in REGIONS}
    return compare_with_earlier(visit(), visit(180, times), errors)


CUT = Reason(Code.QUALITY_BRAIN_CUT, "7.7 cm2 of the intracranial space lie on a face.")
TOTAL = Reason(Code.QUALITY_TOTAL, "4321 mL were segmented where bone encloses 1234 mL.")
PLACE = Reason(Code.QUALITY_PLACE, "Cerebellum lies 67 mm from its place.")
THICK = Reason(Code.SLICE_THICKNESS, "The slices are 5.0 mm thick.")
MEASURED = ("7.7", "4321", "1234", "3.5016", "3.50", "1.77", "1.7654", "67.89", "67 mm")
"""What only the checks of `withheld` say, in sentences and as values."""


def withheld() -> Result:
    """Return a result that failed some checks and passed others, with all that was measured."""
    return case(
        fitness=Fitness.WITHHELD,
        quality=(
            QualityCheck("brain_whole", Grade.FAIL, 7.7, CUT.sentence, CUT),
            QualityCheck("total_plausible", Grade.FAIL, 3.5016, TOTAL.sentence, TOTAL),
            QualityCheck("sides_alike", Grade.PASS, 1.7654, "They differ by a factor of 1.77."),
            QualityCheck("regions_in_place", Grade.REMARK, 67.89, PLACE.sentence),
        ),
        reasons=(CUT, TOTAL, THICK),
        remarks=(PLACE,),
    ).result


def result(labels: LabelArray, **changes: object) -> Result:
    """Return the result of measuring the label array; `changes` replace its fields."""
    fields: dict[str, object] = {
        "digest": "ab" * 32,
        "rendered_at": datetime(2026, 11, 21, 4, 5, 6, 789000, tzinfo=UTC),
        "state": State.SUCCEEDED,
        "fitness": Fitness.FULL,
        "patient": Patient("P-0815", "KLINIKUM", "M", "2023-01-10", 723, "birth_date"),
        "identity": Identity(
            "1.2.826.0.1.3680043.8.498.5", "1.2.826.0.1.3680043.8.498.6", 1, "A4711"
        ),
        "scan": ScanFacts(
            slices=labels.grid.shape[0],
            rows=labels.grid.shape[1],
            columns=labels.grid.shape[2],
            pixel_spacing_mm=PIXEL_MM,
            slice_step_mm=(6.0, 6.0),
            tilt_deg=0.0,
        ),
        "region_set": REGION_SET,
        "package": PackageUsed(
            name="resunet-toddler",
            version="1.0.0",
            sha256="ef" * 32,
            protocol="xi2025-matched",
            protocol_match=ProtocolMatch.APPROXIMATE,
            intended_age_days=(548, 913),
        ),
        "engine": EngineUsed("CPUExecutionProvider", "fp32", "Test CPU", {"onnxruntime": "1"}, 1.9),
        "volumes": measure(labels, REGION_SET),
        "comparison": comparison(),
        "quality": (
            QualityCheck("brain_whole", Grade.PASS, 0.99, "The brain touches no face."),
            QualityCheck("left_right", Grade.REMARK, 1.25, "Left is 1.25 times right."),
        ),
        "reasons": (UNCALIBRATED, APPROXIMATE),
        "timings_s": {"read": 0.9, "segment": 1.9},
        "head": head_of(),
        "earlier": (earlier_of(),),
    }
    fields.update(changes)
    return Result(**fields)  # type: ignore[arg-type]
