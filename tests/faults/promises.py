"""What is promised, looked at from outside: the spool's files, the API, the destination.

What was answered with 0x0000 is on disk as it was sent, and indexed once. A series has one
current analysis, which ended; a result has one set of objects; a destination has each object once.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian, SegmentationStorage

from tests.faults.senders import read
from tests.orthanc import Orthanc
from tests.system.configuration import Address
from tests.system.heads import Sent
from tests.system.service import Json, Up
from tests.waiting import until

OBJECTS = ("labels", "overlay", "report", "segmentation", "structured_report")
DELIVERED = ("segmentation", "structured_report")
TAKEN = [(uid, [ExplicitVRLittleEndian]) for uid in (SegmentationStorage, Comprehensive3DSRStorage)]
"""Contexts of a destination that takes both."""
NOT_CURRENT = {"superseded", "cancelled"}


def require_kept(up: Up, sent: Sent, taken: Iterable[str]) -> None:
    """Require that each UID's bytes are on the spool as they were sent."""
    files = dict(zip(sent.sop_instance_uids, sent.files, strict=True))
    for uid in taken:
        assert on_spool(up, uid).read_bytes().endswith(read(files[uid])[1]), uid


def require_one_result(up: Up, sent: Sent, state: str = "succeeded") -> Json:
    """Wait until a series has ended, and require one current analysis with one set of objects."""
    require_kept(up, sent, sent.sop_instance_uids)
    found = up.settled(sent.series_instance_uid)
    assert (found["state"], found["instances"]) == ("selected", len(sent.files))
    current = [each for each in found["analyses"] if each["state"] not in NOT_CURRENT]
    assert [each["state"] for each in current] == [state], found["analyses"]
    analysis = up.analysis(current[0]["id"])
    assert analysis["series_revision"] == found["revision"]
    kinds = tuple(sorted(each["kind"] for each in analysis["objects"]))
    assert kinds == (OBJECTS if state == "succeeded" else ("report",))
    for each in analysis["objects"]:
        content = up.get(each["href"]).body
        assert hashlib.sha256(content).hexdigest() == each["sha256"]
    return analysis


def require_delivered_once(up: Up, analysis: Json, orthanc: Orthanc) -> None:
    """Wait until all is acknowledged, and require that Orthanc has each object once, unchanged."""
    number = analysis["id"]
    until(lambda: {each["state"] for each in deliveries(up, number)} == {"acknowledged"})
    assert Counter(each["object"] for each in deliveries(up, number)) == Counter(DELIVERED)
    there = orthanc.sop_instance_uids()
    for each in analysis["objects"]:
        if each["kind"] in DELIVERED:
            assert there.count(each["sop_instance_uid"]) == 1
            ours = up.get(each["href"]).body
            theirs = orthanc.file_of(each["sop_instance_uid"])
            # Behind the file meta information, which is the receiver's own.
            assert theirs.endswith(ours[_dataset_at(ours) :])


def deliveries(up: Up, number: int) -> list[Json]:
    """Return the deliveries of an analysis."""
    return [each for each in up.items("deliveries") if each["analysis_id"] == number]


def as_peer(server: Orthanc) -> Address:
    """Return where Orthanc takes associations."""
    return Address(server.ae_title, server.host, server.port)


def nothing_unfinished(up: Up) -> bool:
    """Tell whether the spool holds nothing but whole instances, and empty files for the next."""
    incoming = up.data / "spool" / "incoming"
    return not [path for path in incoming.iterdir() if _is_unfinished(path)]


def _is_unfinished(path: Path) -> bool:
    """Tell whether a file has content, and no name but this."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return found.st_size > 0 and found.st_nlink < 2


def on_spool(up: Up, uid: str) -> Path:
    """Return where an instance lies, or would lie."""
    name = hashlib.sha256(uid.encode()).hexdigest()
    return up.data / "spool" / "instances" / name[:2] / f"{name}.dcm"


def _dataset_at(part10: bytes) -> int:
    """Return where the data set begins: PS3.10 7.1, (0002,0000) says how long the meta is."""
    return 144 + int.from_bytes(part10[140:144], "little")
