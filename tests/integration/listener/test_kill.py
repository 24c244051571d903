"""kill -9 amid four series, and a power cut on top: all that was acknowledged is there, whole."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fontanelle.records.files import Spool, spool_key
from tests.integration.listener.peer import CALLED, CALLING, Peer, files_in
from tests.unit.listener.builders import encoded, instance
from tests.waiting import until

LISTENER = f"""
import sys, threading
from pathlib import Path
from fontanelle.records.files import Spool
from fontanelle.settings import ListenerSettings, Settings, Source
from service.listener.dimse import serve

settings = Settings(
    data=Path(sys.argv[1]),
    sources=(Source(ae_title="{CALLING}"),),
    listener=ListenerSettings(ae_title="{CALLED}", port=0, minimum_free_bytes=0),
)
told = lambda _: None
with Spool(settings.spool).writing() as spool, serve(settings, spool, told, told) as listener:
    print(listener.port, flush=True)
    threading.Event().wait()
"""


@contextmanager
def listener(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    call = [sys.executable, "-c", LISTENER, str(folder)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


class Sender(threading.Thread):
    """Sends instances until the connection breaks, and remembers what was acknowledged."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__()
        self.number = number
        self.port = port
        self.acknowledged: dict[str, bytes] = {}

    def run(self) -> None:
        with Peer(self.port) as peer:
            peer.associate()
            try:
                for index in range(100_000):
                    uid = f"2.25.{self.number}.{index}"
                    content = encoded(instance(uid, PixelData=bytes([index % 256]) * 200_000))
                    if peer.store(content, uid) != 0:
                        return
                    self.acknowledged[uid] = content
            except OSError:
                return


@pytest.mark.parametrize("at_least", [1, 30, 120])
def test_whatever_was_acknowledged_outlives_a_kill_and_a_power_cut(
    tmp_path: Path, at_least: int
) -> None:
    with listener(tmp_path) as (process, port):
        senders = [Sender(port, number) for number in range(4)]
        for sender in senders:
            sender.start()
        until(lambda: all(len(sender.acknowledged) >= at_least for sender in senders))
        process.kill()
        for sender in senders:
            sender.join()

    assert cut_power(tmp_path / "spool") > 0
    acknowledged = {uid: each for sender in senders for uid, each in sender.acknowledged.items()}
    with Spool(tmp_path / "spool").writing() as spool:
        for uid, content in acknowledged.items():
            assert spool.path(spool_key(uid)).read_bytes().endswith(content)
        # At most the four in hand were kept without their sender's knowing.
        assert len(list(spool.keys())) <= len(acknowledged) + 4
        assert len(files_in(spool.path("0" * 64).parents[2])) == len(list(spool.keys()))


def cut_power(spool: Path) -> int:
    """Take away the names that were not flushed: those of files that have their first one still."""
    names = [path for path in spool.glob("instances/*/*") if path.stat().st_nlink == 2]
    for path in names:
        path.unlink()
    return len(names)
