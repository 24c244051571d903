"""The C-STORE SCU against pynetdicom's receiver and against sockets that misbehave."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import (
    AllTransferSyntaxes,
    ComprehensiveSRStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from fontanelle.errors import Code
from service.delivery.association import Association
from service.delivery.outcomes import NotSent, Outcome, Sent
from service.delivery.sendable import Sendable, read_sendable
from service.delivery.store_scu import StoreScu, store_all
from service.delivery.wire import Ended, Peer
from tests.integration.delivery.files import CANARY, dataset_bytes, jpeg, part10
from tests.integration.delivery.receivers import (
    HOST,
    LIMIT_S,
    Connection,
    misbehaving,
    receiver,
)
from tests.servers import free_port

SHORT_S = 0.5


def sendable(path: Path) -> Sendable:
    found = read_sendable(path)
    assert found is not None
    return found


@pytest.fixture
def three(tmp_path: Path) -> list[Sendable]:
    return [sendable(part10(tmp_path / f"{name}.dcm")) for name in "abc"]


def outcomes(peer: Peer, instances: list[Sendable], associations: int = 1) -> dict[str, Outcome]:
    return {
        instance.path.stem: outcome
        for instance, outcome in store_all(peer, instances, associations)
    }


def code_of(outcome: Outcome) -> Code | None:
    return outcome.reason.code if isinstance(outcome, NotSent) else None


@pytest.mark.parametrize("maximum_pdu", [0, 128, 16382, 1 << 20])
def test_the_bytes_that_arrive_are_the_bytes_of_the_file(tmp_path: Path, maximum_pdu: int) -> None:
    files = [
        part10(tmp_path / f"{size}.dcm", pixel_bytes=size) for size in (0, 2, 16376, 3_000_000)
    ] + [jpeg(tmp_path / "j.dcm")]

    with receiver(maximum_pdu=maximum_pdu) as found:
        outcomes(found.peer(), [sendable(file) for file in files])

    assert [content for _, content in found.received.instances] == [
        dataset_bytes(file) for file in files
    ]


def test_all_instances_go_over_one_association_that_is_released(three: list[Sendable]) -> None:
    with receiver() as found:
        assert outcomes(found.peer(), three) == dict.fromkeys("abc", Sent(0x0000))
    assert found.received.associations == ["SENDER"]


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_success_duplicate_and_warnings_count_as_stored(three: list[Sendable], status: int) -> None:
    with receiver(status) as found:
        (outcome,) = outcomes(found.peer(), three[:1]).values()
    assert outcome == Sent(status)
    assert isinstance(outcome, Sent) and outcome.is_stored


@pytest.mark.parametrize("status", [0x0110, 0x0122, 0xA700, 0xA900, 0xC000, 0xC110])
def test_a_failure_status_is_kept_and_the_others_still_go(
    three: list[Sendable], status: int
) -> None:
    bad = three[0].sop_instance_uid
    with receiver(lambda uid: status if uid == bad else 0x0000) as found:
        became = outcomes(found.peer(), three)
    assert became == {"a": Sent(status), "b": Sent(0x0000), "c": Sent(0x0000)}
    assert not Sent(status).is_stored


def test_a_context_that_is_not_accepted_stops_no_other(tmp_path: Path) -> None:
    taken = sendable(part10(tmp_path / "taken.dcm"))
    other_class = sendable(part10(tmp_path / "class.dcm", sop_class=SegmentationStorage))
    other_syntax = sendable(part10(tmp_path / "syntax.dcm", syntax=ImplicitVRLittleEndian))

    with receiver() as found:
        became = outcomes(found.peer(), [other_class, other_syntax, taken])

    assert code_of(became["class"]) is Code.CONTEXT_NOT_ACCEPTED
    assert code_of(became["syntax"]) is Code.CONTEXT_NOT_ACCEPTED
    assert became["taken"] == Sent(0x0000)
    assert found.received.uids == [taken.sop_instance_uid]


def test_a_receiver_that_takes_no_context_is_no_dead_receiver(tmp_path: Path) -> None:
    instance = sendable(part10(tmp_path / "a.dcm", sop_class=SegmentationStorage))
    with receiver() as found, StoreScu(found.peer()) as scu:
        assert code_of(scu.store(instance)) is Code.CONTEXT_NOT_ACCEPTED
        assert not scu.is_hopeless


def test_more_than_128_contexts_take_several_associations(tmp_path: Path) -> None:
    classes = [
        CTImageStorage,
        EnhancedCTImageStorage,
        MRImageStorage,
        SecondaryCaptureImageStorage,
        SegmentationStorage,
        ComprehensiveSRStorage,
    ]
    syntaxes = [s for s in AllTransferSyntaxes if s != DeflatedExplicitVRLittleEndian][:28]
    instances = [
        sendable(
            part10(tmp_path / f"{i}-{j}.dcm", sop_class=sop_class, syntax=syntax, pixel_bytes=0)
        )
        for j, syntax in enumerate(syntaxes)
        for i, sop_class in enumerate(classes)
        if syntax.is_little_endian
    ]
    assert len(instances) > 128

    with receiver(contexts=[(c, list(syntaxes)) for c in classes]) as found:
        became = outcomes(found.peer(), instances)

    assert set(became.values()) == {Sent(0x0000)}
    assert len(found.received.associations) == 2


def test_several_associations_share_the_work(tmp_path: Path) -> None:
    instances = [sendable(part10(tmp_path / f"{i:02}.dcm")) for i in range(30)]
    together = threading.Barrier(3)

    def wait_for_the_others(uid: str) -> int:
        if uid in {each.sop_instance_uid for each in instances[:3]}:
            together.wait(LIMIT_S)
        return 0x0000

    with receiver(wait_for_the_others) as found:
        became = outcomes(found.peer(), instances, associations=3)

    assert set(became.values()) == {Sent(0x0000)}
    assert sorted(found.received.uids) == sorted(each.sop_instance_uid for each in instances)
    assert len(found.received.associations) == 3


def test_an_association_too_many_costs_no_instance(tmp_path: Path) -> None:
    instances = [sendable(part10(tmp_path / f"{i:02}.dcm")) for i in range(30)]
    with receiver(maximum_associations=1) as found:
        became = outcomes(found.peer(), instances, associations=3)
    assert set(became.values()) == {Sent(0x0000)}
    assert len(found.received.instances) == 30


def test_a_wrong_called_ae_title_is_a_refusal_in_words(three: list[Sendable]) -> None:
    with receiver() as found:
        became = outcomes(found.peer(ae_title="NOBODY"), three)
    assert {code_of(each) for each in became.values()} == {Code.DESTINATION_REFUSED}
    (sentence,) = {e.reason.sentence for e in became.values() if isinstance(e, NotSent)}
    assert sentence == (
        "The destination refused for good: that is not its (called) AE title "
        "(result 1, source 1, reason 7)."
    )


def test_a_closed_port_is_a_destination_that_is_away(three: list[Sendable]) -> None:
    became = outcomes(Peer("X", HOST, free_port(), "SENDER", LIMIT_S), three)
    assert {code_of(each) for each in became.values()} == {Code.DESTINATION_AWAY}
    assert len(became) == 3


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 200])
def test_an_unknown_host_name_is_a_destination_that_is_away(
    three: list[Sendable], host: str
) -> None:
    became = outcomes(Peer("X", host, 104, "SENDER", LIMIT_S), three[:1])
    assert code_of(became["a"]) is Code.DESTINATION_AWAY


def say_nothing(connection: Connection) -> None:
    connection.socket.recv(1 << 20)
    connection.socket.recv(1)


def accept_and_say_nothing(connection: Connection) -> None:
    connection.accept()
    while connection.socket.recv(1 << 16):
        pass


def stop_reading(connection: Connection) -> None:
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.accept()
    gone = threading.Event()
    gone.wait(4 * SHORT_S)


def drip(connection: Connection) -> None:
    connection.accept()
    connection.read_message()
    while True:
        connection.socket.sendall(b"\x04")
        time.sleep(SHORT_S / 5)


def drip_instead_of_accepting(connection: Connection) -> None:
    connection.read_pdu()
    connection.socket.sendall(b"\x02\0\0\0\x40\0")
    while True:
        connection.socket.sendall(b"\0")
        time.sleep(SHORT_S / 5)


@pytest.mark.parametrize(
    "script",
    [say_nothing, accept_and_say_nothing, stop_reading, drip, drip_instead_of_accepting],
)
def test_a_silent_destination_is_given_up_in_time(
    tmp_path: Path, script: Callable[[Connection], None]
) -> None:
    large = sendable(part10(tmp_path / "a.dcm", pixel_bytes=20_000_000))
    with misbehaving(script) as found:
        became = outcomes(found.peer(SHORT_S), [large])
    assert code_of(became["a"]) is Code.DESTINATION_SILENT


def refuse_now(connection: Connection) -> None:
    connection.read_pdu()
    connection.socket.sendall(b"\x03\0\0\0\0\x04\0\x02\x03\x02")


def abort_at_once(connection: Connection) -> None:
    connection.read_pdu()
    connection.socket.sendall(b"\x07\0\0\0\0\x04\0\0\0\0")


def abort_after_message(connection: Connection) -> None:
    connection.accept()
    connection.read_message()
    connection.socket.sendall(b"\x07\0\0\0\0\x04\0\0\x02\0")


def abort_in_the_middle(connection: Connection) -> None:
    connection.accept()
    connection.read_pdu()
    connection.socket.sendall(b"\x07\0\0\0\0\x04\0\0\x02\0")


def close(connection: Connection) -> None:
    connection.accept()
    connection.read_pdu()


def release_early(connection: Connection) -> None:
    connection.accept()
    connection.read_message()
    connection.socket.sendall(b"\x05\0\0\0\0\x04\0\0\0\0")
    assert connection.read_pdu()[0] == 6


def answer_garbage(connection: Connection) -> None:
    connection.accept()
    connection.read_message()
    connection.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.socket.recv(1)


def answer_another_message(connection: Connection) -> None:
    connection.accept()
    connection.read_message()
    command = b"\0\0\0\1\2\0\0\0\x01\x80" + b"\0\0\x20\1\2\0\0\0\x63\0" + b"\0\0\0\x09\2\0\0\0\0\0"
    size = len(command)
    connection.socket.sendall(
        b"\x04\0" + (size + 6).to_bytes(4) + (size + 2).to_bytes(4) + b"\x01\x03" + command
    )
    connection.socket.recv(1)


def accept_with_garbage(connection: Connection) -> None:
    connection.read_pdu()
    connection.socket.sendall(b"\x02\0\0\0\0\x64" + b"\xff" * 100)
    connection.socket.recv(1)


def declare_too_much(connection: Connection) -> None:
    connection.accept()
    connection.read_message()
    connection.socket.sendall(b"\x04\0\x7f\xff\xff\xff" + b"\0" * 1000)
    connection.socket.recv(1)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (refuse_now, Code.DESTINATION_REFUSED),
        (abort_at_once, Code.DESTINATION_SILENT),
        (abort_after_message, Code.DESTINATION_SILENT),
        (abort_in_the_middle, Code.DESTINATION_SILENT),
        (close, Code.DESTINATION_SILENT),
        (release_early, Code.DESTINATION_SILENT),
        (answer_garbage, Code.DESTINATION_SILENT),
        (answer_another_message, Code.DESTINATION_SILENT),
        (accept_with_garbage, Code.DESTINATION_SILENT),
        (declare_too_much, Code.DESTINATION_SILENT),
    ],
)
def test_whatever_a_destination_does_each_instance_has_an_outcome(
    tmp_path: Path, script: Callable[[Connection], None], code: Code
) -> None:
    instances = [sendable(part10(tmp_path / f"{name}.dcm", pixel_bytes=500_000)) for name in "abcd"]
    with misbehaving(script) as found:
        became = outcomes(found.peer(), instances)
    assert [code_of(became[name]) for name in "abcd"] == [code] * 4
    assert len(found.received.associations) <= 2


def test_one_instance_that_makes_the_receiver_abort_stops_no_other(three: list[Sendable]) -> None:
    met: list[int] = []

    def abort_the_first(connection: Connection) -> None:
        connection.accept()
        for message in (1, 2):
            connection.read_message()
            met.append(message)
            if len(met) == 1:
                connection.socket.sendall(b"\x07\0\0\0\0\x04\0\0\x02\0")
                return
            command = (
                b"\0\0\0\1\2\0\0\0\x01\x80"
                + b"\0\0\x20\1\2\0\0\0"
                + bytes([message, 0])
                + b"\0\0\0\x09\2\0\0\0\0\0"
            )
            size = len(command)
            connection.socket.sendall(
                b"\x04\0" + (size + 6).to_bytes(4) + (size + 2).to_bytes(4) + b"\x01\x03" + command
            )

    with misbehaving(abort_the_first) as found:
        became = outcomes(found.peer(), three)

    assert code_of(became["a"]) is Code.DESTINATION_SILENT
    assert became["b"] == became["c"] == Sent(0x0000)


def test_a_file_that_vanishes_stops_no_other(three: list[Sendable]) -> None:
    three[1].path.unlink()
    with receiver() as found:
        became = outcomes(found.peer(), three)
    assert code_of(became["b"]) is Code.INPUT_UNREADABLE
    assert became["a"] == became["c"] == Sent(0x0000)


def test_a_file_that_shrinks_while_it_is_sent_is_never_half_stored(tmp_path: Path) -> None:
    large = sendable(part10(tmp_path / "a.dcm", pixel_bytes=8_000_000))
    good = sendable(part10(tmp_path / "b.dcm"))
    with receiver() as found, StoreScu(found.peer(), [large.context]) as scu:
        assert scu.store(good) == Sent(0x0000)
        with large.path.open("r+b") as file:
            file.truncate(large.offset_bytes)
        assert code_of(scu.store(large)) is Code.INPUT_UNREADABLE
        assert scu.store(good) == Sent(0x0000)
    assert set(found.received.uids) == {good.sop_instance_uid}


def test_no_time_left_is_no_answer(three: list[Sendable]) -> None:
    with receiver() as found, StoreScu(found.peer()) as scu:
        outcome = scu.store(three[0], until_s=time.monotonic() - 1.0)
    assert isinstance(outcome, NotSent)
    assert found.received.instances == []


def test_cutting_ends_a_wait_from_another_thread(three: list[Sendable]) -> None:
    waiting = threading.Event()

    def tell_and_wait(connection: Connection) -> None:
        connection.accept()
        connection.read_message()
        waiting.set()
        connection.socket.recv(1)

    became: list[Outcome] = []
    with misbehaving(tell_and_wait) as found:
        scu = StoreScu(found.peer())
        thread = threading.Thread(target=lambda: became.append(scu.store(three[0])))
        thread.start()
        assert waiting.wait(LIMIT_S)
        scu.cut()
        thread.join(LIMIT_S)
        assert code_of(became[0]) is Code.DESTINATION_SILENT
        assert code_of(scu.store(three[1])) is Code.DESTINATION_SILENT
        scu.close()


def test_an_abandoned_sending_leaves_no_thread(three: list[Sendable]) -> None:
    before = threading.active_count()
    with receiver() as found:
        during = threading.active_count()
        sending = store_all(found.peer(), three)
        next(sending)
        sending.close()
        assert threading.active_count() <= during + 2  # pynetdicom's own of one association
    assert threading.active_count() <= before + 2


def test_nothing_of_the_data_set_is_logged(
    three: list[Sendable], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver(0xA700) as found:
        outcomes(found.peer(), three)
    with misbehaving(abort_after_message) as found:
        became = outcomes(found.peer(), three)
    said = caplog.text + repr(became)
    assert CANARY not in said
    assert three[0].sop_instance_uid not in said


def test_a_request_that_cannot_connect_leaves_no_socket_open() -> None:
    with pytest.raises(Ended) as raised:
        Association.request(
            Peer("X", HOST, free_port(), "SENDER", LIMIT_S),
            [(CTImageStorage, ExplicitVRLittleEndian)],
        )
    assert raised.value.reason.code is Code.DESTINATION_AWAY
