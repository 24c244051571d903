"""Peers and instances that are refused, or do not belong together: said, and nobody is hurt."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from tests.faults.promises import nothing_unfinished, require_kept, require_one_result
from tests.faults.senders import ACCEPTED, REJECTED, read, send
from tests.integration.listener.peer import Peer
from tests.system.configuration import IN_A_HURRY, SCANNER
from tests.system.heads import Sent, restamped
from tests.system.service import Up, running
from tests.waiting import until

ELSEWHERE = "ELSEWHERE"
NOT_HERE = "192.0.2.7"
"""TEST-NET-1: nobody calls from there."""
CT = "1.2.840.10008.5.1.4.1.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
A_PATH = "../../../../etc/passwd"


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


def test_a_transfer_syntax_that_is_not_taken_is_refused_and_a_person_sees_it(up: Up) -> None:
    with Peer(up.address.port) as peer:
        peer.associate(contexts=[(CT, DEFLATED)])

    until(lambda: "intake.presentation_context" in up.get("/series").text)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("empty", 0xC000, "intake.dataset"),
        ("cut", 0xC000, "intake.dataset"),
        ("of another UID", 0xA900, "intake.mismatch"),
        ("of a UID like a path", 0xC000, "intake.uid"),
        ("of no UID", 0xC000, "intake.uid"),
    ],
)
def test_a_bad_instance_is_refused_and_the_next_one_taken(
    up: Up, head: Sent, kind: str, status: int, code: str
) -> None:
    uid, data_set = read(head.files[0])
    named, bad = {
        "empty": (uid, b""),
        "cut": (uid, data_set[:-1000]),
        "of another UID": ("2.25.4711", data_set),
        "of a UID like a path": (A_PATH, with_uid(data_set, uid, A_PATH)),
        "of no UID": ("", with_uid(data_set, uid, "")),
    }[kind]

    with Peer(up.address.port) as peer:
        assert peer.associate()[0] == ACCEPTED
        assert peer.store(bad, named) == status
        # On the same association; a series of one slice, which then ends with its reason.
        assert peer.store(data_set, uid) == 0x0000

    until(lambda: code in up.get("/series").text)
    found = up.settled(head.series_instance_uid)
    assert (found["instances"], found["state"]) == (1, "not_selected")
    require_kept(up, head, [uid])
    assert nothing_unfinished(up)


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


def with_uid(data_set: bytes, uid: str, instead: str) -> bytes:
    """Return a data set with something else for its SOP Instance UID, be it a UID or not."""
    assert data_set.count(uid_element(uid)) == 1
    return data_set.replace(uid_element(uid), uid_element(instead))


def uid_element(uid: str) -> bytes:
    """Return (0008,0018) in Explicit VR Little Endian: PS3.5 7.1.2."""
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return b"\x08\x00\x18\x00UI" + len(value).to_bytes(2, "little") + value
