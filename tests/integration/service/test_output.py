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


def test_a_refused_input_leaves_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not ours")
    with output_folder(tmp_path) as folder:
        folder.write(FILES)

    def analyse() -> None:
        with output_folder(tmp_path):
            raise Refused(Code.NOT_CT, "No CT.")

    with pytest.raises(Refused):
        analyse()

    assert names(tmp_path) == {"notes.txt"}


def test_an_earlier_result_is_gone_before_the_work_begins(tmp_path: Path) -> None:
    with output_folder(tmp_path) as folder:
        folder.write(FILES)

    with output_folder(tmp_path):
        assert not names(tmp_path) & set(RESULT_NAMES)


def test_an_earlier_result_that_cannot_be_removed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.dcm").mkdir()

    with pytest.raises(Refused, match=r"output\.unwritable"), output_folder(tmp_path):
        pytest.fail("the work was begun")

    assert names(tmp_path) == {"report.dcm"}


@pytest.mark.parametrize("reading", [".", "labels.nii.gz", "../out/labels.nii.gz"])
def test_what_is_to_be_read_is_never_removed(tmp_path: Path, reading: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "labels.nii.gz").write_bytes(b"an input")

    with pytest.raises(Refused) as refused, output_folder(out, reading=out / reading):
        pytest.fail("the work was begun")

    assert refused.value.reason.code is Code.OUTPUT_UNWRITABLE
    assert (out / "labels.nii.gz").read_bytes() == b"an input"


def test_an_input_beside_the_results_may_be_read(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"an input")

    with output_folder(tmp_path, reading=tmp_path / "scan.nii.gz") as folder:
        folder.write(FILES)

    assert names(tmp_path) == {"scan.nii.gz", *RESULT_NAMES}


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


@pytest.mark.parametrize("moved", range(len(RESULT_NAMES)))
def test_a_disk_that_goes_away_between_two_files_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    seen: list[set[str]] = []
    replace = Path.replace

    def fails(source: Path, target: Path) -> Path:
        seen.append(names(tmp_path) & set(RESULT_NAMES))
        if len(seen) > moved:
            raise OSError(5, "Input/output error")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", fails)

    def write() -> None:
        with output_folder(tmp_path) as folder:
            folder.write(FILES)

    with pytest.raises(Refused, match="Input/output error"):
        write()

    assert len(seen[-1]) == moved
    assert names(tmp_path) == set()


def test_the_analysis_object_comes_last_so_that_its_presence_says_complete(
    tmp_path: Path,
) -> None:
    backwards = dict(reversed(FILES.items()))

    with output_folder(tmp_path) as folder:
        written = folder.write(backwards)

    assert written[-1].name == "report.json"


def test_files_are_as_open_as_the_callers_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with output_folder(tmp_path / "out") as folder:
            written = folder.write({"report.json": b"{}"})
    finally:
        os.umask(before)

    assert written[0].stat().st_mode & 0o777 == 0o640
