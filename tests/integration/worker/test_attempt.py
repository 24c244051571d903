"""One attempt after another at real series, against a real database and real folders."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg import sql
from pydicom import Dataset

from fontanelle.clock import SystemClock
from fontanelle.errors import Code, Reason
from fontanelle.lifecycle import AnalysisState
from fontanelle.records import analyses, deliveries, leases, processes
from fontanelle.records.analyses import AnalysisSeen
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.records.files import LocalStore, Spool
from fontanelle.settings import DispatcherSettings, Settings, WorkerSettings
from models.phantom.head import Recipe
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header
from models.phantom.series import instances as scanned
from service.dispatcher import Dispatcher
from tests.arrivals import Instance, arrive
from tests.integration.records.builders import at_once, change, events, run_out, value
from tests.integration.worker.conftest import phantom
from tests.real import ge_head_tilt, philips_series
from tests.servers import PostgresServer
from tests.unit.reports.builders import withheld
from tests.waiting import until
from worker.attempt import Workshop
from worker.composition import register
from worker.heartbeat import EXIT_WALL_LIMIT, Heartbeat
from worker.inference.engine import Segmenter
from worker.pipeline import Outcome, Tools

COARSE = Field(slices=60, rows_columns=(192, 192), step_mm=2.5, pixel_mm=1.15)
ALL_FILES = {"segmentation.dcm", "report.dcm", "report.json", "labels.nii.gz", "overlay.png"}
PACS = Plan("pacs", ("segmentation", "structured_report"), after_review=False)
ARCHIVE = Plan("archive", ("segmentation",), after_review=True)
WORKER = WorkerSettings(lease_s=60, heartbeat_s=0.05)
ATTEMPTS = WORKER.attempts


class RememberingEngine:
    """The real engine, asked once for each image; something may happen while it is asked."""

    def __init__(self, engine: Segmenter) -> None:
        self.description = engine.description
        self.meanwhile: Callable[[], object] = lambda: None
        self._engine = engine
        self._answers: dict[bytes, NDArray[np.uint8]] = {}

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        return self._answer(image, self._engine.segment)

    def localise(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        # A head is localised once and looked at twice: what happens meanwhile happens once.
        self.meanwhile()
        return self._answer(image, self._engine.localise)

    def _answer(self, image: NDArray[np.float32], ask: Callable) -> NDArray[np.uint8]:
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in self._answers:
            self._answers[key] = ask(image)
        return self._answers[key]


@dataclass
class House:
    """A dispatcher and a worker's parts around one database."""

    records: Records
    settings: Settings
    tools: Tools
    engine: RememberingEngine
    store: Path
    announced: list[int] = field(default_factory=list)

    def arrived(self, instances: Sequence[Instance]) -> int:
        """Have a series come in and be selected; return its analysis."""
        arrive(self.records, self.settings.spool, instances)
        return self.dispatched()

    def dispatched(self) -> int:
        """Let the dispatcher take its steps; return what it announced last."""
        assert self.dispatcher.round()
        return self.announced[-1]

    @property
    def dispatcher(self) -> Dispatcher:
        spool = Spool(self.settings.spool)
        return Dispatcher(self.records, spool, self.announced.append, self.settings)

    def workshop(self, plans: Sequence[Plan] = (PACS, ARCHIVE), **changes: Any) -> Workshop:
        made = Workshop(
            records=self.records,
            spool=Spool(self.settings.spool),
            store=LocalStore(self.store),
            tools=self.tools,
            plans=plans,
            heartbeat=Heartbeat(self.records, self.settings.worker),
            settings=self.settings.worker,
            clock=SystemClock(),
        )
        return replace(made, **changes)

    def work(self, analysis_id: int, **changes: Any) -> AnalysisSeen:
        """Do what a message asks for."""
        self.workshop(**changes).run(analysis_id)
        return self.seen(analysis_id)

    def seen(self, analysis_id: int) -> AnalysisSeen:
        with self.records.begin() as session:
            return analyses.get(session, analysis_id)

    def report(self, analysis_id: int) -> dict[str, Any]:
        with self.records.begin() as session:
            found = analyses.report(session, analysis_id)
        assert found is not None
        return found

    def objects(self, analysis_id: int) -> list[analyses.StoredObject]:
        with self.records.begin() as session:
            return analyses.objects(session, analysis_id)

    def deliveries(self, analysis_id: int) -> set[tuple[str, str, str, Code | None]]:
        """Return destination, kind, state and reason of what is to be sent."""
        with self.records.begin() as session:
            found = deliveries.page(session, analysis_id=analysis_id)
        return {
            (each.destination, each.kind, each.state, each.reason and each.reason.code)
            for each in found
        }

    def count(self, table: str) -> int:
        return int(value(self.records, f"SELECT count(*) FROM {table}"))  # noqa: S608


@pytest.fixture(scope="module")
def engine(tools: Tools) -> RememberingEngine:
    return RememberingEngine(tools.engine)


@pytest.fixture(scope="module")
def head() -> list[Dataset]:
    return list(scanned(phantom(Recipe()), grid(View.AXIAL, COARSE), Header()))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one data folder for all: what is on the spool already is not written again."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def house(
    database_url: str, tools: Tools, engine: RememberingEngine, data: Path, tmp_path: Path
) -> Iterator[House]:
    engine.meanwhile = lambda: None
    with opened(database_url, tools, engine, data, tmp_path / "results") as made:
        yield made


@pytest.fixture(scope="module")
def finished(
    postgres_server: PostgresServer,
    migrated_template: str,
    tools: Tools,
    data: Path,
    head: list[Dataset],
) -> Iterator[House]:
    """Give a house that has measured one head by the real engine: analysis 1."""
    url = postgres_server.database(migrated_template)
    engine = RememberingEngine(tools.engine)
    with opened(url, tools, engine, data, data / "finished") as house:
        house.work(house.arrived(head))
        yield house
    postgres_server.drop(url)


@contextmanager
def opened(
    url: str, tools: Tools, engine: RememberingEngine, data: Path, store: Path
) -> Iterator[House]:
    settings = Settings(data=data, worker=WORKER, dispatcher=DispatcherSettings(send_again_s=3600))
    tools = replace(tools, engine=engine)
    with Records.open(url) as records:
        register(records, tools)
        yield House(records, settings, tools, engine, store)


def stored_files(house: House) -> list[Path]:
    return [path for path in house.store.rglob("*") if path.is_file()]


def assert_nothing_was_left(house: House, analysis_id: int) -> None:
    assert house.objects(analysis_id) == []
    assert house.deliveries(analysis_id) == set()
    assert stored_files(house) == []


# What an attempt ends in --------------------------------------------------------------------


def test_a_series_ends_in_one_result(finished: House) -> None:
    seen = finished.seen(1)

    assert (seen.state, seen.fitness, seen.attempts) == (AnalysisState.SUCCEEDED, "full", 1)
    assert seen.reason is not None and seen.reason.code is Code.SITE_UNCALIBRATED
    assert events(finished.records, "analysis", 1) == [
        (None, "queued"),
        ("queued", "running"),
        ("running", "succeeded"),
    ]


def test_the_files_of_a_result_are_what_their_digests_say(finished: House) -> None:
    found = finished.objects(1)

    assert {each.name for each in found} == ALL_FILES
    assert len(stored_files(finished)) == len(ALL_FILES)
    for each in found:
        content = LocalStore(finished.store).read(each.store_key)
        assert hashlib.sha256(content).hexdigest() == each.sha256
        assert len(content) == each.size_bytes
        assert (each.sop_instance_uid is None) == (not each.name.endswith(".dcm"))


def test_the_report_is_stored_and_says_what_was_decided_of_each_series(finished: House) -> None:
    report = finished.report(1)

    stored = next(each for each in finished.objects(1) if each.kind == "report")
    assert report == json.loads(LocalStore(finished.store).read(stored.store_key))
    assert len(report["measurements"]) == 10
    assert report["series_revision"] == 1
    assert [each["selected"] for each in report["series"]] == [True]


def test_what_each_destination_is_sent_is_due_at_once_or_held_for_a_review(
    finished: House,
) -> None:
    assert finished.deliveries(1) == {
        ("pacs", "segmentation", "due", None),
        ("pacs", "structured_report", "due", None),
        ("archive", "segmentation", "held", Code.AWAITING_REVIEW),
    }


def test_a_real_head_of_unknown_age_is_limited_and_held(house: House) -> None:
    analysis = house.arrived(sorted(ge_head_tilt().iterdir()))

    seen = house.work(analysis)

    assert (seen.state, seen.fitness) == (AnalysisState.SUCCEEDED, "limited")
    assert seen.reason is not None and seen.reason.code is Code.OUTSIDE_INTENDED_USE
    assert {held[2:] for held in house.deliveries(analysis)} == {
        ("held", Code.OUTSIDE_INTENDED_USE)
    }


def test_what_cannot_be_measured_is_rejected_with_the_reason_and_sends_nothing(
    house: House,
) -> None:
    analysis = house.arrived(sorted(philips_series("brain_5mm").iterdir()))

    seen = house.work(analysis)

    assert (seen.state, seen.fitness, seen.attempts) == (AnalysisState.REJECTED, None, 1)
    assert seen.reason is not None and seen.reason.code is Code.NO_BRAIN
    assert house.report(analysis)["reasons"][0]["code"] == Code.NO_BRAIN
    assert_nothing_was_left(house, analysis)


# Twice, at once, too late -------------------------------------------------------------------


def test_a_withheld_result_has_no_number_in_its_row_either(
    house: House, head: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of what failed, the real pipeline says the numbers; lists show the row's reason.
    found = Outcome(withheld(), {}, ())
    monkeypatch.setattr("worker.attempt.analyse_series", lambda *_arguments: found)

    ended = house.work(house.arrived(head))

    assert ended.fitness == "withheld"
    assert ended.reason == Reason(Code.QUALITY_BRAIN_CUT, Code.QUALITY_BRAIN_CUT.meaning)


def test_the_same_message_twice_leaves_one_result(finished: House) -> None:
    before = finished.seen(1)

    assert finished.work(1) == before

    assert finished.count("object") == len(ALL_FILES) == len(stored_files(finished))


def test_two_attempts_at_once_leave_one_result(house: House, head: list[Dataset]) -> None:
    analysis = house.arrived(head)

    at_once(*[lambda: house.work(analysis)] * 2)

    assert house.seen(analysis).attempts == 1
    assert house.count("object") == len(ALL_FILES) == len(stored_files(house))


def test_a_worker_that_outsleeps_its_lease_changes_nothing(
    house: House, head: list[Dataset]
) -> None:
    analysis = house.arrived(head)
    by_the_second: list[str] = []

    def oversleep() -> None:
        house.engine.meanwhile = lambda: None
        run_out(house.records, "analysis", analysis)
        house.dispatched()
        assert house.work(analysis).state is AnalysisState.SUCCEEDED
        by_the_second.extend(each.sha256 for each in house.objects(analysis))

    house.engine.meanwhile = oversleep
    seen = house.work(analysis)

    assert (seen.state, seen.attempts) == (AnalysisState.SUCCEEDED, 2)
    assert [each.sha256 for each in house.objects(analysis)] == by_the_second
    assert house.count("object") == len(ALL_FILES)
    assert house.count("delivery") == 3


def test_what_a_person_cancels_while_it_runs_stays_cancelled(
    house: House, head: list[Dataset], caplog: pytest.LogCaptureFixture
) -> None:
    analysis = house.arrived(head)

    def cancel() -> None:
        with house.records.begin() as session:
            analyses.cancel(session, analysis, by="a person")
        until(lambda: "worker.lease_lost" in caplog.messages)

    house.engine.meanwhile = cancel
    workshop = house.workshop()
    with workshop.heartbeat:
        workshop.run(analysis)

    seen = house.seen(analysis)
    assert seen.state is AnalysisState.CANCELLED
    assert seen.reason is not None and seen.reason.code is Code.CANCELLED_BY_PERSON
    assert house.count("object") == house.count("delivery") == 0
    # Said once, however often the heart beats after it.
    assert caplog.messages.count("worker.lease_lost") == 1


def test_a_late_instance_makes_a_second_result_that_takes_the_place_of_the_first(
    house: House, head: list[Dataset]
) -> None:
    early, late = head[:-1], head[-1:]
    first = house.arrived(early)

    def come_late() -> None:
        arrive(house.records, house.settings.spool, late)

    house.engine.meanwhile = come_late
    assert house.work(first).state is AnalysisState.SUCCEEDED
    # Better no result in the archive than one of a part.
    assert {held[2:] for held in house.deliveries(first)} == {("held", Code.SUPERSEDED)}
    assert [each["selected"] for each in house.report(first)["series"]] == [True]

    house.engine.meanwhile = lambda: None
    second = house.dispatched()
    assert house.work(second).series_revision == 2

    assert house.seen(first).state is AnalysisState.SUPERSEDED
    assert house.report(second)["scan"]["slices"] == house.report(first)["scan"]["slices"] + 1
    assert ("pacs", "segmentation", "due", None) in house.deliveries(second)


# Errors of ours -----------------------------------------------------------------------------


def raising(error: Exception) -> Callable[[House], None]:
    def arrange(house: House) -> None:
        def fail() -> None:
            raise error

        house.engine.meanwhile = fail

    return arrange


def lose_a_file(house: House) -> None:
    key = value(house.records, "SELECT max(spool_key) FROM instance")
    Spool(house.settings.spool).path(key).unlink()


def serve_another_package(house: House) -> None:
    package = replace(house.tools.package, sha256="0" * 64)
    house.tools = replace(house.tools, package=package)


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (raising(ZeroDivisionError("of ours")), Code.ANALYSIS_BUG),
        (raising(MemoryError()), Code.ANALYSIS_BUG),
        (lose_a_file, Code.FILE_MISSING),
        (serve_another_package, Code.PACKAGE_UNKNOWN),
    ],
    ids=["an error", "no memory", "a lost file", "another package"],
)
def test_our_fault_is_tried_again_and_said_after_the_last_attempt(
    house: House, head: list[Dataset], arrange: Callable[[House], None], code: Code
) -> None:
    analysis = house.arrived(head)
    arrange(house)

    for attempt in range(1, ATTEMPTS):
        seen = house.work(analysis)
        assert (seen.state, seen.attempts) == (AnalysisState.QUEUED, attempt)
        assert house.dispatched() == analysis
    seen = house.work(analysis)

    assert (seen.state, seen.attempts) == (AnalysisState.FAILED, ATTEMPTS)
    assert seen.reason is not None and seen.reason.code is code
    assert_nothing_was_left(house, analysis)
    assert len(house.announced) == ATTEMPTS


def test_an_analysis_that_failed_and_is_tried_again_succeeds(
    house: House, head: list[Dataset]
) -> None:
    analysis = house.arrived(head)
    raising(ZeroDivisionError())(house)
    for _ in range(ATTEMPTS):
        house.work(analysis)
    house.engine.meanwhile = lambda: None

    with house.records.begin() as session:
        analyses.retry(session, analysis, by="a person")
    house.dispatched()

    assert house.work(analysis).state is AnalysisState.SUCCEEDED


def test_a_result_that_the_database_refuses_uses_an_attempt(
    house: House, head: list[Dataset]
) -> None:
    analysis = house.arrived(head)

    # An object is planned for a destination once.
    seen = house.work(analysis, plans=[PACS, PACS])

    assert seen.state is AnalysisState.QUEUED
    assert seen.reason is not None and seen.reason.code is Code.ANALYSIS_BUG
    assert house.count("object") == house.count("delivery") == 0


def test_with_a_full_store_nothing_is_half_written(
    house: House, head: list[Dataset], tmp_path: Path
) -> None:
    analysis = house.arrived(head)
    (tmp_path / "results").write_text("not a folder")

    seen = house.work(analysis)

    assert seen.state is AnalysisState.QUEUED
    assert seen.reason is not None and seen.reason.code is Code.OUTPUT_UNWRITABLE
    assert house.count("object") == 0


# The database goes away ---------------------------------------------------------------------


@contextmanager
def unreachable(server: PostgresServer, url: str) -> Iterator[None]:
    """Throw everybody out of a database and let nobody in, while the context is open."""
    name = sql.Identifier(url.split("@/")[1].split("?", maxsplit=1)[0])
    with psycopg.connect(server.server.url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [name.as_string().strip('"')],
        )
        yield
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def test_a_database_that_goes_away_while_it_is_measured_gets_the_result_when_it_is_back(
    house: House,
    head: list[Dataset],
    caplog: pytest.LogCaptureFixture,
    postgres_server: PostgresServer,
    database_url: str,
) -> None:
    analysis = house.arrived(head)
    gone, waited = threading.Event(), threading.Event()

    def come_back() -> None:
        with unreachable(postgres_server, database_url):
            gone.set()
            until(lambda: "analysis.waits" in caplog.messages)
        waited.set()

    house.engine.meanwhile = lambda: (threading.Thread(target=come_back).start(), gone.wait())
    workshop = house.workshop()
    with workshop.heartbeat:
        workshop.run(analysis)

    assert waited.wait(60)
    assert "worker.waits" in caplog.messages
    seen = house.seen(analysis)
    assert (seen.state, seen.attempts) == (AnalysisState.SUCCEEDED, 1)
    assert house.count("object") == len(ALL_FILES)


def test_with_the_database_away_a_message_is_let_go_by(
    house: House, head: list[Dataset], postgres_server: PostgresServer, database_url: str
) -> None:
    analysis = house.arrived(head)

    with unreachable(postgres_server, database_url):
        house.workshop().run(analysis)

    assert house.seen(analysis).state is AnalysisState.QUEUED


# Signs of life ------------------------------------------------------------------------------


def claimed(house: House, analysis: int, lease_s: float = 60.0) -> leases.Lease:
    with house.records.begin() as session:
        work = leases.claim(session, analysis, owner="worker@here:1", lease_s=lease_s)
    assert work is not None
    return work.lease


def test_a_heartbeat_says_what_it_works_on_and_keeps_the_lease(
    house: House, head: list[Dataset]
) -> None:
    analysis = house.arrived(head)
    lease = claimed(house, analysis, lease_s=0.001)
    heartbeat = Heartbeat(house.records, house.settings.worker)

    def works_on() -> int | None:
        with house.records.begin() as session:
            (beat,) = [each for each in processes.beats(session) if each.role == leases.WORKER]
        return beat.analysis_id

    with heartbeat:
        with heartbeat.holding(lease):
            until(lambda: works_on() == analysis)
            until(
                lambda: value(
                    house.records,
                    "SELECT lease_until > now() + interval '50 s' FROM analysis WHERE id = :id",
                    id=analysis,
                )
            )
        until(lambda: works_on() is None)


def test_no_lease_is_kept_beyond_the_wall_limit(house: House, head: list[Dataset]) -> None:
    analysis = house.arrived(head)
    lease = claimed(house, analysis)
    change(
        house.records,
        "UPDATE analysis SET started_at = now() - interval '1 h' WHERE id = :id",
        id=analysis,
    )
    heartbeat = Heartbeat(house.records, house.settings.worker)

    with heartbeat, heartbeat.holding(lease):
        run_out(house.records, "analysis", analysis)
        until(lambda: house.dispatcher.round() and house.seen(analysis).state != "running")

    assert house.seen(analysis).state is AnalysisState.QUEUED


STUCK = """
import sys, time
from fontanelle.records.database import Records
from fontanelle.records.leases import Lease
from fontanelle.settings import WorkerSettings
from worker.heartbeat import Heartbeat

settings = WorkerSettings(wall_limit_s=0.2, lease_s=60, heartbeat_s=30)
with Records.open(sys.argv[1]) as records, Heartbeat(records, settings) as heartbeat:
    with heartbeat.holding(Lease(1, 1, 1)):
        while True:
            time.sleep(1)
"""


@pytest.mark.parametrize("is_away", [False, True], ids=["", "with the database away"])
def test_a_worker_whose_attempt_passes_the_wall_limit_ends_itself(
    database_url: str, postgres_server: PostgresServer, *, is_away: bool
) -> None:
    away = unreachable(postgres_server, database_url) if is_away else nullcontext()
    with away:
        ended = subprocess.run(
            [sys.executable, "-c", STUCK, database_url],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert ended.returncode == EXIT_WALL_LIMIT, ended.stderr
