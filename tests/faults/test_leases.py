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
from tests.system.heads import Sent
from tests.system.service import Up, at_work, destination, running
from tests.waiting import until

pytestmark = pytest.mark.peer("Orthanc")
QUEUE = "analyses"


@pytest.fixture(scope="module")
def up(installed: Path, pacs: Orthanc, reachable_folder: Path) -> Iterator[Up]:
    settings = {
        "destinations": [destination("PACS", as_peer(pacs))],
        # The lease of a worker that sleeps runs out long before anybody replaces it.
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


def test_a_worker_that_outsleeps_its_lease_finds_its_work_done(
    up: Up, head: Sent, pacs: Orthanc, tmp_path: Path
) -> None:
    send(up.address, head.files)
    number = at_work(up, head.series_instance_uid)
    sleeper = up.pid("worker")
    os.kill(sleeper, signal.SIGSTOP)
    try:
        with another_worker(up, tmp_path):
            analysis = require_one_result(up, head)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    until(lambda: "records.lease_lost" in up.logs()["worker.log"])

    assert (analysis["id"], analysis["attempts"] > 1) == (number, True)
    require_delivered_once(up, require_one_result(up, head), pacs)
    assert up.analysis(number)["objects"] == analysis["objects"]
    assert up.pid("worker") == sleeper


@contextmanager
def another_worker(up: Up, folder: Path) -> Iterator[None]:
    """Run a second worker beside that of `up`."""
    log = folder / "another-worker.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            up.command("run", "worker"), env=up.environment, stdout=said, stderr=said
        )
        try:
            until(lambda: process.poll() is not None or "worker.ready" in log.read_text())
            yield
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
