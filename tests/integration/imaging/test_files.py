"""What a PATH may be: folders, archives, NIfTI files; and archives that mean no good."""

import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from errno import EACCES
from pathlib import Path

import pytest

from fontanelle.errors import Code, Refused
from fontanelle.imaging import files
from fontanelle.imaging.files import is_nifti, opened

CONTENT = {"study/b/2": b"two", "study/a/1": b"one", "study/3": b"three"}


def tar_of(path: Path, members: dict[str, bytes], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def code_of(path: Path) -> Code:
    with pytest.raises(Refused) as refused, opened(path):
        pass
    return refused.value.reason.code


def test_a_folder_gives_all_files_in_it_sorted_and_without_litter(tmp_path: Path) -> None:
    for name, content in {**CONTENT, ".DS_Store": b"x", "study/a/._1": b"x"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    with opened(tmp_path) as found:
        assert [file.relative_to(tmp_path).as_posix() for file in found] == sorted(CONTENT)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("s.tar", "w"), ("s.tar.gz", "w:gz"), ("s.tgz", "w:gz"), ("s.tar.xz", "w:xz")],
)
def test_a_tar_archive_is_unpacked_for_us_alone_and_gone_afterwards(
    tmp_path: Path, name: str, mode: str
) -> None:
    with opened(tar_of(tmp_path / name, CONTENT, mode)) as found:
        assert [file.read_bytes() for file in found] == [b"two", b"one", b"three"]
        assert all(file.stat().st_mode & 0o077 == 0 for file in found)
        private = next(folder for folder in found[0].parents if folder.name.startswith("font"))
        assert private.stat().st_mode & 0o077 == 0
    assert not any(file.exists() for file in found)


def test_a_zip_archive_is_unpacked(tmp_path: Path) -> None:
    with opened(zip_of(tmp_path / "s.ZIP", CONTENT)) as found:
        assert [file.read_bytes() for file in found] == [b"two", b"one", b"three"]


def test_a_zip_of_a_windows_program_is_unpacked(tmp_path: Path) -> None:
    with opened(zip_of(tmp_path / "s.zip", {"study\\a\\1": b"one"})) as found:
        assert [file.read_bytes() for file in found] == [b"one"]


@pytest.mark.parametrize("name", ["s.tar", "s.zip"])
def test_names_within_an_archive_do_not_become_names_on_our_disk(tmp_path: Path, name: str) -> None:
    members = {
        "CANARY^JANE_20220315/CANARY.JANE": b"one",
        "CANARY^JANE_20220315/CANARY.DCM": b"two",
        "CANARY.nii.gz": b"three",
        "__MACOSX/._CANARY": b"litter",
    }
    path = tmp_path / name
    archive = zip_of(path, members) if name == "s.zip" else tar_of(path, members, "w")

    with opened(archive) as found:
        assert [file.name for file in found] == ["00001", "00002.dcm", "00003.nii.gz"]
        assert not [file for file in found if "CANARY" in str(file)]
        assert [file.read_bytes() for file in found] == [b"one", b"two", b"three"]
        private = found[0].parent
        assert sorted(private.rglob("*")) == found


def test_a_folder_that_may_not_be_listed_is_refused_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Said by the system itself for any user but root, as whom tests may run.
    (tmp_path / "locked").mkdir()
    (tmp_path / "1").write_bytes(b"one")
    scandir = os.scandir

    def forbidding(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "locked":
            raise PermissionError(EACCES, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", forbidding)

    assert code_of(tmp_path) is Code.INPUT_UNREADABLE


def test_a_path_behind_a_closed_door_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidding(path: Path) -> bool:
        raise PermissionError(EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", forbidding)

    with pytest.raises(Refused, match=r"\(PermissionError\)") as refused, opened(tmp_path):
        pass
    assert refused.value.reason.code is Code.INPUT_UNREADABLE
    assert tmp_path.name not in refused.value.reason.sentence


def test_a_link_to_nothing_is_a_lost_slice_and_stays(tmp_path: Path) -> None:
    (tmp_path / "IM1").symlink_to(tmp_path / "gone")

    with opened(tmp_path) as found:
        assert found == [tmp_path / "IM1"]


def test_a_single_file_is_a_list_of_one(tmp_path: Path) -> None:
    (tmp_path / "IM1").write_bytes(b"x")

    with opened(tmp_path / "IM1") as found:
        assert found == [tmp_path / "IM1"]


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "X.NII.GZ"])
def test_nifti_is_told_by_its_name(name: str) -> None:
    assert is_nifti(Path("folder") / name)
    assert not is_nifti(Path("x.nii") / "IM1")


def test_a_path_without_anything_is_refused(tmp_path: Path) -> None:
    assert code_of(tmp_path / "absent") is Code.INPUT_NOT_FOUND


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert code_of(tmp_path) is Code.INPUT_NO_DICOM


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../outside", "a\\..\\outside"])
def test_an_archive_that_names_files_outside_itself_is_refused(tmp_path: Path, name: str) -> None:
    assert code_of(tar_of(tmp_path / "s.tar.xz", {name: b"x"})) is Code.INPUT_ARCHIVE
    assert code_of(zip_of(tmp_path / "s.zip", {name: b"x"})) is Code.INPUT_ARCHIVE


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_links_or_devices_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)

    assert code_of(tmp_path / "s.tar") is Code.INPUT_ARCHIVE


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")

    assert code_of(tmp_path / "s.zip") is Code.INPUT_ARCHIVE


def test_an_archive_that_holds_a_name_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for content in (b"one", b"two"):
            info = tarfile.TarInfo("1.dcm")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

    assert code_of(tmp_path / "s.tar") is Code.INPUT_ARCHIVE


def test_an_archive_that_grows_beyond_all_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ARCHIVE_LIMIT_BYTES", 10_000)

    assert code_of(tar_of(tmp_path / "s.tar.xz", {"1": bytes(10_001)})) is Code.INPUT_ARCHIVE
    assert code_of(zip_of(tmp_path / "s.zip", {"1": bytes(10_001)})) is Code.INPUT_ARCHIVE


@pytest.mark.parametrize("name", ["s.tar", "s.tar.xz", "s.tar.gz", "s.zip"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.8])
def test_an_archive_that_was_cut_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    members = {f"{k}.dcm": bytes(range(256)) * 40 for k in range(5)}
    whole = tmp_path / name
    if name.endswith(".zip"):
        zip_of(whole, members)
    else:
        tar_of(whole, members, {"s.tar": "w", "s.tar.xz": "w:xz", "s.tar.gz": "w:gz"}[name])
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * kept)])

    assert code_of(whole) is Code.INPUT_ARCHIVE


@pytest.mark.parametrize("blocks", [3, 4, 5])
def test_a_tar_cut_between_two_files_or_in_a_header_is_refused(tmp_path: Path, blocks: int) -> None:
    whole = tar_of(tmp_path / "s.tar", {f"{k}.dcm": bytes(900) for k in range(3)}, "w")
    content = whole.read_bytes()
    # One file is a header of 512 bytes and two blocks of content.
    whole.write_bytes(content[: 512 * blocks - 200 * (blocks == 4)])

    assert code_of(whole) is Code.INPUT_ARCHIVE


def test_a_tar_with_a_damaged_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "s.tar", {f"{k}.dcm": bytes(900) for k in range(3)}, "w")
    content = bytearray(whole.read_bytes())
    content[512 * 3 + 10] ^= 0xFF
    whole.write_bytes(content)

    assert code_of(whole) is Code.INPUT_ARCHIVE
