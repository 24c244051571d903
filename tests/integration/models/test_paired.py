"""Real scans with labels beside synthesised heads: one frame, sides that swap, faults named."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

# The imports below need it, so this comes before any marker; conftest lets no skip pass in CI.
torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from fontanelle.imaging.compartments import assemble  # noqa: E402
from fontanelle.imaging.geometry import LabelArray  # noqa: E402
from fontanelle.imaging.nifti import write_labels  # noqa: E402
from fontanelle.imaging.quality import Placement  # noqa: E402
from models.phantom.head import Recipe, make  # noqa: E402
from models.phantom.scan import Field, View, grid, scan  # noqa: E402
from models.training import heads  # noqa: E402
from models.training.labelling import protocol_called, region_set  # noqa: E402
from models.training.paired import Jitter, PairedScans, write_image  # noqa: E402
from models.training.protocol import MIRRORED, OUTER_CSF  # noqa: E402
from models.training.synthesis.anatomy import placement  # noqa: E402

pytestmark = pytest.mark.torch

PROTOCOL = protocol_called("anatomical")
FIELD = (64, 80, 64)
STILL = Jitter(angle_deg=0.0, shift_mm=0.0, size_percent=0.0)


@pytest.fixture(scope="module")
def places() -> Placement:
    return placement([heads.load(name, PROTOCOL) for name in ("toddler_24mo", "head_13")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one turned head of 900 mL, 3 mm slices, as a pair."""
    place = tmp_path_factory.mktemp("pairs") / "a"
    place.mkdir()
    recipe = Recipe(
        label_map="head_07", intracranial_ml=900.0, angles_deg=(20.0, 0.0, 12.0), protocol=PROTOCOL
    )
    image, truth = scan(make(recipe), grid(View.TILTED, Field(80, (110, 110), 2.5, 2.0)))
    write_image(place / "image.nii.gz", image)
    codes = assemble(truth.codes, region_set(), OUTER_CSF)
    write_labels(place / "labels.nii.gz", LabelArray(codes, image.grid))
    return place.parent


def test_a_turned_small_head_comes_upright_centred_and_of_the_canonical_size(
    folder: Path, places: Placement
) -> None:
    sample = PairedScans(folder, places, seed=1, jitter=STILL).draw((128, 160, 128))

    assert sample.image_hu.dtype is torch.float32 and sample.classes.dtype is torch.int64
    classes = sample.classes.numpy()
    assert set(np.unique(classes)) == set(range(13))
    volume_ml = (classes > 0).sum() * heads.CANONICAL.spacing_mm**3 / 1000
    assert volume_ml == pytest.approx(heads.CANONICAL.intracranial_ml, rel=0.02)
    middles = {c: np.argwhere(classes == c).mean(axis=0) for c in (1, 2, 5, 6, 9, 10)}
    assert middles[1][2] > middles[2][2] + 20
    # Upright: left and right are level, and one is not in front of the other.
    assert np.abs((middles[1] - middles[2])[:2]).max() < 4
    assert middles[5][1] > middles[1][1] + 40
    brain, skull = sample.image_hu.numpy()[classes == 1], sample.image_hu.numpy().max()
    assert 25 < np.median(brain) < 40 and skull > 500


def test_mirrored_draws_swap_their_labels_so_that_left_stays_left(
    folder: Path, places: Placement
) -> None:
    scans = PairedScans(folder, places, seed=3, jitter=STILL)
    drawn = {}
    for _ in range(8):
        sample = scans.draw(FIELD)
        classes = sample.classes.numpy()
        left, right = (np.argwhere(classes == c)[:, 2].mean() for c in (1, 2))
        assert left > right + 10
        drawn[classes.tobytes()] = (sample.image_hu.numpy(), classes)

    (image, classes), (other_image, other_classes) = drawn.values()
    assert np.allclose(image, other_image[:, :, ::-1], atol=0.1)
    assert np.array_equal(classes, MIRRORED[other_classes[:, :, ::-1]])


def test_the_same_seed_draws_the_same_samples(folder: Path, places: Placement) -> None:
    one, same = (PairedScans(folder, places, seed=5).draw(FIELD) for _ in range(2))
    assert torch.equal(one.image_hu, same.image_hu)
    assert torch.equal(one.classes, same.classes)


def rewritten(source: Path, target: Path, change: str) -> None:
    """Copy a pair with one fault."""
    target.mkdir()
    image, labels = (nibabel.nifti1.load(source / f"{n}.nii.gz") for n in ("image", "labels"))
    codes, affine = np.asarray(labels.dataobj).astype(np.int16), labels.affine.copy()
    match change:
        case "strange":
            codes[codes == 3] = 77
        case "shape":
            codes = codes[:-1]
        case "place":
            affine[0, 3] += 5
        case "region":
            codes[codes == 10] = 0
        case "sides":
            codes = codes[::-1]
    nibabel.nifti1.save(image, target / "image.nii.gz")
    if change != "absent":
        nibabel.nifti1.save(nibabel.nifti1.Nifti1Image(codes, affine), target / "labels.nii.gz")


def test_all_that_is_wrong_is_said_at_once_pair_by_pair(
    folder: Path, places: Placement, tmp_path: Path
) -> None:
    faults = ["absent", "place", "region", "shape", "sides", "strange"]
    for fault in faults:
        rewritten(folder / "a", tmp_path / fault, fault)

    with pytest.raises(Refused) as refusal:
        PairedScans(tmp_path, places, seed=0)

    assert refusal.value.reason.code is Code.PAIRS_INVALID
    said = refusal.value.reason.sentence
    words = ["There is no labels.nii.gz", "apart", "no voxel", "shapes", "do not lie", "no code"]
    for number, word in enumerate(words, start=1):
        start = said.index(f"pair {number} of 6: ")
        following = said.find(f"pair {number + 1} of 6")
        assert word in said[start : following if following > 0 else None]


def test_a_folder_without_pairs_is_refused(tmp_path: Path, places: Placement) -> None:
    with pytest.raises(Refused, match=r"no image\.nii\.gz"):
        PairedScans(tmp_path, places, seed=0)
