"""The dispatcher's steps on series as they arrive, with a real database and message broker."""

import json
import random
import threading
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, XRayRadiationDoseSRStorage
from redis import Redis

from fontanelle.errors import Code
from fontanelle.imaging import series as imaging_series
from fontanelle.lifecycle import AnalysisState, SeriesState
from fontanelle.records import analyses, processes, tooling
from fontanelle.records import series as series_records
from fontanelle.records.analyses import AnalysisSeen
from fontanelle.records.database import Records
from fontanelle.records.files import Spool
from fontanelle.records.series import SeriesSeen
from fontanelle.settings import DispatcherSettings, Settings
from service import choosing
from service.dispatcher import QUEUE, Dispatcher, sender
from service.embedded.valkey import Valkey
from tests.arrivals import Instance, arrive, index, keep
from tests.integration.imaging.small_ct import ct_slices
from tests.integration.records.builders import (
    TOOLS,
    change,
    claim,
    events,
    finish,
    run_out,
    value,
)
from tests.real import PHANTOM, philips_series
from tests.waiting import until

PATIENT = "CANARY^ZEBEDEE"
SEND_AGAIN_S = 10.0
DOSE_REPORT = "dose_report"


class House:
    """A dispatcher, and a look at what it did."""

    def __init__(self, records: Records, data: Path, broker_url: str) -> None:
        self.records = records
        self.data = data
        self.broker_url = broker_url
        polling = DispatcherSettings(poll_s=0.02, send_again_s=SEND_AGAIN_S)
        settings = Settings(data=data, broker_url=broker_url, dispatcher=polling)
        self.dispatcher = Dispatcher(records, Spool(settings.spool), sender(settings), settings)

    def arrived(self, instances: Sequence[Instance], **said: Any) -> str:
        """Have instances of a series come in; return its UID."""
        arrive(self.records, self.data / "spool", instances, **said)
        first = instances[0]
        header = dcmread(first, stop_before_pixels=True) if isinstance(first, Path) else first
        return str(header.SeriesInstanceUID)

    def round(self) -> None:
        assert self.dispatcher.round()

    def series(self, uid: str) -> SeriesSeen:
        with self.records.begin() as session:
            return series_records.by_uid(session, uid)[0]

    def state(self, uid: str) -> SeriesState:
        return self.series(uid).state

    def codes(self, uid: str) -> list[Code]:
        return [reason.code for reason in self.series(uid).reasons]

    def analyses(self) -> list[AnalysisSeen]:
        """Return all analyses, the newest first."""
        with self.records.begin() as session:
            return analyses.page(session)

    def register(self) -> None:
        """Say what a worker says when it starts."""
        with self.records.begin() as session:
            tooling.register(session, TOOLS)

    def messages(self) -> list[str]:
        """Return what the broker holds, in the order in which it was sent."""
        path = self.broker_url.removeprefix("redis+socket://")
        with Redis(unix_socket_path=path) as broker:
            found: list[bytes] = broker.lrange(QUEUE, 0, -1)  # type: ignore[assignment]
        return [each.decode() for each in reversed(found)]

    def announced(self) -> list[int]:
        """Return the analyses that the messages name."""
        return [json.loads(b64decode(json.loads(each)["body"]))[0][0] for each in self.messages()]

    def later(self, seconds: float) -> None:
        """Let time pass for what was sent."""
        change(
            self.records,
            "UPDATE outbox SET sent_at = sent_at - make_interval(secs => :s)",
            s=seconds,
        )


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    with Records.open(database_url) as opened:
        yield opened


@pytest.fixture
def house(records: Records, valkey_url: str, tmp_path: Path) -> House:
    made = House(records, tmp_path, valkey_url)
    made.register()
    return made


@pytest.fixture
def valkey(server_folder: Path, tmp_path: Path) -> Iterator[Valkey]:
    """Give a Valkey of this test's own, to be stopped and started."""
    with Valkey(server_folder / tmp_path.name, fsync=False) as server:
        yield server


def head(
    study: int = 1, series: int = 1, *, step_mm: float = 4.0, extent_mm: float = 160.0, **said: Any
) -> list[Dataset]:
    """Return a series that may be measured, by its header; its pictures show nothing."""
    count = round(extent_mm / step_mm)
    slices = ct_slices(
        np.zeros((count, 72, 80), np.int16), step_mm=step_mm, series_uid=f"1.2.{study}.{series}"
    )
    for each in slices:
        each.StudyInstanceUID = f"1.2.{study}"
        each.PixelSpacing = [3.0, 3.0]
        each.PatientID, each.PatientName = f"PATIENT-{study}", PATIENT
        for name, value_ in said.items():
            setattr(each, name, value_)
    return list(slices)


# When a series is complete ------------------------------------------------------------------


def test_a_series_is_complete_when_nothing_came_for_the_quiet_period_of_its_source(
    house: House,
) -> None:
    quick = house.arrived(head(1), quiet_period_s=0.0)
    slow = house.arrived(head(2), quiet_period_s=3600.0)

    house.round()

    assert (house.state(quick), house.state(slow)) == (SeriesState.SELECTED, SeriesState.RECEIVING)


def test_a_study_waits_for_the_slowest_of_its_series(house: House) -> None:
    first = house.arrived(head(1, 1))
    second = house.arrived(head(1, 2, step_mm=8.0), quiet_period_s=3600.0)
    house.round()
    assert house.state(first) is SeriesState.COMPLETE
    assert house.analyses() == []

    change(house.records, "UPDATE series SET due_at = now() WHERE state = 'receiving'")
    house.round()

    assert (house.state(first), house.state(second)) == (
        SeriesState.SELECTED,
        SeriesState.NOT_SELECTED,
    )
    assert len(house.analyses()) == 1


def test_nothing_is_decided_before_a_worker_has_said_what_it_serves(
    records: Records, valkey_url: str, tmp_path: Path
) -> None:
    house = House(records, tmp_path, valkey_url)
    uid = house.arrived(head())
    house.round()
    assert house.state(uid) is SeriesState.COMPLETE

    house.register()
    house.round()

    assert house.state(uid) is SeriesState.SELECTED
    assert house.analyses()[0].package_sha256 == TOOLS.package_sha256


# Which series is measured -------------------------------------------------------------------


def dose_report(study: Dataset) -> Dataset:
    report = Dataset()
    report.file_meta = study.file_meta
    report.file_meta.MediaStorageSOPClassUID = XRayRadiationDoseSRStorage
    report.SOPClassUID = XRayRadiationDoseSRStorage
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = UID("1.2.77.1")
    report.StudyInstanceUID = study.StudyInstanceUID
    report.SeriesInstanceUID = "1.2.77"
    report.PatientID = study.PatientID
    report.Modality = "SR"
    return report


def real_study() -> dict[str, list[Instance]]:
    """Return the real study of five series, and a dose report."""
    found: dict[str, list[Instance]] = {
        name: sorted(path for path in philips_series(name).rglob("*") if path.is_file())
        for name in PHANTOM
    }
    return found | {DOSE_REPORT: [dose_report(dcmread(found["exam_summary"][0]))]}


EXPECTED = {
    "localizer": [Code.LOCALIZER],
    "brain_5mm": [Code.SELECTION_BETTER],
    "brain_1mm": [],
    "bone_1mm_part": [Code.COVERAGE, Code.KERNEL],
    "exam_summary": [Code.NEVER_MEASURED],
    DOSE_REPORT: [Code.NEVER_MEASURED],
}


def test_of_a_real_study_one_series_is_chosen_in_whatever_order_it_arrives(house: House) -> None:
    """Now and then the dispatcher looks after each series, and decides too early."""
    study = {name: keep(house.data / "spool", found) for name, found in real_study().items()}
    by_name = {name: found[0].series_instance_uid for name, found in study.items()}

    for seed in range(20):
        order = random.Random(seed).sample(sorted(study), len(study))  # noqa: S311 (no secret)
        for name in order:
            index(house.records, study[name])
            if seed % 5 == 0:
                house.round()
        house.round()

        assert {name: house.codes(uid) for name, uid in by_name.items()} == EXPECTED, order
        current = [each for each in house.analyses() if each.state is AnalysisState.QUEUED]
        assert [each.series_instance_uid for each in current] == [by_name["brain_1mm"]], order
        change(house.records, "TRUNCATE study CASCADE")


def test_two_patients_in_one_series_are_a_reason(house: House) -> None:
    slices = head()
    slices[7].PatientID = "PATIENT-2"

    uid = house.arrived(slices)
    house.round()

    assert house.codes(uid)[0] is Code.TWO_PATIENTS
    assert house.analyses() == []


def test_two_patients_in_one_study_are_a_reason_of_each_series(house: House) -> None:
    first = house.arrived(head(1, 1))
    second = house.arrived(head(1, 2, PatientID="PATIENT-2"))

    house.round()

    assert house.codes(first) == house.codes(second) == [Code.INPUT_SEVERAL_STUDIES]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda path: path.unlink(), Code.INPUT_UNREADABLE),
        (lambda path: path.write_bytes(b""), Code.EMPTY),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), Code.EMPTY),
    ],
    ids=["gone", "empty", "cut"],
)
def test_a_file_that_cannot_be_read_is_a_reason_of_its_series_and_no_obstacle_to_another(
    house: House, damage: Any, code: Code
) -> None:
    damaged = house.arrived(head(1, 1, step_mm=2.0))
    whole = house.arrived(head(1, 2, step_mm=5.0))
    key = value(house.records, "SELECT spool_key FROM instance ORDER BY id LIMIT 1")
    damage(Spool(house.data / "spool").path(key))

    house.round()

    assert house.codes(damaged) == [code]
    assert (house.state(whole), house.codes(whole)) == (SeriesState.SELECTED, [])


def test_a_study_that_trips_us_ends_with_a_sentence_and_delays_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_study(files: list[Path]) -> imaging_series.Study:
        study = imaging_series.read_study(files)
        if study.study_instance_uids == {"1.2.1"}:
            raise ZeroDivisionError("an error of ours")
        return study

    monkeypatch.setattr(choosing, "read_study", read_study)
    poisoned, sound = house.arrived(head(1)), house.arrived(head(2))
    house.round()
    house.round()

    assert house.codes(poisoned) == [Code.ANALYSIS_BUG]
    assert house.state(sound) is SeriesState.SELECTED
    assert "study.selection_failed" in caplog.messages


def test_a_study_that_the_database_refuses_delays_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    refused, sound = house.arrived(head(1)), house.arrived(head(2))
    change(
        house.records,
        "ALTER TABLE series ADD CONSTRAINT refused"
        " CHECK (state <> 'selected' OR series_instance_uid <> '1.2.1.1')",
    )

    house.round()
    assert house.state(sound) is SeriesState.SELECTED
    assert house.announced() == [1]

    # With nothing else to decide it is said, once, and waited for.
    assert not house.dispatcher.round()
    assert not house.dispatcher.round()
    assert caplog.messages.count("dispatcher.failed") == 1
    assert house.state(refused) is SeriesState.COMPLETE

    change(house.records, "ALTER TABLE series DROP CONSTRAINT refused")
    house.round()
    assert house.state(refused) is SeriesState.SELECTED


def test_a_better_series_that_comes_late_takes_the_place_of_the_first(house: House) -> None:
    thick = house.arrived(head(1, 1, step_mm=8.0))
    house.round()
    (first,) = house.analyses()
    finish(house.records, claim(house.records, first.analysis_id))

    thin = house.arrived(head(1, 2, step_mm=2.0))
    house.round()

    second, first = house.analyses()
    assert (second.series_instance_uid, second.state) == (thin, AnalysisState.QUEUED)
    assert house.codes(thick) == [Code.SELECTION_BETTER]
    # Until the new one has ended, the old one is what there is.
    assert first.state is AnalysisState.SUCCEEDED

    finish(house.records, claim(house.records, second.analysis_id))

    assert [each.state for each in house.analyses()] == [
        AnalysisState.SUCCEEDED,
        AnalysisState.SUPERSEDED,
    ]


def test_a_late_report_of_the_study_changes_nothing(house: House) -> None:
    slices = head()
    uid = house.arrived(slices)
    house.round()

    report = house.arrived([dose_report(slices[0])])
    house.round()

    assert house.codes(report) == [Code.NEVER_MEASURED]
    assert house.state(uid) is SeriesState.SELECTED
    assert len(house.analyses()) == len(house.announced()) == 1


# Messages -----------------------------------------------------------------------------------


def test_a_message_names_an_analysis_and_nothing_else(house: House) -> None:
    house.arrived(head())

    house.round()

    (message,) = house.messages()
    (analysis,) = house.analyses()
    arguments, keywords, _ = json.loads(b64decode(json.loads(message)["body"]))
    assert (arguments, keywords) == ([analysis.analysis_id], {})
    for secret in ("ZEBEDEE", "PATIENT", "1.2.1"):
        assert secret not in message
        assert secret.encode() not in b64decode(json.loads(message)["body"])


def test_nothing_is_announced_that_was_not_committed(house: House) -> None:
    house.arrived(head())
    change(house.records, "ALTER TABLE outbox ADD CONSTRAINT refused CHECK (analysis_id < 0)")

    assert not house.dispatcher.round()

    assert house.analyses() == []
    assert house.messages() == []
    assert events(house.records, "analysis", 1) == []


def test_what_was_announced_is_not_announced_again_at_once(house: House) -> None:
    house.arrived(head())
    house.round()

    house.round()

    assert len(house.messages()) == 1


def test_a_lost_message_comes_again(house: House) -> None:
    house.arrived(head())
    house.round()
    (analysis,) = house.announced()
    with Redis(unix_socket_path=house.broker_url.removeprefix("redis+socket://")) as broker:
        broker.delete(QUEUE)
    house.later(SEND_AGAIN_S - 5)
    house.round()
    assert house.messages() == []

    house.later(5)
    house.round()

    assert house.announced() == [analysis]


def test_what_a_worker_has_taken_is_not_announced_again(house: House) -> None:
    house.arrived(head())
    house.round()
    claim(house.records, house.announced()[0])

    house.later(SEND_AGAIN_S)
    house.round()

    assert len(house.messages()) == 1


def test_behind_a_long_queue_only_the_oldest_are_announced_again(house: House) -> None:
    for study in range(1, 8):
        house.arrived(head(study))
    for _ in range(7):
        house.round()
    assert len(set(house.announced())) == 7

    house.later(SEND_AGAIN_S)
    house.round()

    assert house.announced()[7:] == house.announced()[:4]


def test_with_the_broker_away_nothing_is_lost_and_it_is_told_when_it_is_back(
    records: Records, valkey: Valkey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(records, tmp_path, valkey.url)
    house.register()
    house.arrived(head(1))
    house.round()
    assert len(house.announced()) == 1
    valkey.stop()

    uid = house.arrived(head(2))
    assert not house.dispatcher.round()
    assert not house.dispatcher.round()
    # The rest goes on, and the supervisor hears that this process lives.
    assert house.state(uid) is SeriesState.SELECTED
    assert caplog.messages.count("dispatcher.waits") == 1
    with records.begin() as session:
        assert [beat.role for beat in processes.beats(session)] == ["dispatcher"]

    valkey.start()
    until(house.dispatcher.round)

    # Valkey kept the first one itself.
    assert house.announced() == [1, 2]


def test_a_dispatcher_that_starts_before_the_broker_waits_for_it(
    records: Records, valkey: Valkey, tmp_path: Path
) -> None:
    valkey.stop()
    house = House(records, tmp_path, valkey.url)
    house.register()
    house.arrived(head())
    stopped = threading.Event()
    serving = threading.Thread(target=house.dispatcher.serve, args=(stopped,))
    serving.start()
    try:
        until(house.analyses)
        valkey.start()
        until(house.messages)
    finally:
        stopped.set()
        serving.join()

    assert house.announced() == [1]


# Leases -------------------------------------------------------------------------------------


def test_the_work_of_a_worker_that_gave_no_sign_is_announced_again(house: House) -> None:
    house.arrived(head())
    house.round()
    (analysis,) = house.announced()
    claim(house.records, analysis)
    run_out(house.records, "analysis", analysis)

    house.round()

    assert house.analyses()[0].state is AnalysisState.QUEUED
    assert house.announced() == [analysis, analysis]


def test_the_third_worker_that_dies_of_an_analysis_is_the_last(house: House) -> None:
    house.arrived(head())
    house.round()
    (analysis,) = house.announced()
    for _ in range(3):
        claim(house.records, analysis)
        run_out(house.records, "analysis", analysis)
        house.round()

    (seen,) = house.analyses()

    assert (seen.state, seen.attempts) == (AnalysisState.FAILED, 3)
    assert seen.reason is not None and seen.reason.code is Code.WORKER_DIED
    assert len(house.announced()) == 3


def test_a_database_that_is_away_is_waited_for(
    house: House, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    nowhere = f"postgresql://fontanelle@/fontanelle?host={tmp_path}"
    with Records.open(nowhere) as records:
        away = House(records, house.data, house.broker_url)

        assert not away.dispatcher.round()
        assert not away.dispatcher.round()

    # Each step says so once.
    assert caplog.messages.count("dispatcher.waits") == 5
