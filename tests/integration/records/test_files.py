"""Spool and store: what has a name is on disk, whole, once; what has none leaves no trace."""

import hashlib
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fontanelle.errors import Code, Unavailable
from fontanelle.records.files import LocalStore, Spool, StoredFile, spool_key
from fontanelle.records.landing import Landing
from tests.waiting import until

CONTENT = b"content"
# Worked out with sha256sum.
DIGEST = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool").writing() as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "results")


def kept(spool: Spool, uid: str, content: bytes) -> bool:
    with spool.begin() as temporary:
        temporary.write(content)
        return spool.keep(temporary, spool_key(uid))


def files(folder: Path) -> list[Path]:
    """Return the files that hold something, each under one name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and (status := path.stat()).st_size:
                found[status.st_ino] = path
    return sorted(found.values())


def test_what_was_put_is_found_by_its_digest(store: LocalStore) -> None:
    assert store.put(CONTENT) == StoredFile(DIGEST, DIGEST, 7)
    assert store.read(DIGEST) == CONTENT
    assert store.path(DIGEST).read_bytes() == CONTENT


def test_the_same_bytes_twice_are_one_file(store: LocalStore, tmp_path: Path) -> None:
    assert store.put(CONTENT) == store.put(memoryview(CONTENT))
    assert len(files(tmp_path)) == 1


def test_a_damaged_file_is_not_read_and_is_mended_by_who_puts_it_again(store: LocalStore) -> None:
    path = store.path(store.put(CONTENT).key)
    path.write_bytes(b"damaged")
    with pytest.raises(Unavailable) as damaged:
        store.read(DIGEST)
    assert damaged.value.reason.code is Code.FILE_MISSING

    store.put(CONTENT)
    assert store.read(DIGEST) == CONTENT


def test_a_missing_file_says_so_without_its_path(store: LocalStore) -> None:
    with pytest.raises(Unavailable) as missing:
        store.read(DIGEST)
    assert missing.value.reason.code is Code.FILE_MISSING
    assert "/" not in missing.value.reason.sentence


@pytest.mark.parametrize("key", ["", "..", "../" + DIGEST, DIGEST + "\n", DIGEST.upper(), "a/b"])
def test_a_key_is_a_digest_and_no_path(store: LocalStore, spool: Spool, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        store.path(key)
    with pytest.raises(ValueError, match="key"):
        spool.path(key)


def test_several_may_put_the_same_at_once(store: LocalStore, tmp_path: Path) -> None:
    contents = [bytes([k % 4]) * 100_000 for k in range(32)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store.put, contents))

    assert [store.read(file.key) for file in found] == contents
    assert len(files(tmp_path)) == 4


def test_what_a_writer_left_that_died_is_swept_and_what_is_being_written_is_not(
    store: LocalStore, tmp_path: Path
) -> None:
    store.put(CONTENT)
    old, new = (tmp_path / "results" / "incoming" / name for name in ("old", "new"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (1000, 1000))

    assert store.sweep(before_s=2000) == 1
    assert files(tmp_path) == sorted((new, store.path(DIGEST)))


def test_a_store_that_cannot_be_written_says_so_and_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(Unavailable) as full:
        store.put(CONTENT)
    assert full.value.reason.code is Code.OUTPUT_UNWRITABLE
    assert files(tmp_path) == []


def test_nobody_but_us_may_read_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        LocalStore(tmp_path / "results").put(CONTENT)
        with Spool(tmp_path / "spool").writing() as spool:
            kept(spool, "1.2", CONTENT)
    finally:
        os.umask(before)

    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600)


def test_an_instance_is_kept_under_the_digest_of_its_uid(spool: Spool) -> None:
    assert kept(spool, "1.2.3", CONTENT)

    key = hashlib.sha256(b"1.2.3").hexdigest()
    assert spool.holds(key)
    assert list(spool.keys()) == [key]
    with spool.open(key) as file:
        assert file.read() == CONTENT


def test_the_first_of_a_uid_stays(spool: Spool, tmp_path: Path) -> None:
    assert kept(spool, "1.2.3", b"first")
    assert not kept(spool, "1.2.3", b"second")

    assert [path.read_bytes() for path in files(tmp_path)] == [b"first"]


def test_of_many_at_once_one_is_the_first(spool: Spool, tmp_path: Path) -> None:
    begin = threading.Barrier(8)

    def keep(number: int) -> bool:
        begin.wait()
        return kept(spool, "1.2.3", bytes([number]) * 1000)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(keep, range(8))).count(True) == 1
    assert len(files(tmp_path)) == 1


def test_conflicts_lie_beside_by_uid_and_content(spool: Spool) -> None:
    key = spool_key("1.2.3")
    kept(spool, "1.2.3", b"first")
    for content in (b"second", b"third", b"second"):
        with spool.begin() as temporary:
            temporary.write(content)
            spool.set_aside(temporary, key, hashlib.sha256(content).hexdigest())

    conflicts = list(spool.conflicts())
    assert len(conflicts) == 2
    assert all(each.startswith(key + ".") for each in conflicts)
    assert {spool.path(each).read_bytes() for each in conflicts} == {b"second", b"third"}
    assert list(spool.keys()) == [key]


def test_what_is_begun_and_not_kept_vanishes(spool: Spool, tmp_path: Path) -> None:
    with spool.begin() as temporary:
        temporary.write(b"half")
        assert len(files(tmp_path)) == 1
    assert files(tmp_path) == []


def test_an_instance_that_is_not_there_says_so(spool: Spool) -> None:
    with pytest.raises(Unavailable) as missing:
        spool.open(spool_key("1"))
    assert missing.value.reason.code is Code.FILE_MISSING


def test_only_one_process_writes(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as taken, Spool(tmp_path / "spool").writing():
        pass
    assert taken.value.reason.code is Code.DATA_FOLDER


def test_a_spool_opens_again_after_its_writer_was_killed_and_sweeps_what_it_left(
    tmp_path: Path,
) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom fontanelle.records.files import Spool\n"
        "with Spool(Path(sys.argv[1])).writing() as spool:\n"
        "    spool.begin().write(b'half')\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(files(tmp_path)) == 1

    with Spool(tmp_path).writing() as spool:
        assert files(tmp_path) == []
        assert kept(spool, "1", CONTENT)


WRITER = """
import os, sys
from pathlib import Path
from fontanelle.records.files import Spool, spool_key
from tests.waiting import until

with Spool(Path(sys.argv[1])).writing() as spool:
    # Only what comes from the supply has a name that was flushed beforehand.
    until(lambda: spool._landing._supply)
    for uid, content in zip(sys.argv[2::2], sys.argv[3::2]):
        with spool.begin() as temporary:
            temporary.write(bytes(128) + content.encode())
            spool.keep(temporary, spool_key(uid))
    os.kill(os.getpid(), 9)
"""


def kill_after_keeping(folder: Path, *uids_and_contents: str) -> None:
    """Keep instances and die; a power cut would take the names that were not flushed yet."""
    call = [sys.executable, "-c", WRITER, str(folder), *uids_and_contents]
    assert subprocess.run(call, check=False).returncode == -9


def cut_power(folder: Path) -> list[Path]:
    """Take away all names that may be lost, and return the files that hold their bytes."""
    for path in folder.glob("instances/*/*"):
        path.unlink()
    return [path for path in (folder / "incoming").iterdir() if path.stat().st_size]


def contents(spool: Spool) -> list[bytes]:
    keys = [*spool.keys(), *spool.conflicts()]
    return sorted(spool.path(key).read_bytes()[128:] for key in keys)


def test_what_was_kept_and_lost_its_name_to_a_power_cut_is_there_after_the_next_start(
    tmp_path: Path,
) -> None:
    kill_after_keeping(tmp_path, "1", "one", "2", "two")
    assert len(cut_power(tmp_path)) == 2

    with Spool(tmp_path).writing() as spool:
        assert set(spool.keys()) == {spool_key("1"), spool_key("2")}
        assert contents(spool) == [b"one", b"two"]
        assert len(files(tmp_path)) == 2
    with Spool(tmp_path).writing() as spool:
        assert contents(spool) == [b"one", b"two"]


def test_what_was_kept_and_has_its_name_is_left_in_peace(tmp_path: Path) -> None:
    kill_after_keeping(tmp_path, "1", "one")

    with Spool(tmp_path).writing() as spool:
        assert contents(spool) == [b"one"]
        assert spool.path(spool_key("1")).stat().st_nlink == 1


@pytest.mark.parametrize(("other", "conflicts"), [("two", 1), ("one", 0)])
def test_of_two_of_one_uid_that_lost_their_names_no_content_is_dropped(
    tmp_path: Path, other: str, conflicts: int
) -> None:
    kill_after_keeping(tmp_path / "a", "1", "one")
    kill_after_keeping(tmp_path / "b", "1", other)
    [one], [two] = cut_power(tmp_path / "a"), cut_power(tmp_path / "b")
    two.rename(one.with_name("two"))

    with Spool(tmp_path / "a").writing() as spool:
        assert contents(spool) == [b"one", b"two"][: 1 + conflicts]
        assert len(list(spool.conflicts())) == conflicts


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:-1] + b"x",
        lambda content: bytes(128) + content[128:],
        lambda content: content[:60],
        lambda content: content[:16] + b"../" + content[19:],
        lambda _: b"",
    ],
)
def test_what_was_written_but_not_flushed_is_swept(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    kill_after_keeping(tmp_path, "1", "one")
    [torn] = cut_power(tmp_path)
    torn.write_bytes(damage(torn.read_bytes()))

    with Spool(tmp_path).writing() as spool:
        assert contents(spool) == []
        assert files(tmp_path) == []


def test_names_are_flushed_and_the_temporary_ones_go_when_it_is_quiet(tmp_path: Path) -> None:
    with Spool(tmp_path).writing() as spool:
        path = spool.path(spool_key("1"))
        while True:
            # Until one came from the supply.
            kept(spool, "1", bytes(128) + b"content")
            if path.stat().st_nlink == 2:
                break
            path.unlink()
        until(lambda: path.stat().st_nlink == 1)
        assert path.read_bytes()[128:] == b"content"


def test_a_closed_spool_leaves_no_temporary_name(tmp_path: Path) -> None:
    with Spool(tmp_path).writing() as spool:
        for number in range(100):
            kept(spool, str(number), bytes(128) + b"content")

    assert list((tmp_path / "incoming").iterdir()) == []
    assert len(files(tmp_path)) == 100


def test_without_a_supply_the_name_is_flushed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Landing, "_fill", lambda _: None)
    with Spool(tmp_path).writing() as spool:
        kept(spool, "1", bytes(128) + b"content")

        assert spool.path(spool_key("1")).read_bytes() == bytes(128) + b"content"
        assert list((tmp_path / "incoming").iterdir()) == []


def test_others_may_read_while_one_writes(spool: Spool, tmp_path: Path) -> None:
    kept(spool, "1", CONTENT)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_read, (tmp_path / "spool", spool_key("1"))) == CONTENT


def _read(folder: Path, key: str) -> bytes:
    with Spool(folder).open(key) as file:
        return file.read()


def test_what_is_no_instance_is_no_key(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "spool" / "instances" / "00" / "notes.txt").touch()
    (tmp_path / "spool" / "instances" / "00" / "0.dcm").touch()
    assert list(spool.keys()) == []


def test_folders_are_made_at_start_so_that_none_is_made_on_the_way(
    spool: Spool, tmp_path: Path
) -> None:
    assert len(list((tmp_path / "spool" / "instances").iterdir())) == 256


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as unusable, Spool(tmp_path / "file").writing():
        pass
    assert unusable.value.reason.code is Code.DATA_FOLDER


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80), st.lists(st.binary(max_size=50), max_size=4))
def test_whatever_the_uid_the_file_lies_in_the_spool_and_is_what_was_written(
    spool: Spool, tmp_path: Path, uid: str, parts: list[bytes]
) -> None:
    key = spool_key(uid)
    with spool.begin() as temporary:
        for part in parts:
            temporary.write(part)
        was_first = spool.keep(temporary, key)

    path = spool.path(key)
    assert path.resolve().is_relative_to(tmp_path / "spool" / "instances")
    if was_first:
        assert path.read_bytes() == b"".join(parts)
    assert key in set(spool.keys())
