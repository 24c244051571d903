"""Destinations that are dead, silent or refuse delay no other; what is in doubt waits."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.faults.promises import TAKEN, as_peer, deliveries, require_one_result
from tests.faults.senders import send
from tests.integration.delivery.receivers import (
    AE_TITLE,
    HOST,
    Connection,
    misbehaving,
    receiver,
)
from tests.orthanc import Orthanc
from tests.servers import free_port
from tests.system.configuration import Address, destination
from tests.system.heads import Sent
from tests.system.service import Json, Up, running
from tests.waiting import until

pytestmark = pytest.mark.peer("Orthanc")
CORRECTION = 0xC110
CODE = "intake.patient_correction"
DEAD_PORT = free_port()
REASONS = {
    "DEAD": "delivery.destination_away",
    "SILENT": "delivery.silent",
    "REFUSING": "delivery.refused",
    "FULL": "delivery.status",
}
"""What is said of each destination that does not take anything."""


@pytest.fixture(scope="module")
def up(installed: Path, pacs: Orthanc, reachable_folder: Path) -> Iterator[Up]:
    with ExitStack() as stack:
        silent = stack.enter_context(misbehaving(_says_nothing))
        full = stack.enter_context(receiver(0xA700, contexts=TAKEN))
        peers = {
            "SILENT": Address(AE_TITLE, HOST, silent.port),
            "DEAD": Address(AE_TITLE, HOST, DEAD_PORT),
            "REFUSING": Address("NOT-ITS-NAME", HOST, full.port),
            "FULL": Address(AE_TITLE, HOST, full.port),
            "PACS": as_peer(pacs),
        }
        settings = {
            "destinations": [
                *(destination(name, peer) for name, peer in peers.items()),
                destination("REVIEWED", as_peer(pacs), "after_review"),
            ],
            "courier": {"timeout_s": 2.0, "attempts": 1000},
        }
        with running(installed, reachable_folder, settings, no_auth=True) as found:
            yield found


def test_destinations_that_take_nothing_delay_no_other_and_get_it_later(up: Up, head: Sent) -> None:
    send(up.address, head.files)
    number = require_one_result(up, head)["id"]

    until(lambda: states(up, number, "PACS") == {"acknowledged"})
    until(lambda: all(each["attempts"] > 1 for each in at(up, number, *REASONS)))
    assert states(up, number, *REASONS) <= {"due", "sending"}
    until(lambda: all(codes(up, number, name) == {code} for name, code in REASONS.items()))
    assert codes(up, number, "REVIEWED") == {"delivery.awaiting_review"}

    with receiver(contexts=TAKEN, port=DEAD_PORT) as alive:
        until(lambda: states(up, number, "DEAD") == {"acknowledged"})
    ours = {each["sop_instance_uid"] for each in up.analysis(number)["objects"]} - {None}
    assert Counter(alive.received.uids) == Counter(ours)


def test_a_patient_corrected_while_results_wait_holds_them_and_shows_it(
    up: Up, head: Sent, tmp_path: Path
) -> None:
    send(up.address, head.files)
    number = require_one_result(up, head)["id"]
    until(lambda: states(up, number, "PACS") == {"acknowledged"})

    corrected = tmp_path / "IM0001.dcm"
    instance = dcmread(head.files[0])
    instance.PatientName = "Phantom^Corrected"
    instance.save_as(corrected)
    assert send(up.address, [corrected]).given == {CORRECTION}

    waiting = (*REASONS, "REVIEWED")
    until(lambda: states(up, number, *waiting) == {"held"})
    assert codes(up, number, *waiting) == {CODE}
    (seen,) = up.series(head.series_instance_uid)["conflicts"]
    assert (seen["code"], seen["instances"]) == (CODE, 1)
    assert require_one_result(up, head)["id"] == number
    for page in ("/series", f"/analyses/{number}", "/deliveries"):
        assert CODE in up.get(page).text, page
    # A reader's word on the numbers says nothing of whose they are; a person's own "send" does.
    assert up.post(f"/api/v1/analyses/{number}/review", {"verdict": "accepted"}).status == 200
    assert states(up, number, *waiting) == {"held"}
    for each in at(up, number, "REVIEWED"):
        assert up.post(f"/api/v1/deliveries/{each['id']}/resend").status == 200
    until(lambda: states(up, number, "REVIEWED") == {"acknowledged"})


def _says_nothing(connection: Connection) -> None:
    """Take an association, and then read without an answer."""
    connection.accept()
    while connection.socket.recv(65536):
        pass


def at(up: Up, number: int, *names: str) -> list[Json]:
    """Return the deliveries of an analysis to these destinations."""
    return [each for each in deliveries(up, number) if each["destination"] in names]


def states(up: Up, number: int, *names: str) -> set[str]:
    return {each["state"] for each in at(up, number, *names)}


def codes(up: Up, number: int, *names: str) -> set[str]:
    """Return why deliveries wait."""
    return {each["reason"]["code"] for each in at(up, number, *names) if each["reason"]}
