"""How training samples look: through the labels that a network gives them, not the true ones."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.imaging.quality.likeness import FEATURES  # noqa: E402
from models.export.packaging import _preprocessing  # noqa: E402
from models.export.samples import golden_image, likeness  # noqa: E402
from models.training.config import TrainingConfig, config_text  # noqa: E402
from models.training.protocol import OUTER_CSF  # noqa: E402
from models.training.synthesis.anatomy import region_set  # noqa: E402

pytestmark = pytest.mark.torch

CONFIG = replace(
    TrainingConfig.parse(config_text("localiser")), heads={"head_03": 1.0, "head_07": 1.0}
)
FIELD = (32, 48, 32)
COUNT = 2 * len(FEATURES)


def brain_as(code: int, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Call all that has the brightness of a brain by one class."""
    return np.where(np.abs(image) < 0.5, code, 0).astype(np.uint8)


def test_samples_are_seen_through_the_networks_labels() -> None:
    share = FEATURES.index("tissue_share")
    tissue = likeness(CONFIG, FIELD, region_set(), COUNT, lambda image: brain_as(1, image))
    csf = likeness(CONFIG, FIELD, region_set(), COUNT, lambda image: brain_as(OUTER_CSF, image))
    assert tissue.mean[share] == pytest.approx(1.0)
    assert csf.mean[share] == pytest.approx(0.0)


def test_the_network_gets_prepared_images() -> None:
    seen: list[tuple[float, float]] = []

    def looked(image: NDArray[np.float32]) -> NDArray[np.uint8]:
        seen.append((float(image.min()), float(image.max())))
        return brain_as(1, image)

    likeness(CONFIG, FIELD, region_set(), COUNT, looked)
    assert len(seen) == COUNT
    assert all(low == -1.0 and high == 1.0 for low, high in seen)


def test_a_package_prepares_images_as_its_training_did() -> None:
    equalised = replace(CONFIG, preprocessing="equalised")
    assert _preprocessing(equalised)["name"] == "equalised"
    # Outside the brain, which the other preprocessing shows, it is black.
    black = [(golden_image(one, FIELD) == -1.0).mean() for one in (CONFIG, equalised)]
    assert black[1] > black[0] + 0.05
