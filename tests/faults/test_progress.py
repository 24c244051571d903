"""Progress is watched, not processes: who lives and does nothing is replaced."""

import os
import signal
from pathlib import Path

from tests.faults.promises import require_one_result
from tests.faults.senders import send
from tests.system.heads import Sent
from tests.system.service import at_work, running
from tests.waiting import is_gone, until


def test_a_worker_that_is_stopped_for_ever_is_replaced_and_its_work_done(
    installed: Path, data_folder: Path, head: Sent
) -> None:
    settings = {"supervisor": {"stalled_s": 12.0}}
    with running(installed, data_folder, settings, no_auth=True) as up:
        send(up.address, head.files)
        number = at_work(up, head.series_instance_uid)
        stopped = up.pid("worker")

        os.kill(stopped, signal.SIGSTOP)

        until(lambda: is_gone(stopped))
        assert require_one_result(up, head)["id"] == number
        assert up.pid("worker") != stopped
