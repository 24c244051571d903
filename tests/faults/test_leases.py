"""Messages that come twice and workers that oversleep: one result each."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest
from celery import Celery
from redis import Redis

from tests.faults.promises import as_peer, require_delivered_once, require_one_result
from tests.faults.senders import send
from tests.orthanc import Orthanc
from tests.system.configuration import destination
from tests.system.heads import Sent
from tests.system.service import Up, at_work, running
from tests.waiting import until

pytestmark = pytest.mark.peer("Orthanc")
QUEUE = "analyses"
LOST = "records.lease_lost"
LOG = "another-worker.log"


@pytest.fixture(scope="module")
def up(installed: Path, pacs: Orthanc, reachable_folder: Path) -> Iterator[Up]:
    settings = {
        "destinations": [destination("PACS", as_peer(pacs))],
        "worker": {"lease_s": 8.0},
        # A worker that sleeps loses its lease long before anybody replaces it.
        "supervisor": {"stalled_s": 300.0},
    }
    with running(installed, reachable_folder, settings, no_auth=True) as found:
        yield found


def test_a_message_that_comes_again_and_again_leaves_one_result(
    up: Up, head: Sent, pacs: Orthanc, tmp_path: Path
) -> None:
    with another_worker(up, tmp_path):
        send(up.address, head.files)
        number = at_work(up, head.series_instance_uid)
        announce(up, number, times=3)
        analysis = require_one_result(up, head)
        announce(up, number, times=3)
        until(lambda: not messages(up))

    assert (analysis["id"], analysis["attempts"]) == (number, 1)
    require_delivered_once(up, require_one_result(up, head), pacs)
    assert up.analysis(number)["objects"] == analysis["objects"]


def test_workers_that_outsleep_their_leases_one_after_the_other_leave_one_result(
    up: Up, head: Sent, pacs: Orthanc, tmp_path: Path
) -> None:
    send(up.address, head.files)
    number = at_work(up, head.series_instance_uid)
    first = up.pid("worker")
    with asleep(first), another_worker(up, tmp_path) as second:
        until(lambda: state_of(up, number) == ("running", 2))
        with asleep(second):
            # What the first has measured comes while the second has the analysis.
            os.kill(first, signal.SIGCONT)
            until(lambda: LOST in up.logs()["worker.log"])
            analysis = require_one_result(up, head)
        until(lambda: LOST in (tmp_path / LOG).read_text())

    assert (analysis["id"], analysis["attempts"]) == (number, 3)
    require_delivered_once(up, require_one_result(up, head), pacs)
    assert up.analysis(number)["objects"] == analysis["objects"]
    assert up.pid("worker") == first


@contextmanager
def asleep(pid: int) -> Iterator[None]:
    """Stop a process; at the end it goes on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state_of(up: Up, number: int) -> tuple[str, int]:
    """Return state and attempt of an analysis."""
    analysis = up.analysis(number)
    return analysis["state"], analysis["attempts"]


@contextmanager
def another_worker(up: Up, folder: Path) -> Iterator[int]:
    """Run a second worker beside that of `up`; give its process."""
    log = folder / LOG
    with log.open("wb") as said:
        process = subprocess.Popen(
            up.command("run", "worker"), env=up.environment, stdout=said, stderr=said
        )
        try:
            until(lambda: process.poll() is not None or "worker.ready" in log.read_text())
            yield process.pid
        finally:
            process.terminate()
            assert process.wait() == 0, log.read_text()


def announce(up: Up, number: int, times: int) -> None:
    """Send the message of an analysis by hand."""
    with Celery(broker=up.servers["broker_url"], set_as_current=False) as app:
        for _ in range(times):
            app.send_task("fontanelle.analyse", [number], queue=QUEUE)


def messages(up: Up) -> int:
    """Count the messages that no worker is done with."""
    path = unquote(up.servers["broker_url"].removeprefix("redis+socket://"))
    with Redis(unix_socket_path=path) as broker:
        return int(broker.llen(QUEUE)) + int(broker.hlen("unacked"))
