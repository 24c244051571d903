"""The package format: what is shipped loads, and what was changed is refused."""

import shutil
from pathlib import Path

import pytest

from fontanelle.errors import Code, Refused, Unavailable
from fontanelle.norms.comparison import ProtocolMatch
from models.package import find, load, shipped_names


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find(), tmp_path / "package"))


def test_one_package_is_shipped_and_every_digest_holds() -> None:
    assert len(shipped_names()) == 1
    package = load(find())
    assert package.protocol == "xi2025-matched"
    assert package.protocol_match is ProtocolMatch.MATCHED
    assert package.intended_age_days == (548, 913)
    assert [region.code for region in package.region_set.regions] == list(range(1, 11))


def test_all_that_is_shipped_weighs_less_than_30_mb() -> None:
    size = sum(f.stat().st_size for f in find().rglob("*") if f.is_file())
    assert size < 30e6


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "MODEL_CARD.md"])
def test_a_file_that_changed_by_one_byte_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(Refused, match=name) as refusal:
        load(copied)
    assert refusal.value.reason.code is Code.PACKAGE_DIGEST


def test_a_missing_file_is_refused(copied: Path) -> None:
    (copied / "model.onnx").unlink()
    with pytest.raises(Refused, match="missing") as refusal:
        load(copied)
    assert refusal.value.reason.code is Code.PACKAGE_DIGEST


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('schema = "fontanelle.package/2"', 'schema = "other/1"'),
        ('protocol_match = "matched"', 'protocol_match = "perfect"'),
        ("low_hu = -30.0", "low_hu = -30.0\nlow = 1"),
        ('name = "hu_window"', 'name = "clahe"'),
        ("[files]", "[files"),
        ("fields = [[128, 160, 128]", "fields = [[128, 160, 150]"),
        ("intended_age_days = [548, 913]", "intended_age_days = [913, 548]"),
        ("csf_code = 22", "csf_code = 2"),
        ('name = "brainstem"', 'name = "pons"'),
        ('pair = "parietal"', 'pair = "frontal"'),
    ],
    ids=[
        "schema",
        "enumeration",
        "unknown key",
        "unknown preprocessing",
        "no TOML",
        "field of a wrong size",
        "ages backwards",
        "a code twice",
        "a region without a place",
        "a side without its twin",
    ],
)
def test_a_malformed_description_is_refused(copied: Path, old: str, new: str) -> None:
    text = (copied / "package.toml").read_text()
    assert old in text
    (copied / "package.toml").write_text(text.replace(old, new))
    with pytest.raises(Unavailable) as refusal:
        load(copied)
    assert refusal.value.reason.code is Code.PACKAGE_INVALID


def test_a_file_without_a_digest_is_refused(copied: Path) -> None:
    path = copied / "package.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith('"model.onnx"')]
    path.write_text("\n".join(lines))
    with pytest.raises(Unavailable, match="model.onnx"):
        load(copied)


def test_the_packages_digest_changes_with_its_description(copied: Path) -> None:
    before = load(copied).sha256
    path = copied / "package.toml"
    path.write_text(
        path.read_text().replace('protocol_match = "matched"', 'protocol_match = "approximate"')
    )
    assert load(copied).sha256 != before


def test_an_unknown_package_is_named_with_those_that_exist() -> None:
    with pytest.raises(Unavailable, match=shipped_names()[0]) as refusal:
        find("no-such-package")
    assert refusal.value.reason.code is Code.PACKAGE_UNKNOWN
