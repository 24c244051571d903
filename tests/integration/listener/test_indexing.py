"""The index of the spool: rows follow what was kept, whatever was away in between."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from fontanelle.clock import SystemClock
from fontanelle.errors import Code
from fontanelle.lifecycle import SeriesState
from fontanelle.records import intake as index
from fontanelle.records import series
from fontanelle.records.database import Records
from fontanelle.records.files import Spool
from service.listener.indexing import Indexer
from service.listener.intake import Intake, Kept, Peer, Refusal, Request
from tests.real import ge_head_tilt

PEER = Peer("CT1", "FONTANELLE", "127.0.0.1")
LIMIT_S = 20.0


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool").writing() as opened:
        yield opened


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    with Records.open(database_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def slices() -> list[Dataset]:
    return [dcmread(path) for path in sorted(ge_head_tilt().iterdir())[:6]]


@contextmanager
def indexing(records: Records, spool: Spool) -> Iterator[Indexer]:
    with Indexer(records, spool, {"CT1": 0.0}) as indexer:
        yield indexer


def keep(spool: Spool, instance: Dataset, told: Callable[[Kept], None]) -> object:
    intake = Intake(
        spool,
        minimum_free_bytes=0,
        on_kept=told,
        on_refused=lambda _refusal: None,
        clock=SystemClock(),
    )
    encoded = DicomBytesIO()
    encoded.is_little_endian, encoded.is_implicit_VR = True, False
    write_dataset(encoded, instance)
    syntax = "1.2.840.10008.1.2.1"
    request = Request(
        PEER,
        str(instance.SOPClassUID),
        syntax,
        str(instance.SOPClassUID),
        str(instance.SOPInstanceUID),
        needs_pixels=True,
    )
    with intake.begin(request) as arrival:
        arrival.write(memoryview(encoded.getvalue()))
        return arrival.finish()


def changed(instance: Dataset, **values: object) -> Dataset:
    copy = BytesIO()
    dcmwrite(copy, instance)
    copy.seek(0)
    other = dcmread(copy)
    for keyword, value in values.items():
        setattr(other, keyword, value)
    return other


def until(condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit_s, "it did not come about"
        time.sleep(0.02)


def seen(records: Records) -> list[series.SeriesSeen]:
    with records.begin() as session:
        return series.page(session)


def count(records: Records) -> int:
    return sum(each.instances for each in seen(records))


def test_what_is_kept_gets_its_rows(records: Records, spool: Spool, slices: list[Dataset]) -> None:
    with indexing(records, spool) as indexer:
        for instance in slices:
            keep(spool, instance, indexer.kept)
        until(lambda: count(records) == len(slices))

    (found,) = seen(records)
    assert found.series_instance_uid == slices[0].SeriesInstanceUID
    assert (found.state, found.source, found.modality) == (SeriesState.RECEIVING, "CT1", "CT")


def test_rows_are_made_from_the_spool_when_nobody_took_note(
    records: Records, spool: Spool, slices: list[Dataset]
) -> None:
    for instance in slices:
        keep(spool, instance, lambda _kept: None)
    corrected = changed(slices[0], PatientName="Other^Name")
    keep(spool, corrected, lambda _kept: None)

    with indexing(records, spool):
        until(lambda: count(records) == len(slices) and bool(seen(records)[0].conflicts))

    assert seen(records)[0].conflicts == ((Code.PATIENT_CORRECTION, 1),)


def test_a_second_start_changes_nothing(
    records: Records, spool: Spool, slices: list[Dataset]
) -> None:
    with indexing(records, spool) as indexer:
        for instance in slices:
            keep(spool, instance, indexer.kept)
        until(lambda: count(records) == len(slices))
    before = seen(records)

    with indexing(records, spool) as indexer:
        keep(spool, slices[0], indexer.kept)

    assert seen(records) == before


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"PatientID": "OTHER"}, Code.PATIENT_CORRECTION),
        ({"InstanceNumber": "99"}, Code.INSTANCE_CONFLICT),
        ({"PatientID": "OTHER", "InstanceNumber": "99"}, Code.INSTANCE_CONFLICT),
    ],
)
def test_other_content_under_a_uid_is_recorded_beside_the_first(
    records: Records,
    spool: Spool,
    slices: list[Dataset],
    values: dict[str, object],
    code: Code,
) -> None:
    with indexing(records, spool) as indexer:
        keep(spool, slices[0], indexer.kept)
        until(lambda: count(records) == 1)
        keep(spool, changed(slices[0], **values), indexer.kept)
        keep(spool, changed(slices[0], **values), indexer.kept)
        until(lambda: bool(seen(records)[0].conflicts))

    (found,) = seen(records)
    assert (found.instances, found.conflicts) == (1, ((code, 1),))


def test_values_that_a_database_cannot_hold_do_not_stop_the_index(
    records: Records, spool: Spool, slices: list[Dataset]
) -> None:
    odd = changed(slices[0], PatientID="A\0B", SeriesDescription="x" * 60)
    odd.add_new(0x00100010, "PN", b"\xff\xfe\x00Y")

    with indexing(records, spool) as indexer:
        keep(spool, odd, indexer.kept)
        keep(spool, slices[1], indexer.kept)
        until(lambda: count(records) == 2)


def test_with_the_database_away_what_was_kept_waits(
    spool: Spool, slices: list[Dataset], empty_database_url: str
) -> None:
    from fontanelle.records import migrate

    url = empty_database_url.replace("host=", "host=/nowhere")
    with Records.open(url) as nowhere, Indexer(nowhere, spool, {}) as indexer:
        for instance in slices:
            keep(spool, instance, indexer.kept)

    migrate.upgrade(empty_database_url)
    with Records.open(empty_database_url) as records, indexing(records, spool):
        until(lambda: count(records) == len(slices))


def test_refusals_are_counted_by_who_and_why(records: Records, spool: Spool) -> None:
    stranger = Peer("WHO", "FONTANELLE", "10.0.0.9")
    at = SystemClock().now()

    with indexing(records, spool) as indexer:
        for _ in range(3):
            indexer.refused(Refusal(stranger, Code.ASSOCIATION_CALLING, at))
        until(lambda: bool(_refusals(records)))

    (found,) = _refusals(records)
    assert (found.refusal.calling_ae_title, found.refusal.host) == ("WHO", "10.0.0.9")
    assert (found.refusal.code, found.refusal.count) == (Code.ASSOCIATION_CALLING, 3)


def _refusals(records: Records) -> list[index.RefusalCount]:
    with records.begin() as session:
        return index.refusals(session)
