"""Real DICOM series for all tests, unpacked once for each process (tests/data/README.md)."""

import atexit
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

DATA = Path(__file__).parent / "data"
PHANTOM = ("localizer", "brain_5mm", "brain_1mm", "bone_1mm_part", "exam_summary")
"""The five series of one study of a plastic head without a brain."""


def ge_head_tilt() -> Path:
    """Return the folder of 28 slices of a real head: gantry tilted by 18.5 degrees, 4 and 7 mm."""
    return unpacked("ge_head_tilt") / "ge_head_tilt"


def philips_phantom() -> Path:
    """Return the folder of the phantom's study, one folder in it for each series."""
    return unpacked(*PHANTOM)


def philips_series(name: str) -> Path:
    """Return the folder of one series of the phantom's study, by a name of `PHANTOM`."""
    return philips_phantom() / name


@cache
def unpacked(*names: str) -> Path:
    """Unpack archives of tests/data into one folder, which goes when the process ends."""
    folder = TemporaryDirectory(prefix="fontanelle-tests-")
    atexit.register(folder.cleanup)
    for name in names:
        with tarfile.open(DATA / f"{name}.tar.xz") as archive:
            archive.extractall(folder.name)  # noqa: S202 (our own archives; no filter in 3.11.2)
    return Path(folder.name)
