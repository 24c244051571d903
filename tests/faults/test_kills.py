"""`kill -9` of anything at any time: all goes on, nothing is lost, nothing is there twice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.promises import (
    as_peer,
    nothing_unfinished,
    require_delivered_once,
    require_kept,
    require_one_result,
)
from tests.faults.senders import half_sent, send, sending, until_listening
from tests.orthanc import Orthanc
from tests.system.configuration import destination
from tests.system.heads import Sent
from tests.system.service import ROLES, Up, at_work, running
from tests.waiting import until

pytestmark = pytest.mark.peer("Orthanc")
SOME = 8
"""Instances that are answered before the blow falls."""


@pytest.fixture(scope="module")
def up(installed: Path, pacs: Orthanc, reachable_folder: Path) -> Iterator[Up]:
    settings = {
        "destinations": [destination("PACS", as_peer(pacs))],
        "courier": {"timeout_s": 2.0},
        "supervisor": {"stop_s": 8.0},
    }
    with running(installed, reachable_folder, settings, no_auth=True) as found:
        yield found


def test_of_the_worker_in_mid_analysis(up: Up, head: Sent, pacs: Orthanc) -> None:
    assert send(up.address, head.files).given == {0x0000}
    number = at_work(up, head.series_instance_uid)

    killed = up.kill_child("worker")

    assert up.analysis(number)["state"] in {"running", "queued"}
    analysis = require_one_result(up, head)
    assert (analysis["id"], analysis["attempts"] > 1) == (number, True)
    assert up.pid("worker") != killed
    require_delivered_once(up, analysis, pacs)


def test_of_the_listener_in_mid_receive(up: Up, head: Sent, pacs: Orthanc) -> None:
    with half_sent(up.address, head.files[-1]) as half:
        until(lambda: not nothing_unfinished(up))
        with sending(up.address, head.files) as first:
            until(lambda: len(first.taken) >= SOME)
            up.kill_child("listener")
        assert half.is_closed()

    # The sender knows: what has no answer is not taken, and nothing else was said.
    assert SOME <= len(first.taken) < len(head.files)
    assert first.given <= {0x0000, None}
    require_kept(up, head, first.taken)
    until_listening(up.address)
    assert send(up.address, head.files).given == {0x0000}
    require_delivered_once(up, require_one_result(up, head), pacs)
    assert nothing_unfinished(up)


def test_of_postgresql_while_one_is_measured_and_one_received(
    up: Up, head: Sent, other: Sent, pacs: Orthanc
) -> None:
    send(up.address, head.files)
    number = at_work(up, head.series_instance_uid)
    with sending(up.address, other.files) as answers:
        until(lambda: len(answers.taken) >= SOME)
        up.kill_child("postgresql")

    # The acknowledged path does not touch the database.
    assert answers.taken == set(other.sop_instance_uids)
    analysis = require_one_result(up, head)
    assert analysis["id"] == number
    for each in (analysis, require_one_result(up, other)):
        require_delivered_once(up, each, pacs)


def test_of_valkey_while_one_is_measured_and_one_waits(
    up: Up, head: Sent, other: Sent, pacs: Orthanc
) -> None:
    send(up.address, head.files)
    send(up.address, other.files)
    until(lambda: {"running", "queued"} <= set(states_of(up, head, other)))

    up.kill_child("valkey")

    for each in (head, other):
        require_delivered_once(up, require_one_result(up, each), pacs)


def test_of_the_dispatcher_while_a_series_comes(up: Up, head: Sent, pacs: Orthanc) -> None:
    with sending(up.address, head.files) as answers:
        until(lambda: len(answers.taken) >= SOME)
        up.kill_child("dispatcher")

    require_delivered_once(up, require_one_result(up, head), pacs)


def test_of_the_courier_in_mid_delivery(up: Up, head: Sent, pacs: Orthanc) -> None:
    os.kill(pacs.pid, signal.SIGSTOP)
    try:
        send(up.address, head.files)
        until(lambda: "sending" in [each["state"] for each in up.items("deliveries")])
        up.kill_child("courier")
    finally:
        os.kill(pacs.pid, signal.SIGCONT)

    require_delivered_once(up, require_one_result(up, head), pacs)


def test_of_the_api_hurts_nobody(up: Up) -> None:
    before = {name: up.pid(name) for name in ROLES if name != "api"}

    killed = up.kill_child("api")

    assert up.items("series")
    assert up.pid("api") != killed
    assert {name: up.pid(name) for name in before} == before


def test_of_up_itself_ends_its_children_and_the_next_one_takes_everything_up(
    up: Up, head: Sent, other: Sent, pacs: Orthanc
) -> None:
    send(up.address, head.files)
    number = at_work(up, head.series_instance_uid)
    with sending(up.address, other.files) as answers:
        until(lambda: len(answers.taken) >= SOME)
        up.kill()

    # Each by itself, also who has work in hand and no database any more to write it to.
    until(lambda: not up.processes())
    require_kept(up, other, answers.taken)
    up.start()
    assert send(up.address, other.files).given == {0x0000}
    analysis = require_one_result(up, head)
    assert analysis["id"] == number
    for each in (analysis, require_one_result(up, other)):
        require_delivered_once(up, each, pacs)
    assert nothing_unfinished(up)


def states_of(up: Up, *sent: Sent) -> list[str]:
    """Return the states of all analyses of some series."""
    found = [up.series(each.series_instance_uid)["analyses"] for each in sent]
    return [each["state"] for analyses in found for each in analyses]
