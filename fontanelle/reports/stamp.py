"""Identity, time and equipment of the objects that we make: derived, so that they repeat.

An object is rendered once and stored. Rendering the same result again gives the same bytes,
because nothing in it is drawn or read from a clock.
"""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from highdicom.sr.coding import CodedConcept
from pydicom import Dataset
from pydicom.uid import UID

from fontanelle.reports.notice import NOTICE
from fontanelle.reports.result import PackageUsed, Result
from fontanelle.uids import derived_uid

RENDERER_REVISION = "1"
"""Raised whenever the same result would be rendered to other bytes."""
UNREVIEWED = "0"
"""Number of the review that an object carries: none yet."""
MANUFACTURER = "Fontanelle"
MODEL = "Fontanelle"
ARTIFICIAL_INTELLIGENCE = CodedConcept("123110", "DCM", "Artificial Intelligence")
PROCESSING_EQUIPMENT = CodedConcept("109102", "DCM", "Processing Equipment")


@dataclass(frozen=True, slots=True)
class Device:
    """The installation that renders: its name (an AE title) and its serial number."""

    name: str = "FONTANELLE"
    serial_number: str = "1"


def product_version() -> str:
    """Return the installed version, or `0` where the library runs from its source alone."""
    try:
        return version("fontanelle")
    except PackageNotFoundError:
        return "0"


def instance_uid(kind: str, result: Result) -> str:
    """Return the SOP Instance UID of the object of this kind."""
    return _uid(f"instance.{kind}", result)


def series_uid(kind: str, result: Result) -> str:
    """Return the UID of the series of its own that an object of this kind opens."""
    return _uid(f"series.{kind}", result)


def dimension_uid(result: Result) -> str:
    """Return the UID of the dimension organisation of a segmentation."""
    return _uid("dimensions", result)


def tracking_uid(result: Result, name: str) -> str:
    """Return the UID under which SEG and SR speak of the same finding."""
    return derived_uid("tracking", result.digest, name)


def stamp(target: Dataset, result: Result, device: Device) -> None:
    """Write equipment and `rendered_at` over the library's own; sign as the writer of the file."""
    at = result.rendered_at
    target.Manufacturer = MANUFACTURER
    target.ManufacturerModelName = MODEL
    target.DeviceSerialNumber = device.serial_number
    target.SoftwareVersions = software_versions(result.package)
    for name in ("InstanceCreation", "Content", "Series"):
        setattr(target, f"{name}Date", at.strftime("%Y%m%d"))
        setattr(target, f"{name}Time", at.strftime("%H%M%S.%f"))
    for item in target.ContributingEquipmentSequence:
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == PROCESSING_EQUIPMENT.value:
            item.ContributionDateTime = dicom_datetime(at)
    target.file_meta.ImplementationClassUID = UID(derived_uid("implementation"))
    target.file_meta.ImplementationVersionName = f"FONTANELLE_{RENDERER_REVISION}"


def dicom_datetime(at: datetime) -> str:
    """Return an aware time as a DICOM DT with its offset."""
    return at.strftime("%Y%m%d%H%M%S.%f%z")


def software_versions(package: PackageUsed) -> list[str]:
    """Return product, the package's digest and the package: three values of at most 64 characters.

    The digest fills its 64 and stands in the middle: the last value is padded to an even length,
    and readers (pydicom 3.0) count the padding.
    """
    return [product_version(), package.sha256[:64], f"{package.name} {package.version}"[:64]]


def algorithm(package: PackageUsed) -> AlgorithmIdentificationSequence:
    """Return the package as the algorithm that made a segment."""
    return AlgorithmIdentificationSequence(
        name=package.name,
        family=ARTIFICIAL_INTELLIGENCE,
        version=package.version,
        source=MANUFACTURER,
        parameters=algorithm_parameters(package),
    )


def algorithm_parameters(package: PackageUsed) -> dict[str, str]:
    """Return what identifies the weights and the meaning of the regions."""
    return {"package_sha256": package.sha256, "protocol": package.protocol}


def contribution(result: Result) -> ContributingEquipment:
    """Return the engine that really ran, as equipment that contributed."""
    engine = result.engine
    said = (
        "not known" if engine is None else f"{engine.provider}, {engine.precision}, {engine.device}"
    )
    return ContributingEquipment(
        manufacturer=MANUFACTURER,
        purpose_of_reference=PROCESSING_EQUIPMENT,
        manufacturer_model_name=MODEL,
        software_versions=software_versions(result.package),
        contribution_description=f"Segmentation of the brain. Engine: {said}. {NOTICE}",
    )


def _uid(kind: str, result: Result) -> str:
    return derived_uid(
        kind, result.digest, RENDERER_REVISION, UNREVIEWED, result.rendered_at.isoformat()
    )
