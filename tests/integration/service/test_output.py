"""The output folder: all of a run's files or none, and never two runs mixed."""

import os
from pathlib import Path

import pytest

from fontanelle.errors import Code, Refused
from service.output import RESULT_NAMES, output_folder

FILES = {name: name.encode() for name in RESULT_NAMES}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_files_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a" / "b") as folder:
        written = folder.write(FILES)

    assert names(tmp_path / "a" / "b") == set(RESULT_NAMES)
    assert [path.read_bytes() for path in written] == list(FILES.values())


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    with pytest.raises(Refused) as refused, output_folder(tmp_path / "out"):
        pytest.fail("the work was begun")

    assert refused.value.reason.code is Code.OUTPUT_UNWRITABLE


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Refused, match=r"output\.unwritable"), output_folder(tmp_path / "file/out"):
        pytest.fail("the work was begun")


def test_a_refused_input_leaves_no_trace(tmp_path: Path) -> None:
    def analyse() -> None:
        with output_folder(tmp_path / "a" / "b"):
            raise Refused(Code.NOT_CT, "No CT.")

    with pytest.raises(Refused):
        analyse()

    assert names(tmp_path) == set()


def test_a_refused_input_leaves_an_earlier_result_as_it_was(tmp_path: Path) -> None:
    with output_folder(tmp_path) as folder:
        folder.write(FILES)

    def analyse() -> None:
        with output_folder(tmp_path):
            raise Refused(Code.NOT_CT, "No CT.")

    with pytest.raises(Refused):
        analyse()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


def test_a_withheld_result_takes_the_numbers_of_an_earlier_run_away(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not ours")
    with output_folder(tmp_path) as folder:
        folder.write(FILES)

    with output_folder(tmp_path) as folder:
        folder.write({"report.json": b"withheld", "report.dcm": b"withheld"})

    assert names(tmp_path) == {"report.json", "report.dcm", "notes.txt"}
    assert (tmp_path / "report.json").read_bytes() == b"withheld"


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def write() -> None:
        with output_folder(tmp_path / "out") as folder:
            folder.write(FILES)

    with pytest.raises(Refused, match="No space left on device"):
        write()

    assert names(tmp_path) == set()


def test_files_are_as_open_as_the_callers_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with output_folder(tmp_path / "out") as folder:
            written = folder.write({"report.json": b"{}"})
    finally:
        os.umask(before)

    assert written[0].stat().st_mode & 0o777 == 0o640
