"""A spool without room: 0xA700 before it is full, nothing half-written, nothing deleted."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fontanelle.errors import Code
from fontanelle.records.landing import Landing
from tests.integration.listener.peer import Place, associated, listening
from tests.unit.listener.builders import encoded, instance

SMALL = encoded(instance())
FULL, NOT_WRITTEN = 0xA700, 0xC001


def large(uid: str) -> bytes:
    return encoded(instance(uid, PixelData=bytes(1 << 20)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 6 MB, as root; else a limit on the length of files stands in."""
    mount = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(tmp_path)]
    if (
        os.geteuid() == 0
        and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    ):  # noqa: S603
        yield tmp_path
        subprocess.run(["/usr/bin/umount", "--lazy", str(tmp_path)], check=True)  # noqa: S603
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_refuses_and_leaves_nothing_half_written(small_disk: Path) -> None:
    with listening(small_disk) as place, associated(place) as peer:
        answers = [peer.store(large(f"2.25.{k}"), f"2.25.{k}") for k in range(10)]
        assert set(answers) <= {0, FULL}
        assert answers[-1] == FULL
        assert len(place.kept) == answers.count(0)
        assert_whole(place)
        # What is smaller than what is left is still taken, on the same association.
        assert peer.store(SMALL) == 0
        assert place.codes() == [Code.SPOOL_FULL] * answers.count(FULL)


def test_a_listener_starts_on_a_full_disk_and_says_so(small_disk: Path) -> None:
    with listening(small_disk) as place, associated(place) as peer:
        while peer.store(large(uid := f"2.25.{len(place.kept)}"), uid) == 0:
            pass
        kept = len(place.kept)
    with listening(small_disk, minimum_free_bytes=1 << 40) as place, associated(place) as peer:
        assert peer.echo() == 0
        assert peer.store(SMALL) == FULL
        assert len(list(place.spool.keys())) == kept


def test_below_the_watermark_nothing_is_written_at_all(tmp_path: Path) -> None:
    with listening(tmp_path, minimum_free_bytes=1 << 60) as place, associated(place) as peer:
        assert peer.store(SMALL) == FULL
        assert place.files() == []


def test_a_write_that_writes_less_than_asked_for_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.writev
    monkeypatch.setattr(os, "writev", lambda file, parts: whole(file, [bytes(parts[0])[:7]]))
    with listening(tmp_path) as place, associated(place) as peer:
        assert peer.store(SMALL) == 0
        assert_whole(place)


def test_a_disk_that_fails_when_flushed_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "fault")

    with listening(tmp_path) as place, associated(place) as peer:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", fail)
            assert peer.store(SMALL) == NOT_WRITTEN
        assert place.files() == []
        assert place.codes() == [Code.SPOOL_ERROR]
        assert peer.store(SMALL) == 0


def test_a_folder_that_cannot_be_flushed_is_no_success_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "fault")

    # Without a supply of names that were flushed beforehand.
    monkeypatch.setattr(Landing, "_fill", lambda _: None)
    with listening(tmp_path) as place, associated(place) as peer:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            assert peer.store(SMALL) == NOT_WRITTEN
            # It is there, but nobody may hear so before its name is on disk.
            assert peer.store(SMALL) == NOT_WRITTEN
        assert peer.store(SMALL) == 0


def assert_whole(place: Place) -> None:
    """Every file is that of a kept instance, and as long as it was told."""
    found = {path: path.stat().st_size for path in place.files()}
    assert found == {place.spool.path(kept.key): kept.size_bytes for kept in place.kept}
