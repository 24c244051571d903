"""`fontanelle doctor`: each missing thing by name, with its remedy, and the exit code."""

import json
import socket
from pathlib import Path

import pytest
from pydicom.uid import JPEGLSLossless

from service import cli
from service.supervisor import checks

NEVER_MISSED = {"python", "packages", "data", "space", "postgresql", "valkey", "engine", "package"}


@pytest.fixture(autouse=True)
def _free_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FONTANELLE_LISTENER_PORT", "0")
    monkeypatch.setenv("FONTANELLE_API_PORT", "0")
    monkeypatch.setenv("FONTANELLE_DATA", str(tmp_path / "data"))


def findings(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[str, str]]]:
    code = cli.run(["doctor", "--json"])
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, {each["check"]: (each["grade"], each["sentence"]) for each in said}


def failure(capsys: pytest.CaptureFixture[str], check: str) -> str:
    code, found = findings(capsys)
    grade, sentence = found[check]
    assert (code, grade) == (4, "failed")
    return sentence


def test_where_all_is_there_it_ends_well_and_says_what_it_looked_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, found = findings(capsys)

    assert code == 0
    assert set(found) >= NEVER_MISSED
    assert {grade for grade, _ in found.values()} <= {"ok", "warning"}


def test_it_says_the_same_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor"]) == 0

    assert "ok       python        Python 3." in capsys.readouterr().out


def test_looking_makes_no_data_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    findings(capsys)

    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "case",
    [
        ("LISTENER_PROT", "1", "settings", "FONTANELLE_LISTENER_PORT is near"),
        ("DATA", "/proc/version", "data", "--data"),
        ("LISTENER_MINIMUM_FREE_BYTES", str(1 << 60), "space", "Make room"),
        ("SOURCES", "[]", "sources", "`sources`"),
        ("WORKER_PACKAGE", "no-such", "package", "package.unknown"),
        ("WORKER_REFERENCE", "no-such", "reference", "reference.unknown"),
        ("DATABASE_URL", "postgresql://x@127.0.0.1:1/x", "database", "records.database_away"),
        ("BROKER_URL", "redis://127.0.0.1:1/0", "broker", "FONTANELLE_BROKER_URL"),
        ("LISTENER_HOST", "192.0.2.1", "dicom port", "FONTANELLE_LISTENER_PORT"),
    ],
)
def test_each_missing_thing_is_named_with_its_remedy(
    case: tuple[str, str, str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable, value, check, said = case
    monkeypatch.setenv(f"FONTANELLE_{variable}", value)

    assert said in failure(capsys, check)


def test_a_port_that_another_program_has_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("FONTANELLE_API_PORT", str(other.getsockname()[1]))

        assert "another program" in failure(capsys, "http port")


def test_a_missing_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_has", lambda name: name != "numpy")

    assert "pip install numpy" in failure(capsys, "packages")


@pytest.mark.parametrize(
    ("server", "check", "said"),
    [
        ("cluster", "postgresql", "FONTANELLE_DATABASE_URL"),
        ("valkey", "valkey", "FONTANELLE_BROKER_URL"),
    ],
)
def test_missing_binaries_are_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    server: str,
    check: str,
    said: str,
) -> None:
    monkeypatch.setattr(f"service.embedded.{server}.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/no/such/folder")

    assert said in failure(capsys, check)


def test_a_missing_engine_and_two_runtimes_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for has in ("onnx_runtime.has_runtime", "onnx_runtime.has_cuda", "open_vino.has_openvino"):
        monkeypatch.setattr(f"worker.inference.{has}", lambda: False)
    monkeypatch.setattr("worker.inference.onnx_runtime.has_tensorrt", lambda: False)
    monkeypatch.setattr("worker.inference.opening._installed", lambda _: True)

    code, found = findings(capsys)

    assert code == 4
    assert "fontanelle[cpu]" in found["engine"][1]
    assert "engine.two_runtimes" in found["runtimes"][1]


def test_a_missing_decoder_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydicom.pixels.decoders.base.get_decoder", _Decoder)

    assert "None for JPEGLSLossless:" in failure(capsys, "decoders")


class _Decoder:
    def __init__(self, syntax: str) -> None:
        self.is_available = syntax != JPEGLSLossless


def test_an_open_door_is_said_and_is_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTANELLE_API_REQUIRE_KEY", "false")

    code, found = findings(capsys)

    assert code == 0
    assert found["open doors"][0] == "warning"
