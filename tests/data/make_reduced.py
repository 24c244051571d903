"""Make the test series of this folder from the public ones (see README.md beside this file).

    python tests/data/make_reduced.py ORIGINALS

ORIGINALS holds `ge_head_tilt/ge_head_tilt.tar.xz` and `philips_phantom_trauma/*.tar*`. Every copy
loses its names and descriptions, so that only voxels and geometry can tell what it shows. The two
brain series of the phantom lose every second row and column as well, and get UIDs of their own.
"""

import io
import sys
import tarfile
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

HERE = Path(__file__).parent
BLANKED = (
    "PatientName",
    "PatientID",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
    "RequestedProcedureDescription",
    "PerformedProcedureStepDescription",
)
IMAGE_LABEL = (0x00E1, 0x1040)
"""Philips' private copy of the series description."""
REDUCED = "Every second row and column of the original, UIDs replaced; not for measurement"


def main(originals: Path) -> None:
    """Write all archives of this folder."""
    phantom = originals / "philips_phantom_trauma"
    _pack("ge_head_tilt", _instances(originals / "ge_head_tilt" / "ge_head_tilt.tar.xz"))
    for name in ("localizer.tar.xz", "exam_summary.tar.xz", "bone_1mm_part.tar"):
        _pack(name.split(".")[0], _instances(phantom / name))
    for name in ("brain_5mm.tar.xz", "brain_1mm.tar"):
        copies = {path: _reduced(header) for path, header in _instances(phantom / name).items()}
        _pack(name.split(".")[0], copies)


def _instances(archive: Path) -> dict[str, FileDataset]:
    with tarfile.open(archive) as tar:
        return {
            member.name: dcmread(io.BytesIO(tar.extractfile(member).read()))
            for member in tar
            if member.isfile()
        }


def _reduced(instance: FileDataset) -> FileDataset:
    pixels = instance.pixel_array[::2, ::2]
    # The first pixel stays the first, so ImagePositionPatient stays right.
    instance.PixelSpacing = [2 * float(spacing) for spacing in instance.PixelSpacing]
    instance.Rows, instance.Columns = pixels.shape
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.PixelData = pixels.tobytes()
    instance["PixelData"].VR = "OW"
    instance.SeriesInstanceUID = _derived(instance.SeriesInstanceUID)
    instance.SOPInstanceUID = _derived(instance.SOPInstanceUID)
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    instance.DerivationDescription = REDUCED
    instance.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    return instance


def _derived(uid: str) -> str:
    return f"2.25.{uuid5(NAMESPACE_OID, f'{uid} reduced').int}"


def _blank(dataset: Dataset) -> None:
    for element in dataset:
        if element.keyword in BLANKED or element.tag == IMAGE_LABEL:
            element.value = ""
        elif element.VR == "SQ":
            for item in element.value:
                _blank(item)


def _pack(name: str, instances: dict[str, FileDataset]) -> None:
    target = HERE / f"{name}.tar.xz"
    with tarfile.open(target, "w:xz", preset=9) as tar:
        for path in sorted(instances):
            _blank(instances[path])
            content = io.BytesIO()
            instances[path].save_as(content, enforce_file_format=True)
            member = tarfile.TarInfo(f"{name}/{Path(path).name}")  # Time 0, owner 0.
            member.size = content.tell()
            content.seek(0)
            tar.addfile(member, content)
    sys.stdout.write(f"{target.name} {len(instances)} {target.stat().st_size}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
