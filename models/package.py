"""The package format: a network with all that is needed to serve it. No torch.

    packages/NAME/
        package.toml     what it is; holds the digest of every other file
        model.onnx       image (1, 1, S, R, C) float32 -> classes (1, S, R, C) uint8
        golden.npz       one input and the voxels of each class it must give
        MODEL_CARD.md    for people

The package's own digest is the SHA-256 of `package.toml`, and so covers every file.
"""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fontanelle.errors import Code, Refused, Unavailable
from fontanelle.imaging.prepare import PREPROCESSING, Preprocessing
from fontanelle.imaging.quality import Placement
from fontanelle.imaging.regions import Coded, Region, RegionSet
from fontanelle.norms.comparison import ProtocolMatch

SCHEMA = "fontanelle.package/1"
FILES = {"model.onnx", "golden.npz", "MODEL_CARD.md"}
"""Beside `package.toml`; each has a digest in it."""
FIELD_MULTIPLE = 32
"""Four levels down and a stem halve a side five times."""


@dataclass(frozen=True, slots=True)
class Package:
    """A network ready to be served.

    Attributes
    ----------
    sha256
        Digest of `package.toml`.
    outer_csf
        Class of CSF outside the ventricles, which the protocol gives to the nearest region.
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

    @property
    def network(self) -> Path:
        """The ONNX file."""
        return self.folder / "model.onnx"

    def golden_case(self) -> "GoldenCase":
        """Read the golden case."""
        with np.load(self.folder / "golden.npz") as stored:
            return GoldenCase(stored["image"].astype(np.float32) / 127.0, stored["voxels"])


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


class _Placement(_Strict):
    tolerance: Annotated[float, Field(gt=0)]
    centroids: dict[str, tuple[float, float, float]]


class _Package(_Strict):
    """`package.toml`, as written."""

    schema_: Annotated[Literal["fontanelle.package/1"], Field(alias="schema")]
    name: str
    version: str
    protocol: str
    protocol_match: ProtocolMatch
    intended_age_days: tuple[int, int]
    outer_csf: int
    known_limits: list[Annotated[str, Field(min_length=1)]]
    golden_tolerance_ml: Annotated[float, Field(gt=0)]
    preprocessing: _Preprocessing
    placement: _Placement
    files: dict[str, str]
    training: dict[str, object]
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
    """Read a package and verify every digest.

    Raises
    ------
    Unavailable
        If the description is malformed.
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
    return _package(folder, hashlib.sha256(text).hexdigest(), raw)


def _mistakes(raw: _Package) -> Iterator[str]:
    """Say what does not fit together, before it shows as a wrong number or a traceback."""
    if set(raw.files) != FILES:
        yield f"Digests are needed of exactly these files: {', '.join(sorted(FILES))}."
    if raw.preprocessing.name not in PREPROCESSING:
        yield f"There is no preprocessing called {raw.preprocessing.name}."
    if not raw.preprocessing.fields or any(
        side % FIELD_MULTIPLE or side <= 0 for field in raw.preprocessing.fields for side in field
    ):
        yield f"Every side of a field must be a multiple of {FIELD_MULTIPLE}."
    if raw.preprocessing.low_hu >= raw.preprocessing.high_hu:
        yield "The window's lower end must lie below its upper end."
    if raw.intended_age_days[0] > raw.intended_age_days[1]:
        yield "The intended ages run backwards."
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
    )


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
