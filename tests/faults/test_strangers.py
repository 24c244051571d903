"""Peers that are refused, and instances that do not belong together: said, and nobody is hurt."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from tests.faults.promises import require_kept, require_one_result
from tests.faults.senders import REJECTED, send
from tests.integration.listener.peer import Peer
from tests.system.heads import Sent, restamped
from tests.system.service import IN_A_HURRY, SCANNER, Up, running
from tests.waiting import until

ELSEWHERE = "ELSEWHERE"
NOT_HERE = "192.0.2.7"
"""TEST-NET-1: nobody calls from there."""


@pytest.fixture(scope="module")
def up(installed: Path, reachable_folder: Path) -> Iterator[Up]:
    beyond = {"ae_title": ELSEWHERE, "host": NOT_HERE, "quiet_period_s": 1.0}
    settings = {"sources": [*IN_A_HURRY["sources"], beyond]}
    with running(installed, reachable_folder, settings, no_auth=True) as found:
        yield found


@pytest.mark.parametrize(
    ("calling", "called", "code", "why"),
    [
        # PS3.8 table 9-21: rejected for good, by the service user, and the diagnostic.
        ("STRANGER", "FONTANELLE", "intake.calling_ae_title", (1, 1, 3)),
        (SCANNER, "SOMEBODY-ELSE", "intake.called_ae_title", (1, 1, 7)),
        (ELSEWHERE, "FONTANELLE", "intake.host", (1, 1, 3)),
    ],
)
def test_a_stranger_is_refused_and_a_person_sees_it(
    up: Up, calling: str, called: str, code: str, why: tuple[int, int, int]
) -> None:
    with Peer(up.address.port) as peer:
        kind, said = peer.associate(calling=calling, called=called)

    assert (kind, tuple(said[1:4])) == (REJECTED, why)
    until(lambda: code in up.get("/series").text)
    page = up.get("/series").text
    assert calling in page and called in page
    until(lambda: code in up.run("status").stdout)


def test_two_patients_in_one_series_are_not_measured_and_another_series_is(
    up: Up, head: Sent, other: Sent, tmp_path: Path
) -> None:
    def is_another_child(instance: Dataset) -> None:
        if int(instance.InstanceNumber) % 2:
            instance.PatientID, instance.PatientName = "ANOTHER", "Another^Child"

    mixed = restamped(head.files, tmp_path / "mixed", "mixed", is_another_child)
    assert send(up.address, mixed.files).given == {0x0000}
    assert send(up.address, other.files).given == {0x0000}

    require_kept(up, mixed, mixed.sop_instance_uids)
    found = up.settled(mixed.series_instance_uid)
    assert (found["state"], found["analyses"]) == ("not_selected", [])
    assert [each["code"] for each in found["reasons"]] == ["admission.two_patients"]
    assert "admission.two_patients" in up.get("/series").text
    require_one_result(up, other)
