"""What a sender is told of an instance, and what is on disk then."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from fontanelle.errors import Code
from fontanelle.records.files import spool_key
from service.listener.part10 import read_meta
from tests.integration.listener.peer import (
    ABORTED,
    NO_DATA_SET,
    Place,
    associated,
    listening,
    store_command,
)
from tests.unit.listener.builders import (
    BASIC_TEXT_SR,
    BIG,
    CT,
    EXPLICIT,
    IMPLICIT,
    RLE,
    STUDY,
    UID,
    compressed,
    encoded,
    instance,
    report,
)

WHOLE = encoded(instance())
UNREADABLE, MISMATCH, CONFLICT = 0xC000, 0xA900, 0xC110


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with listening(tmp_path) as opened:
        yield opened


def test_an_instance_is_kept_exactly_as_it_came(place: Place) -> None:
    with associated(place) as peer:
        assert peer.store(WHOLE) == 0

    [kept] = place.kept
    with place.spool.open(kept.key) as file:
        assert read_meta(file).calling_ae_title == "SCANNER"
        file.seek(read_meta(file).dataset_at)
        assert file.read() == WHOLE
    assert dcmread(place.spool.path(kept.key)).file_meta.TransferSyntaxUID == EXPLICIT
    assert kept.key == spool_key(UID)
    assert kept.conflict is None
    assert (kept.sop_instance_uid, kept.study_instance_uid) == (UID, STUDY)
    assert kept.size_bytes == place.spool.path(kept.key).stat().st_size


@pytest.mark.parametrize(
    ("content", "sop_class", "syntax"),
    [
        (encoded(instance(), IMPLICIT), CT, IMPLICIT),
        (encoded(instance(), BIG), CT, BIG),
        (encoded(compressed(), RLE), CT, RLE),
        (encoded(report()), BASIC_TEXT_SR, EXPLICIT),
        (encoded(instance(), undefined=True), CT, EXPLICIT),
    ],
    ids=["implicit", "big endian", "compressed", "report", "undefined lengths"],
)
def test_each_kind_is_kept(place: Place, content: bytes, sop_class: str, syntax: str) -> None:
    with associated(place, contexts=((sop_class, syntax),)) as peer:
        assert peer.store(content, sop_class=sop_class) == 0

    assert [kept.transfer_syntax_uid for kept in place.kept] == [syntax]


def test_the_same_instance_again_is_a_success_that_changes_nothing(place: Place) -> None:
    with associated(place) as peer:
        assert peer.store(WHOLE) == 0
        before = place.files()
        assert peer.store(WHOLE) == 0

    assert place.files() == before
    assert len(place.kept) == 1


def test_the_same_instance_in_another_transfer_syntax_is_the_same_instance(place: Place) -> None:
    with associated(place, contexts=((CT, EXPLICIT), (CT, IMPLICIT))) as peer:
        assert peer.store(WHOLE) == 0
        assert peer.store(encoded(instance(), IMPLICIT, undefined=True), context=3) == 0

    assert len(place.files()) == 1


def test_of_two_contents_of_one_uid_both_are_kept_and_the_sender_hears_of_it(place: Place) -> None:
    other = encoded(instance(PixelData=bytes(128)))
    with associated(place) as peer:
        assert peer.store(WHOLE) == 0
        assert peer.store(other) == CONFLICT
        # The same other one again changes nothing more.
        assert peer.store(other) == CONFLICT
        assert peer.store(WHOLE) == 0

    first, second, again = place.kept
    assert first.conflict is None
    assert second.conflict is Code.INSTANCE_CONFLICT
    assert second.key == again.key != first.key
    assert [*place.spool.conflicts()] == [second.key]
    assert place.spool.path(first.key).read_bytes().endswith(WHOLE)
    assert place.spool.path(second.key).read_bytes().endswith(other)


@pytest.mark.parametrize("changes", [{"PatientName": "Roe^Jane"}, {"PatientBirthDate": "20240101"}])
def test_where_only_the_patient_differs_somebody_corrected_it(
    place: Place, changes: dict[str, str]
) -> None:
    with associated(place) as peer:
        assert peer.store(WHOLE) == 0
        assert peer.store(encoded(instance(**changes))) == CONFLICT

    assert place.kept[1].conflict is Code.PATIENT_CORRECTION


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_patient_and_something_else_is_another_content(place: Place, syntax: str) -> None:
    changed = encoded(instance(PatientName="Roe^Jane", StudyDate="20260103"), syntax)
    with associated(place, contexts=((CT, EXPLICIT), (CT, syntax))) as peer:
        assert peer.store(WHOLE) == 0
        assert peer.store(changed, context=3) == CONFLICT

    assert place.kept[1].conflict is Code.INSTANCE_CONFLICT


def test_the_status_of_a_conflict_is_a_setting(tmp_path: Path) -> None:
    with listening(tmp_path, conflict_status=0xB000) as place, associated(place) as peer:
        assert peer.store(WHOLE) == 0
        assert peer.store(encoded(instance(StudyDate="19990101"))) == 0xB000


def test_a_stored_file_that_was_damaged_is_no_reason_to_lose_the_new_one(place: Place) -> None:
    with associated(place) as peer:
        assert peer.store(WHOLE) == 0
        place.spool.path(spool_key(UID)).write_bytes(b"x")
        assert peer.store(WHOLE) == CONFLICT

    assert place.spool.path(place.kept[1].key).read_bytes().endswith(WHOLE)


CUT_OFF = [
    pytest.param(b"", UID, CT, UNREADABLE, id="zero bytes"),
    pytest.param(WHOLE[: len(WHOLE) // 2], UID, CT, UNREADABLE, id="half of it"),
    pytest.param(WHOLE[:-1], UID, CT, UNREADABLE, id="all but a byte"),
    pytest.param(b"\x42\x17" * 1000, UID, CT, UNREADABLE, id="2000 bytes of something"),
    pytest.param(encoded(instance(PixelData=None)), UID, CT, UNREADABLE, id="no pixels"),
    pytest.param(encoded(compressed(), RLE), UID, CT, UNREADABLE, id="another encoding"),
    pytest.param(WHOLE, "2.25.99", CT, MISMATCH, id="another instance UID"),
    pytest.param(WHOLE, UID, "1.2.840.10008.5.1.4.1.1.4", MISMATCH, id="another class"),
    pytest.param(WHOLE, "../../etc/passwd", CT, MISMATCH, id="a path as UID"),
    pytest.param(WHOLE, "1.2.abc", CT, MISMATCH, id="letters as UID"),
    pytest.param(WHOLE, "", CT, MISMATCH, id="empty UID"),
    pytest.param(WHOLE, "1" * 65, CT, MISMATCH, id="UID of 65"),
    pytest.param(WHOLE, "1" * 200, CT, MISMATCH, id="UID of 200"),
    pytest.param(encoded(instance(SOPInstanceUID=None)), UID, CT, MISMATCH, id="nameless"),
    pytest.param(encoded(instance(StudyInstanceUID=None)), UID, CT, UNREADABLE, id="no study"),
    pytest.param(encoded(instance(SeriesInstanceUID="")), UID, CT, UNREADABLE, id="empty series"),
]


@pytest.mark.parametrize(("content", "uid", "sop_class", "status"), CUT_OFF)
def test_what_is_wrong_is_refused_and_leaves_nothing(
    place: Place, content: bytes, uid: str, sop_class: str, status: int
) -> None:
    with associated(place) as peer:
        assert peer.store(content, uid, sop_class=sop_class) == status
        assert place.files() == []
        # The association goes on.
        assert peer.store(WHOLE) == 0
        assert peer.release() == 6

    assert len(place.files()) == 1
    assert len(place.codes()) == 1


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.abc", "1." + "2" * 63, "/tmp/x"])  # noqa: S108
def test_a_uid_that_is_none_is_refused_also_where_all_agree_on_it(place: Place, uid: str) -> None:
    wrong = struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", len(uid) + len(uid) % 2)
    wrong += uid.encode() + b"\0" * (len(uid) % 2)
    right = struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 8) + b"2.25.11\0"
    with associated(place) as peer:
        assert peer.store(WHOLE.replace(right, wrong), uid) == UNREADABLE

    assert place.files() == []
    assert place.codes() == [Code.UID_MALFORMED]


def test_a_command_without_a_uid_gets_an_answer(place: Place) -> None:
    with associated(place) as peer:
        peer.send(store_command(None))
        peer.send_data(WHOLE)
        assert peer.answer() == MISMATCH


def test_a_command_that_announces_no_data_set_gets_an_answer(place: Place) -> None:
    with associated(place) as peer:
        peer.send(store_command(data_set_type=NO_DATA_SET))
        assert peer.answer() == UNREADABLE
        assert peer.store(WHOLE) == 0


def test_an_instance_under_the_context_of_another_class_is_refused(place: Place) -> None:
    contexts = ((CT, EXPLICIT), (BASIC_TEXT_SR, EXPLICIT))
    with associated(place, contexts=contexts) as peer:
        assert peer.store(WHOLE, context=3) == MISMATCH


def test_an_instance_under_the_context_of_c_echo_ends_the_association(place: Place) -> None:
    with associated(place) as peer:
        assert peer.store(WHOLE, context=3) == ABORTED


@pytest.mark.parametrize("content", [WHOLE, b""])
def test_a_fault_of_whoever_is_told_costs_no_answer(tmp_path: Path, content: bytes) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a fault")

    with listening(tmp_path, told=fail) as place, associated(place) as peer:
        assert peer.store(content) == (0 if content else UNREADABLE)
        assert peer.store(WHOLE) == 0
    assert len(place.files()) == 1
