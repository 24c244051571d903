"""A package of two steps, and every way in which its files may not fit its description."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra `train`)")

from fontanelle.errors import Code, Unavailable
from models.onnx_header import FLOAT, UINT8, read_header
from models.package import file_sha256, load
from tests.coded_head import WINDOW, write_network, write_package


def resigned(folder: Path, name: str) -> Path:
    """Give a changed file of a package its new digest."""
    text = (folder / "package.toml").read_text()
    lines = [
        f'"{name}" = "{file_sha256(folder / name)}"' if line.startswith(f'"{name}" =') else line
        for line in text.splitlines()
    ]
    (folder / "package.toml").write_text("\n".join(lines))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(Unavailable) as refusal:
        load(folder)
    assert refusal.value.reason.code is Code.PACKAGE_INVALID
    return refusal.value.reason.sentence


def test_both_steps_are_declared(tmp_path: Path) -> None:
    package = load(write_package(tmp_path / "package", measurement_error={"brainstem": 1.5}))
    assert package.localiser is not None
    assert package.canonical is not None
    assert package.localiser.fields == ((48, 64, 48),)
    assert package.canonical.field == package.preprocessing.fields[0] == (64, 96, 64)
    assert package.canonical.spacing_mm == 2.5
    assert package.measurement_error_percent == {"brainstem": 1.5}
    assert package.likeness is None
    assert not package.qualified
    assert package.classes == frozenset(range(13))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"canonical": None}, "table canonical"),
        ({"localiser": None}, "table localiser"),
        ({"localiser": {**WINDOW, "spacing_mm": 4.0, "field": [48, 64, 40]}}, "multiple of 16"),
        (
            {"preprocessing": {**WINDOW, "spacing_mm": 2.5, "fields": [[64, 96, 64]] * 2}},
            "one field",
        ),
        ({"measurement_error": {"pons": 1.0}}, "pons"),
        ({"likeness": {"features": [], "mean": [], "covariance": [], "usual": 3.0}}, "likeness"),
        ({"outer_csf": 300}, "outer_csf"),
    ],
)
def test_a_description_that_does_not_fit_together_is_refused_by_name(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    assert said in refused(write_package(tmp_path / "package", **changes))


def test_a_localiser_without_its_digest_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package")
    text = (folder / "package.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith('"localiser.onnx"')]
    (folder / "package.toml").write_text("\n".join(lines))
    assert "localiser.onnx" in refused(folder)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"opset": 11}, "opset 11"),
        ({"element": "int64"}, "gives int64, not uint8"),
        ({"sides": [48, 48, 48]}, "does not take a field of 64 x 96 x 64"),
        ({"name": "picture"}, "called image"),
    ],
    ids=["opset", "type of the classes", "fixed sides", "name of the input"],
)
def test_a_network_that_cannot_be_served_is_refused_by_name(
    network: dict, said: str, tmp_path: Path
) -> None:
    folder = write_package(tmp_path / "package")
    write_network(folder / "model.onnx", **network)
    sentence = refused(resigned(folder, "model.onnx"))
    assert sentence.startswith("model.onnx")
    assert said in sentence


@pytest.mark.parametrize("content", [b"", b"no network at all", b"\x08\x09\x3a\x7f"])
def test_what_is_no_network_is_refused(content: bytes, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package")
    (folder / "localiser.onnx").write_bytes(content)
    assert refused(resigned(folder, "localiser.onnx")) == "localiser.onnx is no ONNX file."


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("localiser_image", None, "no golden case of the localiser"),
        ("localiser_image", np.zeros((48, 64, 32), np.int8), "localiser lies on none"),
        ("voxels", np.ones(256, np.int64), "classes"),
        ("voxels", np.zeros(13, np.int64), "classes"),
    ],
)
def test_a_golden_case_that_does_not_fit_is_refused(
    entry: str, value: np.ndarray | None, said: str, tmp_path: Path
) -> None:
    folder = write_package(tmp_path / "package")
    with np.load(folder / "golden.npz") as stored:
        golden = dict(stored.items())
    golden[entry] = value
    kept = {name: array for name, array in golden.items() if array is not None}
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **kept)
    assert said in refused(resigned(folder, "golden.npz"))


def test_the_header_is_what_the_library_reads(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "model.onnx"
    write_network(path)
    model, header = onnx.load(path), read_header(path)
    assert header.opset == model.opset_import[0].version == 18
    assert [tensor.name for tensor in header.inputs] == ["image"]
    assert header.inputs[0].element == FLOAT
    assert header.inputs[0].sides == (1, 1, None, None, None)
    assert header.outputs[0].element == UINT8
    assert header.outputs[0].sides == (1, None, None, None)
