"""Label protocols: who owns what, where borders lie, and how near the reference's volumes."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fontanelle.norms.reference import shipped
from fontanelle.norms.values import RegionNorm
from models.training.heads import HELD_OUT, class_map, names, read_map
from models.training.matching import AVERAGE_YOUNG_HEAD, Match, match
from models.training.protocol import (
    ANATOMICAL,
    OUTER_CSF,
    PROTOCOLS,
    VENTRICLES,
    XI2025_MATCHED,
    Planes,
    Protocol,
    classes,
)

PAGE = Path(__file__).parents[3] / "docs" / "protocols.md"


@pytest.fixture(scope="module")
def matched() -> Match:
    norms = [norm for norm in shipped("xi2025").regions if isinstance(norm, RegionNorm)]
    return match(XI2025_MATCHED, {norm.name: norm.mean.value for norm in norms})


def test_every_region_of_the_average_young_head_is_within_2_percent(matched: Match) -> None:
    assert matched.worst_percent < 2.0, matched.error_percent


def test_the_page_shows_what_the_protocol_gives(matched: Match) -> None:
    rows = dict(re.findall(r"^\| (\w+) \| ([\d.]+) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert set(rows) == set(matched.found_ml)
    for region, found_ml in matched.found_ml.items():
        assert float(rows[region]) == pytest.approx(found_ml, abs=0.06)


def test_no_held_out_head_decides_a_border() -> None:
    assert set(AVERAGE_YOUNG_HEAD).isdisjoint(HELD_OUT)
    assert sum(AVERAGE_YOUNG_HEAD.values()) == pytest.approx(1.0)
    assert set(HELD_OUT) <= set(names())
    assert "head_13" not in HELD_OUT


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_structure_of_the_brain_has_an_owner(protocol: Protocol) -> None:
    assert set(protocol.structures) == set(range(1, 37))
    for left, right in ((11, 12), (13, 14), (17, 18), (21, 22)):
        owners = (protocol.structures[left], protocol.structures[right])
        assert owners[1] == owners[0] + 1, "left goes to a left region, right to its twin"


def test_borders_move_and_nothing_else() -> None:
    """Shifting borders gives voxels of lobes to other lobes of the same side, none to nobody."""
    moved = class_map("toddler_24mo", XI2025_MATCHED.name)
    unmoved = Protocol("unmoved", XI2025_MATCHED.structures, planes=XI2025_MATCHED.planes)
    drawn = _classes("toddler_24mo", unmoved)
    differ = moved != drawn
    assert 0.01 < differ.sum() / (drawn > 0).sum() < 0.2
    lobes = np.isin(drawn, range(1, 9))
    # Outer CSF follows the same surface; only lobes change hands, left to left.
    assert (lobes[differ]).all()
    assert (moved[differ] % 2 == drawn[differ] % 2).all()


def _classes(name: str, protocol: Protocol) -> NDArray[np.uint8]:
    return classes(read_map(name, "regions"), read_map(name, "tissues"), protocol)


def _column() -> NDArray[np.uint8]:
    """Stack structures as they lie above each other in a head: 30 slices of 9 x 9."""
    structures = np.zeros((30, 9, 9), dtype=np.uint8)
    structures[2:20, 3:6, 3:6] = 10
    structures[4:10, 6:8, 3:6] = 9
    structures[6:9, 5, 4] = 36
    structures[20:26, 3:6, 3:5] = 31
    structures[22:28, 2, 3:5] = 21
    return structures


def test_planes_end_the_brainstem_and_the_csf_where_they_say() -> None:
    structures = _column()
    tissues = np.where(structures > 0, 19, 3).astype(np.uint8)
    planes = Planes(brainstem_floor_mm=0.0, peduncles_top_mm=1.0, csf_floor_mm=-2.0)
    found = classes(structures, tissues, Protocol("p", XI2025_MATCHED.structures, planes=planes))
    assert not (found[:6] == 10).any(), "below the obex there is no brainstem"
    assert (found[6:20, 3, 3] == 10).all()
    assert (found[20:24, 4, 3] == 10).all(), "peduncles up to 1 mm above the thalamus' floor"
    assert (found[24:26, 4, 3] == 1).all(), "what lies higher is deep grey, so frontal"
    assert not (found[:2] == OUTER_CSF).any()
    assert (found[3:5] == OUTER_CSF).any()


def test_ventricles_and_csf_belong_to_no_region() -> None:
    for protocol in (ANATOMICAL, XI2025_MATCHED):
        found = class_map("head_03", protocol.name)
        assert (found == VENTRICLES).sum() > 5000
        assert (found == OUTER_CSF).sum() > 100_000
