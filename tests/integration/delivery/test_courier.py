"""The courier with a real database and real receivers: each object once, whatever happens."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from fontanelle.errors import Code
from fontanelle.lifecycle import DeliveryState, Verdict
from fontanelle.records import deliveries, processes, reviews
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.settings import Settings, environment_of
from service.delivery.courier import couriers_of, give_up_unknown, oversee
from service.delivery.destination import DestinationCourier, back_off_s
from tests.integration.delivery.files import CANARY, dataset_bytes
from tests.integration.delivery.installation import TAKEN, Installation, destination
from tests.integration.delivery.receivers import LIMIT_S, Connection, misbehaving, receiver
from tests.integration.records.builders import change, in_background, value
from tests.orthanc import orthanc
from tests.servers import free_port
from tests.waiting import until

BOTH = ("segmentation", "structured_report")
ACKNOWLEDGED = [DeliveryState.ACKNOWLEDGED] * 2


def courier(installation: Installation, port: int, **settings: float) -> DestinationCourier:
    """Return the courier of one destination, to be led by hand."""
    configured = installation.settings(destination(port), **settings)
    (found,) = couriers_of(configured, installation.records, threading.Event())
    return found


@contextmanager
def serving(settings: Settings, records: Records) -> Iterator[None]:
    """Run all couriers of the settings in threads."""
    stopped = threading.Event()
    couriers = couriers_of(settings, records, stopped)
    threads = [threading.Thread(target=each.serve) for each in couriers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for each, thread in zip(couriers, threads, strict=True):
            each.cut()
            thread.join(LIMIT_S)
            assert not thread.is_alive()


@contextmanager
def process(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """Run the role as a process."""
    with subprocess.Popen(
        [sys.executable, "-m", "service.cli", "run", "courier"],
        env=os.environ | environment_of(settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def resend(installation: Installation, delivery_id: int) -> None:
    with installation.records.begin() as session:
        deliveries.resend(session, delivery_id, by="Dr. Cue")


def test_what_is_due_arrives_byte_for_byte_over_one_association(
    installation: Installation,
) -> None:
    for number in (1, 2, 3):
        installation.result(number)
    with receiver(contexts=TAKEN) as found:
        led = courier(installation, found.port)
        led.round()
        installation.result(4)
        led.round()

    assert installation.states() == [DeliveryState.ACKNOWLEDGED] * 8
    assert [content for _, content in found.received.instances] == [
        dataset_bytes(installation.file(kind, number)) for number in (1, 2, 3, 4) for kind in BOTH
    ]
    # The first object of a new class costs one; from then on both classes are offered.
    assert found.received.associations == ["FONTANELLE"] * 3


def test_an_acknowledged_object_is_not_sent_again(installation: Installation) -> None:
    installation.result()
    with receiver(contexts=TAKEN) as found:
        led = courier(installation, found.port)
        led.round()
        led.round()
    assert len(found.received.instances) == 2


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_what_the_destination_has_is_acknowledged_with_its_status(
    installation: Installation, status: int
) -> None:
    installation.result()
    with receiver(status, contexts=TAKEN) as found:
        courier(installation, found.port).round()
    assert [(each.state, each.status) for each in installation.deliveries()] == [
        (DeliveryState.ACKNOWLEDGED, status)
    ] * 2


def test_every_status_is_kept_and_a_failure_is_tried_again(installation: Installation) -> None:
    installation.result(1, Plan("pacs", ("segmentation",), after_review=False))
    answers = iter([0xA700, 0xC000, 0x0111])
    with receiver(lambda _: next(answers), contexts=TAKEN) as found:
        led = courier(installation, found.port)
        for expected in (DeliveryState.DUE, DeliveryState.DUE, DeliveryState.ACKNOWLEDGED):
            installation.all_due_now()
            led.round()
            assert installation.states() == [expected]
    assert installation.statuses(1) == [0xA700, 0xC000, 0x0111]


def test_a_failure_waits_longer_each_time_and_is_dead_after_the_limit(
    installation: Installation,
) -> None:
    installation.result(1, Plan("pacs", ("segmentation",), after_review=False))
    led = courier(installation, free_port(), back_off_first_s=1000.0, attempts=3)
    for waits_s in (1000.0, 2000.0):
        led.round()
        found = value(
            installation.records, "SELECT extract(epoch FROM due_at - now()) FROM delivery"
        )
        assert waits_s - 100.0 < float(found) <= waits_s
        led.round()  # Nothing is due: the attempt is not made.
        installation.all_due_now()
    led.round()

    (seen,) = installation.deliveries()
    assert (seen.state, seen.attempts) == (DeliveryState.DEAD, 3)
    assert seen.reason is not None and seen.reason.code is Code.DESTINATION_AWAY


def test_a_dead_delivery_is_sent_when_a_person_asks_for_it(installation: Installation) -> None:
    installation.result()
    courier(installation, free_port(), attempts=1).round()
    assert installation.states() == [DeliveryState.DEAD] * 2

    for each in installation.deliveries():
        resend(installation, each.delivery_id)
    with receiver(contexts=TAKEN) as found:
        courier(installation, found.port).round()
    assert installation.states() == ACKNOWLEDGED


def test_an_acknowledged_object_is_sent_again_unchanged_when_a_person_asks_for_it(
    installation: Installation,
) -> None:
    installation.result(1, Plan("pacs", ("segmentation",), after_review=False))
    with receiver(contexts=TAKEN) as found:
        led = courier(installation, found.port)
        led.round()
        resend(installation, 1)
        led.round()
    first, second = found.received.instances
    assert first == second
    assert installation.states() == [DeliveryState.ACKNOWLEDGED]


def test_what_is_held_stays_until_a_reader_accepts(installation: Installation) -> None:
    analysis_id = installation.result(1, Plan("pacs", BOTH, after_review=True))
    with receiver(contexts=TAKEN) as found:
        led = courier(installation, found.port)
        led.round()
        assert found.received.instances == []
        assert installation.states() == [DeliveryState.HELD] * 2

        with installation.records.begin() as session:
            reviews.add(session, analysis_id, Verdict.ACCEPTED, comment="", person="Dr. Cue")
        led.round()
    assert installation.states() == ACKNOWLEDGED


def test_an_object_that_the_destination_does_not_take_stops_no_other(
    installation: Installation,
) -> None:
    installation.result()
    with receiver(contexts=TAKEN[1:]) as found:
        courier(installation, found.port).round()
    segmentation, report = installation.deliveries()
    assert segmentation.state == DeliveryState.DUE
    assert segmentation.reason is not None
    assert segmentation.reason.code is Code.CONTEXT_NOT_ACCEPTED
    assert report.state == DeliveryState.ACKNOWLEDGED


def test_an_unreachable_destination_is_tried_once_for_all_that_is_due(
    installation: Installation,
) -> None:
    for number in (1, 2, 3):
        installation.result(number)

    def refuse(connection: Connection) -> None:
        connection.read_pdu()
        connection.socket.sendall(b"\x03\0\0\0\0\x04\0\x01\x01\x03")

    with misbehaving(refuse) as found:
        courier(installation, found.port, back_off_first_s=1000.0).round()
    assert len(found.received.associations) == 1
    assert [(each.state, each.attempts) for each in installation.deliveries()] == [
        (DeliveryState.DUE, 1)
    ] * 6
    assert {each.reason.code for each in installation.deliveries() if each.reason} == {
        Code.DESTINATION_REFUSED
    }


def test_a_silent_destination_delays_no_other(installation: Installation) -> None:
    plans = [Plan(name, BOTH, after_review=False) for name in ("silent", "pacs")]
    installation.result(1, *plans)
    hanging = threading.Event()

    def say_nothing(connection: Connection) -> None:
        connection.accept()
        connection.read_message()
        hanging.set()
        connection.socket.recv(1)

    with misbehaving(say_nothing) as silent, receiver(contexts=TAKEN) as found:
        settings = installation.settings(
            destination(silent.port, "silent"), destination(found.port), timeout_s=LIMIT_S
        )
        with serving(settings, installation.records):
            assert hanging.wait(LIMIT_S)
            installation.result(2, *plans)
            until(lambda: len(found.received.instances) == 4)
            until(lambda: installation.states().count(DeliveryState.ACKNOWLEDGED) == 4)
            assert DeliveryState.SENDING in installation.states()


def test_a_stored_file_that_was_damaged_is_not_sent(installation: Installation) -> None:
    installation.result()
    (segmentation, _) = installation.deliveries()
    key = value(
        installation.records,
        "SELECT store_key FROM object WHERE id = :id",
        id=segmentation.object_id,
    )
    path = installation.store.path(key)
    path.write_bytes(path.read_bytes()[:-2] + b"!!")

    with receiver(contexts=TAKEN) as found:
        courier(installation, found.port).round()

    segmentation, report = installation.deliveries()
    assert segmentation.state == DeliveryState.DUE
    assert segmentation.reason is not None
    assert segmentation.reason.code is Code.FILE_MISSING
    assert report.state == DeliveryState.ACKNOWLEDGED
    assert len(found.received.instances) == 1


def test_what_is_due_at_a_destination_that_was_removed_is_given_up(
    installation: Installation,
) -> None:
    installation.result(1, *(Plan(name, BOTH, after_review=False) for name in ("old", "pacs")))
    give_up_unknown(installation.records, {"pacs"}, timeout_s=LIMIT_S)
    found = {each.destination: each for each in installation.deliveries()}
    assert found["pacs"].state == DeliveryState.DUE
    assert found["old"].state == DeliveryState.DEAD
    assert found["old"].reason is not None
    assert found["old"].reason.code is Code.DESTINATION_UNKNOWN


def test_two_couriers_of_one_destination_send_each_object_once(
    installation: Installation,
) -> None:
    for number in range(1, 11):
        installation.result(number)
    with receiver(contexts=TAKEN) as found:
        settings = installation.settings(destination(found.port))
        with serving(settings, installation.records), serving(settings, installation.records):
            until(lambda: set(installation.states()) == {DeliveryState.ACKNOWLEDGED})
    assert len(found.received.uids) == len(set(found.received.uids)) == 20


def test_an_attempt_that_never_ended_counts(installation: Installation) -> None:
    installation.result(1, Plan("pacs", ("segmentation",), after_review=False))
    for _ in range(3):
        with installation.records.begin() as session:
            assert deliveries.claim(session, "pacs", lease_s=60.0)
        installation.all_leases_over()
    with receiver(contexts=TAKEN) as found:
        courier(installation, found.port, attempts=3).round()
    assert found.received.instances == []
    assert installation.states() == [DeliveryState.DEAD]


def test_a_database_that_goes_away_is_waited_for(installation: Installation) -> None:
    installation.result()
    arrived, back = threading.Event(), threading.Event()

    def hold(_: str) -> int:
        arrived.set()
        back.wait(LIMIT_S)
        return 0x0000

    def cut_all(*, allow: bool) -> None:
        with Records.open(installation.url.replace(database, "postgres")) as others:
            change(others, f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS {allow}')
            change(
                others,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name",
                name=database,
            )

    database = value(installation.records, "SELECT current_database()")
    with receiver(hold, contexts=TAKEN) as found:
        settings = installation.settings(destination(found.port), timeout_s=LIMIT_S)
        with serving(settings, installation.records):
            assert arrived.wait(LIMIT_S)
            cut_all(allow=False)
            back.set()
            until(lambda: len(found.received.instances) == 1)
            cut_all(allow=True)
            until(lambda: installation.states() == ACKNOWLEDGED)
    assert len(found.received.uids) == len(set(found.received.uids)) == 2


def test_it_gives_signs_of_life_while_its_couriers_move(installation: Installation) -> None:
    stopped = threading.Event()
    settings = installation.settings()
    with in_background(lambda: oversee([], installation.records, settings, stopped)) as end:
        until(lambda: _beats(installation))
        stopped.set()
        end.result(LIMIT_S)


def test_it_gives_no_sign_of_life_when_a_courier_hangs(installation: Installation) -> None:
    stopped = threading.Event()
    settings = installation.settings(destination(free_port()), timeout_s=0.001)
    (hanging,) = couriers_of(settings, installation.records, stopped)
    until(lambda: not hanging.is_moving)
    rounds: list[None] = []

    def count(*_: object) -> None:
        rounds.append(None)
        if len(rounds) == 2:
            stopped.set()

    stopped.wait = count  # type: ignore[assignment]
    oversee([hanging], installation.records, settings, stopped)
    assert not _beats(installation)


def _beats(installation: Installation) -> list[processes.Beat]:
    with installation.records.begin() as session:
        return processes.beats(session)


@pytest.mark.peer("Orthanc")
def test_killed_between_sending_and_recording_it_sends_the_same_bytes_again(
    installation: Installation,
) -> None:
    installation.result(1, Plan("pacs", ("segmentation",), after_review=False))
    with orthanc() as server:
        settings = installation.settings(
            destination(server.port, ae_title=server.ae_title), timeout_s=LIMIT_S
        )
        # Whoever would write down an attempt has to wait for us.
        with installation.records.begin() as session:
            session.execute(text("LOCK TABLE delivery_attempt IN EXCLUSIVE MODE"))
            with process(settings) as child:
                until(server.instances)
                child.send_signal(signal.SIGKILL)
                child.wait(LIMIT_S)
        assert installation.states() == [DeliveryState.SENDING]
        first = server.file_of("2.25.12.1")

        installation.all_leases_over()
        with process(settings):
            until(lambda: installation.states() == [DeliveryState.ACKNOWLEDGED])

        assert server.sop_instance_uids() == ["2.25.12.1"]
        assert server.file_of("2.25.12.1") == first
    assert first.endswith(dataset_bytes(installation.file("segmentation")))
    assert installation.deliveries()[0].attempts == 2


def test_sigterm_ends_it_though_a_destination_is_silent_and_nothing_is_lost(
    installation: Installation,
) -> None:
    installation.result(1, Plan("pacs", ("segmentation",), after_review=False))
    hanging = threading.Event()

    def say_nothing(connection: Connection) -> None:
        connection.accept()
        connection.read_message()
        hanging.set()
        connection.socket.recv(1)

    with misbehaving(say_nothing) as silent:
        settings = installation.settings(destination(silent.port), timeout_s=300.0)
        with process(settings) as child:
            assert hanging.wait(LIMIT_S)
            child.terminate()
            assert child.wait(LIMIT_S) == 0
            assert child.stderr is not None
            said = child.stderr.read()

    assert installation.states() == [DeliveryState.DUE]
    assert not _beats(installation)
    assert "delivery.failed" in said
    assert CANARY not in said
    with receiver(contexts=TAKEN) as found:
        courier(installation, found.port).round()
    assert installation.states() == [DeliveryState.ACKNOWLEDGED]


@pytest.mark.parametrize(
    ("attempt", "after_s"), [(1, 5.0), (2, 10.0), (3, 20.0), (11, 3600.0), (29, 3600.0), (30, None)]
)
def test_the_back_off_doubles_up_to_an_hour(
    installation: Installation, attempt: int, after_s: float | None
) -> None:
    settings = installation.settings(
        back_off_first_s=5.0, back_off_most_s=3600.0, attempts=30
    ).courier
    assert back_off_s(attempt, settings) == after_s
