"""`fontanelle send`: what it says and how it ends."""

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from service.cli import run
from tests.integration.delivery.files import CANARY, dataset_bytes, part10
from tests.integration.delivery.receivers import AE_TITLE, HOST, misbehaving, receiver
from tests.servers import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give three instances in folders, and a file that is none."""
    found = tmp_path / "study"
    (found / "series").mkdir(parents=True)
    for name in ("a", "b"):
        part10(found / "series" / f"{name}.dcm")
    part10(found / "c.dcm")
    (found / "notes.txt").write_text("no image")
    return found


def to(port: int, ae_title: str = AE_TITLE) -> str:
    return f"{ae_title}@{HOST}:{port}"


def test_a_folder_is_sent_and_what_is_not_dicom_is_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver() as found:
        assert run(["send", str(folder), "--to", to(found.port)]) == 0
    assert sorted(content for _, content in found.received.instances) == sorted(
        dataset_bytes(path) for path in folder.rglob("*.dcm")
    )
    said = capsys.readouterr()
    assert said.out == f"3 stored by {to(found.port)}\n1 passed over: not DICOM\n"
    assert "sending: 3 of 3" in said.err


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
def test_an_archive_is_sent(folder: Path, tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"study.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in folder.rglob("*.dcm"):
                packed.write(path, path.name)
    else:
        mode = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]
        with tarfile.open(archive, mode) as packed:  # type: ignore[call-overload]
            packed.add(folder, "study")

    with receiver() as found:
        assert run(["send", str(archive), "--to", to(found.port), "--associations", "3"]) == 0
    assert len(found.received.instances) == 3


def test_it_calls_itself_as_told(folder: Path) -> None:
    with receiver() as found:
        run(["send", str(folder), "--to", to(found.port)])
        run(["send", str(folder), "--to", to(found.port), "--from", "CT SCANNER 1"])
    assert found.received.associations == ["FONTANELLE-SEND", "CT SCANNER 1"]


def test_it_sends_to_this_installations_listener_unless_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as found:
        monkeypatch.setenv("FONTANELLE_LISTENER_AE_TITLE", AE_TITLE)
        monkeypatch.setenv("FONTANELLE_LISTENER_HOST", "0.0.0.0")  # noqa: S104 (not bound to)
        monkeypatch.setenv("FONTANELLE_LISTENER_PORT", str(found.port))
        assert run(["send", str(folder)]) == 0
    assert len(found.received.instances) == 3


def test_refusals_are_counted_by_status_and_the_exit_code_is_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([0xA700, 0x0111, 0xB000])
    with receiver(lambda _: next(answers)) as found:
        assert run(["send", str(folder), "--to", to(found.port)]) == 3
    assert capsys.readouterr().out.splitlines() == [
        f"1 stored by {to(found.port)}",
        "  of these 1: 0xB000 (stored, elements were changed)",
        "1 there already",
        "1 refused: 0xA700 (out of resources)",
        "1 passed over: not DICOM",
    ]


def test_what_is_there_already_is_no_failure(folder: Path) -> None:
    with receiver(0x0111) as found:
        assert run(["send", str(folder), "--to", to(found.port)]) == 0


def test_a_cut_file_is_not_sent_and_the_others_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "c.dcm"
    path.write_bytes(path.read_bytes()[:-10])
    with receiver() as found:
        assert run(["send", str(folder), "--to", to(found.port)]) == 3
    assert len(found.received.instances) == 2
    assert "1 not sent: admission.pixel_data_short" in capsys.readouterr().out


def test_a_receiver_that_is_away_is_exit_code_4(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["send", str(folder), "--to", to(free_port())]) == 4
    assert "3 not sent: delivery.destination_away" in capsys.readouterr().out


def test_a_receiver_that_refuses_our_name_is_exit_code_4(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver() as found:
        assert run(["send", str(folder), "--to", to(found.port, "NOBODY")]) == 4
    assert "that is not its (called) AE title" in capsys.readouterr().out


def test_a_receiver_that_hangs_up_is_exit_code_4(folder: Path) -> None:
    with misbehaving(lambda connection: connection.accept()) as found:
        assert run(["send", str(folder), "--to", to(found.port)]) == 4


def test_json_holds_counts_and_every_status(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiver(0xA900) as found:
        assert run(["send", str(folder), "--to", to(found.port), "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {
        "to": {"ae_title": AE_TITLE, "host": HOST, "port": found.port},
        "stored": 0,
        "there_already": 0,
        "refused": 3,
        "statuses": [
            {
                "status": "0xA900",
                "count": 3,
                "sentence": "0xA900 (the data set does not match its class)",
            }
        ],
        "not_sent": [],
        "not_dicom": 1,
    }


def test_nothing_to_send_is_a_refused_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    assert run(["send", str(tmp_path), "--to", to(104)]) == 3
    assert "input.no_dicom" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", ["PACS", "PACS@host", "host:104", "@host:104", "PACS@:104", "A@h:0", "A@h:99999"]
)
def test_an_address_that_is_none_is_wrong_usage(folder: Path, wrong: str) -> None:
    assert run(["send", str(folder), "--to", wrong]) == 2


def test_an_ae_title_of_17_characters_is_wrong_usage(folder: Path) -> None:
    assert run(["send", str(folder), "--to", to(104), "--from", "A" * 17]) == 2


def test_no_patient_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(0xC000) as found:
        run(["send", str(folder), "--to", to(found.port)])
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err
