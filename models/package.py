"""The package format: a network with all that is needed to serve it. No torch.

    packages/NAME/
        package.toml     what it is; holds the digest of every other file
        model.onnx       image (1, 1, S, R, C) float32 -> classes (1, S, R, C) uint8
        localiser.onnx   the same on a coarse field; absent from a package of one step
        golden.npz       an input of each network and the voxels of each class it must give
        MODEL_CARD.md    for people

A package of two steps first looks at the whole head coarsely, along the patient, and learns from
the labels how it lies; the network then sees it upright, in the middle and of one size. The
package's own digest is the SHA-256 of `package.toml`, and so covers every file.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fontanelle.errors import Code, Refused, Unavailable
from fontanelle.imaging.placement import Placement
from fontanelle.imaging.pose import Canonical
from fontanelle.imaging.prepare import PREPROCESSING, Preprocessing
from fontanelle.imaging.quality import Likeness
from fontanelle.imaging.quality.likeness import FEATURES
from fontanelle.imaging.regions import Coded, Region, RegionSet
from fontanelle.norms.comparison import ProtocolMatch
from models.onnx_header import mistakes_of, read_header

SCHEMA = "fontanelle.package/2"
NETWORK, LOCALISER = "model.onnx", "localiser.onnx"
FILES = {NETWORK, "golden.npz", "MODEL_CARD.md"}
"""Beside `package.toml` of one step; each has a digest in it."""
FIELD_MULTIPLE = 32
"""Four levels down and a stem halve a side of the network's field five times."""
COARSE_MULTIPLE = 16
"""The localiser has no stem."""


@dataclass(frozen=True, slots=True)
class Package:
    """A network ready to be served.

    Attributes
    ----------
    sha256
        Digest of `package.toml`.
    outer_csf
        Class of CSF outside the ventricles, which the protocol gives to the nearest region.
    qualified
        Whether its evaluation reached the accuracy asked; else its z are provisional.
    preprocessing
        Of the network. With a localiser its one field is that of the canonical frame.
    localiser, canonical
        Preprocessing of the coarse step, and the frame in which the network sees heads; both None
        in a package of one step, which sees them along the patient.
    measurement_error_percent
        Region to the SD of repeated measurements, percent of the volume; empty if not measured.
    likeness
        What its training samples look like; None if it does not say.
    metrics
        What its evaluation found, for display only.
    known_limits
        Sentences on what its evaluation found wrong with its volumes; said with every result.
    golden_tolerance_ml
        How far any class of the golden case may lie from its stored volume.
    """

    folder: Path
    name: str
    version: str
    sha256: str
    protocol: str
    protocol_match: ProtocolMatch
    intended_age_days: tuple[int, int]
    region_set: RegionSet
    outer_csf: int
    preprocessing: Preprocessing
    placement: Placement
    known_limits: tuple[str, ...]
    golden_tolerance_ml: float
    qualified: bool = False
    localiser: Preprocessing | None = None
    canonical: Canonical | None = None
    measurement_error_percent: Mapping[str, float] = field(default_factory=dict)
    likeness: Likeness | None = None
    metrics: Mapping[str, object] = field(default_factory=dict)

    @property
    def network(self) -> Path:
        """The network's ONNX file."""
        return self.folder / NETWORK

    @property
    def localiser_network(self) -> Path:
        """The localiser's ONNX file; there is none in a package of one step."""
        return self.folder / LOCALISER

    @property
    def classes(self) -> frozenset[int]:
        """Every class that a network of the package may give."""
        codes = (region.code for region in self.region_set.segments)
        return frozenset((0, self.outer_csf, *codes))

    def golden_case(self, step: Literal["network", "localiser"] = "network") -> "GoldenCase":
        """Read the golden case of a network."""
        prefix = "" if step == "network" else "localiser_"
        with np.load(self.folder / "golden.npz") as stored:
            image = stored[f"{prefix}image"].astype(np.float32) / 127.0
            return GoldenCase(image, stored[f"{prefix}voxels"])


@dataclass(frozen=True, slots=True, eq=False)
class GoldenCase:
    """One network input (float32, -1..1) and the voxels of each class it must give."""

    image: NDArray[np.float32]
    voxels: NDArray[np.int64]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Triplet = tuple[str, str, str]
Byte = Annotated[int, Field(ge=0, le=255)]


class _Region(_Strict):
    code: Annotated[int, Field(ge=1, le=255)]
    csf_code: Annotated[int, Field(ge=1, le=255)] | None = None
    name: str
    label: str
    laterality: Literal["left", "right"] | None = None
    pair: str | None = None
    property_type: Triplet
    rgb: tuple[Byte, Byte, Byte]


class _RegionSet(_Strict):
    name: str
    regions: list[_Region]
    ventricles: _Region


class _Preprocessing(_Strict):
    name: str
    low_hu: float
    high_hu: float
    outside_hu: float
    spacing_mm: Annotated[float, Field(gt=0)]
    fields: list[tuple[int, int, int]]


class _Localiser(_Strict):
    name: str
    low_hu: float
    high_hu: float
    outside_hu: float
    spacing_mm: Annotated[float, Field(gt=0)]
    field: tuple[int, int, int]


class _Canonical(_Strict):
    intracranial_ml: Annotated[float, Field(gt=0)]
    center_lps_mm: tuple[float, float, float]


class _Likeness(_Strict):
    features: list[str]
    mean: list[float]
    covariance: list[list[float]]
    usual: Annotated[float, Field(gt=0)]


class _Placement(_Strict):
    tolerance: Annotated[float, Field(gt=0)]
    centroids: dict[str, tuple[float, float, float]]


class _Package(_Strict):
    """`package.toml`, as written."""

    schema_: Annotated[Literal["fontanelle.package/2"], Field(alias="schema")]
    name: str
    version: str
    protocol: str
    protocol_match: ProtocolMatch
    qualified: bool
    intended_age_days: tuple[int, int]
    outer_csf: Byte
    known_limits: list[Annotated[str, Field(min_length=1)]]
    golden_tolerance_ml: Annotated[float, Field(gt=0)]
    preprocessing: _Preprocessing
    localiser: _Localiser | None = None
    canonical: _Canonical | None = None
    placement: _Placement
    likeness: _Likeness | None = None
    measurement_error: dict[str, Annotated[float, Field(ge=0, le=100)]] = {}
    files: dict[str, str]
    training: dict[str, object]
    metrics: dict[str, object] = {}
    region_set: _RegionSet


def shipped_names() -> list[str]:
    """Return the names of the packages that are part of the product."""
    root = files("models") / "packages"
    return sorted(f.name for f in root.iterdir() if (f / "package.toml").is_file())


def find(name_or_folder: str | None = None) -> Path:
    """Return the folder of a package: a shipped one by name, or any by path.

    Raises
    ------
    Unavailable
        If there is no such package.
    """
    shipped = shipped_names()
    wanted = name_or_folder or (shipped[0] if shipped else "")
    if wanted in shipped:
        return Path(str(files("models") / "packages" / wanted))
    folder = Path(wanted)
    if wanted and (folder / "package.toml").is_file():
        return folder
    raise Unavailable(
        Code.PACKAGE_UNKNOWN, f"There is no package of that name; shipped: {', '.join(shipped)}."
    )


def load(folder: Path) -> Package:
    """Read a package, verify every digest, and hold its files against its description.

    Raises
    ------
    Unavailable
        If the description is malformed, or a network or golden case does not fit it.
    Refused
        If a file is missing or does not match its digest.
    """
    text = (folder / "package.toml").read_bytes()
    try:
        raw = _Package.model_validate(tomllib.loads(text.decode("utf-8")))
    except (ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unavailable(Code.PACKAGE_INVALID, _first_line(error)) from error
    for mistake in _mistakes(raw):
        raise Unavailable(Code.PACKAGE_INVALID, mistake)
    verify(folder, raw.files)
    package = _package(folder, hashlib.sha256(text).hexdigest(), raw)
    for mistake in _mistakes_of_files(package):
        raise Unavailable(Code.PACKAGE_INVALID, mistake)
    return package


def _mistakes(raw: _Package) -> Iterator[str]:
    """Say what does not fit together, before it shows as a wrong number or a traceback."""
    yield from _mistakes_of_steps(raw)
    for prepared in (raw.preprocessing, raw.localiser):
        if prepared is not None and prepared.name not in PREPROCESSING:
            yield f"There is no preprocessing called {prepared.name}."
        if prepared is not None and prepared.low_hu >= prepared.high_hu:
            yield "The window's lower end must lie below its upper end."
    if not raw.preprocessing.fields or any(
        side % FIELD_MULTIPLE or side <= 0 for field in raw.preprocessing.fields for side in field
    ):
        yield f"Every side of a field must be a multiple of {FIELD_MULTIPLE}."
    if raw.intended_age_days[0] > raw.intended_age_days[1]:
        yield "The intended ages run backwards."
    yield from _mistakes_of_regions(raw)
    if raw.likeness is not None and not _is_complete(raw.likeness):
        yield f"The likeness needs mean and covariance of exactly {', '.join(FEATURES)}."


def _mistakes_of_steps(raw: _Package) -> Iterator[str]:
    """Hold the two steps against one another: both or none, and the files that go with them."""
    if (raw.localiser is None) != (raw.canonical is None):
        lacking = "localiser" if raw.localiser is None else "canonical"
        yield f"A package of two steps needs the table {lacking}."
    files = FILES if raw.localiser is None else FILES | {LOCALISER}
    if set(raw.files) != files:
        yield f"Digests are needed of exactly these files: {', '.join(sorted(files))}."
    if raw.localiser is None:
        return
    if any(side % COARSE_MULTIPLE or side <= 0 for side in raw.localiser.field):
        yield f"Every side of the localiser's field must be a multiple of {COARSE_MULTIPLE}."
    if len(raw.preprocessing.fields) != 1:
        yield "A package of two steps has one field, that of its canonical frame."


def _is_complete(raw: _Likeness) -> bool:
    count = len(FEATURES)
    square = len(raw.covariance) == count and all(len(row) == count for row in raw.covariance)
    return raw.features == list(FEATURES) and len(raw.mean) == count and square


def _mistakes_of_regions(raw: _Package) -> Iterator[str]:
    regions = raw.region_set.regions
    codes = [region.code for region in (*regions, raw.region_set.ventricles)]
    codes += [region.csf_code for region in regions if region.csf_code is not None]
    if len(set(codes)) < len(codes) or raw.outer_csf in codes:
        yield "Two classes share a code."
    if set(raw.placement.centroids) != {region.name for region in regions}:
        yield "Places are needed of exactly the regions."
    for region in regions:
        twins = [r for r in regions if r.pair == region.pair and r.laterality != region.laterality]
        if region.laterality is not None and (region.pair is None or len(twins) != 1):
            yield f"{region.name} has no twin on the other side."
    unknown = set(raw.measurement_error) - {region.name for region in regions}
    if unknown:
        yield f"A measurement error is given of no region: {', '.join(sorted(unknown))}."


def _mistakes_of_files(package: Package) -> Iterator[str]:
    """Hold networks and golden cases against the description."""
    yield from _mistakes_of_step(package, "network", package.network, package.preprocessing)
    if package.localiser is not None:
        path = package.localiser_network
        yield from _mistakes_of_step(package, "localiser", path, package.localiser)


def _mistakes_of_step(
    package: Package,
    step: Literal["network", "localiser"],
    path: Path,
    preprocessing: Preprocessing,
) -> Iterator[str]:
    yield from mistakes_of(read_header(path), path.name, preprocessing.fields)
    try:
        golden = package.golden_case(step)
    except (KeyError, ValueError, OSError) as error:
        raise Unavailable(
            Code.PACKAGE_INVALID, f"golden.npz holds no golden case of the {step}."
        ) from error
    if golden.image.shape not in preprocessing.fields:
        yield f"The golden case of the {step} lies on none of its fields."
    found = set(np.flatnonzero(golden.voxels).tolist())
    if golden.voxels.shape != (256,) or not found <= package.classes:
        yield f"The golden case of the {step} holds classes that the region set does not name."


def verify(folder: Path, digests: dict[str, str]) -> None:
    """Compare each file of a package with its digest.

    Raises
    ------
    Refused
        At the first file that is missing or differs.
    """
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise Refused(Code.PACKAGE_DIGEST, f"{name} is missing from the package.")
        if file_sha256(path) != digest:
            raise Refused(Code.PACKAGE_DIGEST, f"{name} does not match its digest.")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
    return f"{error}."


def _package(folder: Path, sha256: str, raw: _Package) -> Package:
    prepared = raw.preprocessing
    return Package(
        folder=folder,
        name=raw.name,
        version=raw.version,
        sha256=sha256,
        protocol=raw.protocol,
        protocol_match=raw.protocol_match,
        intended_age_days=raw.intended_age_days,
        region_set=region_set_of(raw.region_set),
        outer_csf=raw.outer_csf,
        preprocessing=Preprocessing(
            prepared.name,
            prepared.low_hu,
            prepared.high_hu,
            prepared.outside_hu,
            prepared.spacing_mm,
            tuple(prepared.fields),
        ),
        placement=Placement(raw.placement.centroids, raw.placement.tolerance),
        known_limits=tuple(raw.known_limits),
        golden_tolerance_ml=raw.golden_tolerance_ml,
        qualified=raw.qualified,
        localiser=_localiser(raw.localiser),
        canonical=_canonical(raw),
        measurement_error_percent=raw.measurement_error,
        likeness=_likeness(raw.likeness),
        metrics=raw.metrics,
    )


def _localiser(raw: _Localiser | None) -> Preprocessing | None:
    if raw is None:
        return None
    return Preprocessing(
        raw.name, raw.low_hu, raw.high_hu, raw.outside_hu, raw.spacing_mm, (raw.field,)
    )


def _canonical(raw: _Package) -> Canonical | None:
    """Put the frame together: its field and spacing are those of the network's preprocessing."""
    if raw.canonical is None:
        return None
    return Canonical(
        intracranial_ml=raw.canonical.intracranial_ml,
        field=raw.preprocessing.fields[0],
        spacing_mm=raw.preprocessing.spacing_mm,
        center_lps_mm=raw.canonical.center_lps_mm,
    )


def _likeness(raw: _Likeness | None) -> Likeness | None:
    if raw is None:
        return None
    return Likeness(np.array(raw.mean), np.array(raw.covariance), raw.usual)


def region_set_of(raw: _RegionSet) -> RegionSet:
    """Turn a parsed region set into the library's."""
    return RegionSet(raw.name, tuple(_region(r) for r in raw.regions), _region(raw.ventricles))


def read_region_set(text: str) -> RegionSet:
    """Read a region set from TOML; its table is called `region_set`.

    Raises
    ------
    Unavailable
        If it is malformed.
    """
    try:
        return region_set_of(_RegionSet.model_validate(tomllib.loads(text)["region_set"]))
    except (ValidationError, tomllib.TOMLDecodeError, KeyError) as error:
        raise Unavailable(Code.PACKAGE_INVALID, _first_line(error)) from error


def _region(raw: _Region) -> Region:
    return Region(
        code=raw.code,
        csf_code=raw.csf_code,
        name=raw.name,
        label=raw.label,
        laterality=raw.laterality,
        pair=raw.pair,
        property_type=Coded(*raw.property_type),
        rgb=raw.rgb,
    )
