"""Worker and dispatcher as processes, with a real database and broker, killed at bad moments.

One dispatcher and, where it is not killed, one worker serve all tests of this file.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import DisabledBackend
from pydicom.uid import UID
from redis import Redis

from fontanelle.errors import Code
from fontanelle.lifecycle import AnalysisState
from fontanelle.records import analyses, processes
from fontanelle.records.analyses import AnalysisSeen
from fontanelle.records.database import Records
from fontanelle.settings import DispatcherSettings, Settings, WorkerSettings, environment_of
from models.phantom.head import Recipe, make
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header, instances
from service.embedded.valkey import Valkey
from tests.arrivals import arrive
from tests.integration.records.builders import run_out, value
from tests.servers import PostgresServer
from tests.waiting import until
from worker.app import app, listening

COARSE = Field(slices=60, rows_columns=(128, 128), step_mm=2.5, pixel_mm=1.7)
CANARY = "CANARY^ZEBEDEE"
QUEUE = "analyses"
ROLES = {"worker": "worker.main", "dispatcher": "service.dispatcher"}
ROLE = (
    "import os; from {module} import run; from fontanelle.settings import load; "
    "run(load(os.environ))"
)


class Role:
    """A role as a process of its own, and what it said."""

    def __init__(self, name: str, settings: Settings, log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", ROLE.format(module=ROLES[name])],
                env={"PATH": os.environ["PATH"], **environment_of(settings)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def said(self) -> list[dict[str, Any]]:
        """Return its log: every line is JSON, whoever spoke."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.said()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Return its exit code, once it has ended."""
        return self.process.wait(120)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class House:
    """Servers, one dispatcher, and workers one after another."""

    def __init__(self, settings: Settings, records: Records, valkey: Valkey, logs: Path) -> None:
        self.settings = settings
        self.records = records
        self.valkey = valkey
        self.logs = logs
        self.roles: list[Role] = []
        self.dispatcher = self.start("dispatcher")
        self._head = list(instances(make(Recipe()), grid(View.AXIAL, COARSE), Header()))
        self._worker: Role | None = None
        self._studies = 0

    def start(self, name: str) -> Role:
        role = Role(name, self.settings, self.logs / f"{len(self.roles)}-{name}.log")
        self.roles.append(role)
        return role

    def worker(self) -> Role:
        """Return a worker that is ready."""
        if self._worker is None or self._worker.process.poll() is not None:
            self._worker = self.start("worker")
        worker = self._worker
        until(lambda: "worker.ready" in worker.events())
        return worker

    def arrived(self) -> int:
        """Have a head of a child of its own come in; return its analysis once it is queued."""
        self._studies += 1
        study = f"1.2.{self._studies}"
        for index, each in enumerate(self._head):
            each.PatientName, each.PatientID = CANARY, f"CANARY-{self._studies}"
            each.StudyInstanceUID, each.SeriesInstanceUID = study, f"{study}.1"
            each.SOPInstanceUID = UID(f"{study}.1.{index}")
        arrive(self.records, self.settings.spool, self._head)
        until(lambda: len(self.analyses()) >= self._studies)
        return self.analyses()[0].analysis_id

    def analyses(self) -> list[AnalysisSeen]:
        with self.records.begin() as session:
            return analyses.page(session)

    def seen(self, analysis: int) -> AnalysisSeen:
        with self.records.begin() as session:
            return analyses.get(session, analysis)

    def is_running(self, analysis: int) -> bool:
        return self.seen(analysis).state is AnalysisState.RUNNING

    def until_succeeded(self, analysis: int) -> AnalysisSeen:
        ended = (AnalysisState.SUCCEEDED, AnalysisState.REJECTED, AnalysisState.FAILED)
        until(lambda: self.seen(analysis).state in ended)
        seen = self.seen(analysis)
        assert seen.state is AnalysisState.SUCCEEDED, seen
        return seen

    def segmentations(self, analysis: int) -> int:
        statement = "SELECT count(*) FROM object WHERE kind = 'segmentation' AND analysis_id = :id"
        return int(value(self.records, statement, id=analysis))

    def stopped_in_the_middle(self) -> tuple[Role, int]:
        """Return a worker that stands still in the middle of an analysis, and that analysis."""
        worker, analysis = self.worker(), self.arrived()
        until(lambda: self.seen(analysis).state is not AnalysisState.QUEUED)
        worker.send(signal.SIGSTOP)
        if self.is_running(analysis):
            return worker, analysis
        # It was quicker than we looked.
        worker.send(signal.SIGCONT)
        return self.stopped_in_the_middle()

    def broker(self) -> Redis:
        return Redis(unix_socket_path=str(self.valkey.socket))


@pytest.fixture(scope="module")
def house(
    postgres_server: PostgresServer, migrated_template: str, tmp_path_factory: Any
) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    url = postgres_server.database(migrated_template)
    with ExitStack() as stack:
        stack.callback(postgres_server.drop, url)
        valkey = stack.enter_context(Valkey(folder / "broker", fsync=False))
        records = stack.enter_context(Records.open(url))
        settings = Settings(
            data=folder / "data",
            database_url=url,
            broker_url=valkey.url,
            dispatcher=DispatcherSettings(poll_s=0.2, send_again_s=1.0),
            worker=WorkerSettings(lease_s=15.0, heartbeat_s=0.5),
        )
        house = House(settings, records, valkey, folder)
        stack.callback(lambda: [role.kill() for role in house.roles])
        yield house


def test_a_message_holds_an_id_and_no_patient_and_ends_in_a_result(house: House) -> None:
    worker = house.worker()
    worker.send(signal.SIGSTOP)
    analysis = house.arrived()
    with house.broker() as broker:
        until(lambda: broker.llen(QUEUE))
        held = [broker.dump(key) for key in broker.scan_iter()]
        (message,) = broker.lrange(QUEUE, 0, -1)
    body = b64decode(json.loads(message)["body"])
    worker.send(signal.SIGCONT)

    assert json.loads(body)[:2] == [[analysis], {}]
    assert not [text for text in (message, body, *held) if b"CANARY" in text]
    assert house.until_succeeded(analysis).attempts == 1
    assert house.segmentations(analysis) == 1
    assert worker.events()[0] == "worker.ready"


def test_a_worker_has_one_message_in_hand_and_acknowledges_it_last(house: House) -> None:
    controller = listening(house.valkey.url, lambda _: None)

    assert controller.pool_cls.__module__ == "celery.concurrency.solo"
    assert controller.concurrency * controller.prefetch_multiplier == 1
    assert app.conf.task_acks_late
    assert isinstance(app.backend, DisabledBackend)
    transport = app.connection_for_read().transport_options
    assert transport["visibility_timeout"] > 10 * house.settings.worker.wall_limit_s


def test_a_broker_that_was_killed_and_comes_back_empty_loses_nothing(house: House) -> None:
    worker = house.worker()
    worker.send(signal.SIGSTOP)
    announced = house.arrived()
    with house.broker() as broker:
        until(lambda: broker.llen(QUEUE))
    assert house.valkey.child is not None
    house.valkey.child.kill()
    worker.send(signal.SIGCONT)
    unheard = house.arrived()
    until(lambda: "dispatcher.waits" in house.dispatcher.events())
    house.valkey.stop()
    shutil.rmtree(house.valkey.socket.parents[1] / "messages", ignore_errors=True)

    house.valkey.start()

    for analysis in (announced, unheard):
        house.until_succeeded(analysis)
        assert house.segmentations(analysis) == 1
    assert worker is house.worker()


def test_messages_that_are_none_of_ours_stop_nobody_and_are_not_quoted(house: House) -> None:
    worker = house.worker()
    stranger = Celery(broker=house.valkey.url, set_as_current=False)
    stranger.send_task("no.such.task", ["CANARY"], queue=QUEUE)
    stranger.send_task("fontanelle.analyse", ["CANARY"], queue=QUEUE)
    stranger.send_task("fontanelle.analyse", [], {"patient": "CANARY"}, queue=QUEUE)
    stranger.send_task("fontanelle.analyse", [10**9], queue=QUEUE)

    with house.broker() as broker:
        until(lambda: not broker.llen(QUEUE) and not broker.hlen("unacked"))
    assert worker is house.worker()


def test_a_worker_that_is_told_to_stop_finishes_what_it_has_in_hand(house: House) -> None:
    worker, analysis = house.stopped_in_the_middle()
    worker.send(signal.SIGTERM)
    worker.send(signal.SIGCONT)

    assert worker.ended() == os.EX_OK

    seen = house.seen(analysis)
    assert (seen.state, seen.attempts) == (AnalysisState.SUCCEEDED, 1)
    assert worker.events()[-1] == "worker.ended"
    with house.broker() as broker:
        assert broker.hlen("unacked") == 0


def test_an_analysis_whose_worker_was_killed_is_ended_by_the_next_one(house: House) -> None:
    worker, analysis = house.stopped_in_the_middle()

    worker.kill()

    assert house.worker() is not worker
    assert house.until_succeeded(analysis).attempts == 2
    assert house.segmentations(analysis) == 1


def test_an_analysis_that_kills_every_worker_fails_and_delays_no_other(house: House) -> None:
    worker, poison = house.stopped_in_the_middle()
    next_one = house.arrived()
    worker.kill()
    for _ in range(2):
        run_out(house.records, "analysis", poison)
        worker = house.worker()
        until(lambda: house.is_running(poison))
        worker.kill()
    run_out(house.records, "analysis", poison)

    house.worker()
    house.until_succeeded(next_one)
    until(lambda: house.seen(poison).state is AnalysisState.FAILED)

    seen = house.seen(poison)
    assert seen.attempts == 3
    assert seen.reason is not None and seen.reason.code is Code.WORKER_DIED
    assert house.segmentations(poison) == 0


def test_idle_roles_that_are_told_to_stop_end_well(house: House) -> None:
    worker = house.worker()
    until(lambda: not [each for each in house.analyses() if each.state is AnalysisState.RUNNING])

    for role in (worker, house.dispatcher):
        role.send(signal.SIGTERM)
        assert role.ended() == os.EX_OK
    with house.records.begin() as session:
        there = {beat.pid for beat in processes.beats(session)}
    assert not there & {worker.process.pid, house.dispatcher.process.pid}


def test_no_line_of_a_log_names_a_patient_or_is_a_librarys_own(house: House) -> None:
    assert len(house.roles) > 4
    for role in house.roles:
        assert "CANARY" not in role.log.read_text()
        assert role.said(), role.log
        assert not [event for event in role.events() if event.startswith("celery")]
