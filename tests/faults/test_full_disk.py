"""A spool that is full: senders hear so, nothing is deleted or half-written, it goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.promises import nothing_unfinished, require_kept, require_one_result
from tests.faults.senders import send, until_listening
from tests.system.heads import Sent
from tests.system.service import running
from tests.waiting import until

FULL = 0xA700


@pytest.fixture
def small_spool(data_folder: Path) -> Iterator[Path]:
    """Mount a spool of 3 MB, less than a head needs, and give the folder above."""
    spool = data_folder / "data" / "spool"
    spool.mkdir(parents=True)
    (data_folder / "data").chmod(0o711)
    if os.geteuid() != 0 or _said("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", spool):
        pytest.skip("a file system of 3 MB can be mounted only as root, with CAP_SYS_ADMIN")
    yield data_folder
    _said("umount", "--lazy", spool)


def test_a_full_spool_refuses_and_goes_on_when_there_is_room(
    installed: Path, small_spool: Path, head: Sent
) -> None:
    with running(installed, small_spool, no_auth=True) as up:
        first = send(up.address, head.files)
        assert first.given == {0x0000, FULL}
        require_kept(up, head, first.taken)
        assert nothing_unfinished(up)
        until(lambda: "intake.spool_full" in up.get("/series").text)

        # On the full disk: a new listener starts, says the same, and has lost nothing.
        up.kill_child("listener")
        until_listening(up.address)
        again = send(up.address, head.files)
        assert FULL in again.given and again.given <= {0x0000, FULL}
        require_kept(up, head, first.taken | again.taken)

        assert not _said("mount", "-o", "remount,size=64m", up.data / "spool")
        assert send(up.address, head.files).given == {0x0000}
        require_one_result(up, head)
        assert nothing_unfinished(up)


def _said(*command: str | Path) -> str:
    """Run a command of root's; return what it said, nothing where it did what was asked."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{command[0]}: {done.stderr}" if done.returncode else ""
