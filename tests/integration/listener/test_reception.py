"""Fragments in any cut and any order: an answer, a breach of the protocol, and nothing else."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fontanelle.clock import SystemClock
from fontanelle.records.files import Spool
from service.listener.commands import Malformed
from service.listener.dimse import answer
from service.listener.intake import Intake, Kept, Peer
from service.listener.reception import Context, Line, Reception
from tests.integration.listener.peer import files_in, p_data, store_command
from tests.unit.listener.builders import CT, EXPLICIT, encoded, instance

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
PEER = Peer("SCANNER", "FONTANELLE", "127.0.0.1")
CONTEXTS = {
    1: Context(CT, EXPLICIT, stores=True, needs_pixels=True),
    3: Context("1.2.840.10008.1.1", EXPLICIT, stores=False, needs_pixels=False),
}


class Bench:
    """A reception on a real spool, and what came out of it."""

    def __init__(self, spool: Spool) -> None:
        self.sent: list[bytes] = []
        self.kept: list[Kept] = []
        intake = Intake(
            spool,
            minimum_free_bytes=0,
            on_kept=self.kept.append,
            on_refused=lambda _: None,
            clock=SystemClock(),
        )
        line = Line(PEER, CONTEXTS, 0, self.sent.append, lambda *_: None)
        self.reception = Reception(line, intake, lambda outcome: answer(outcome, 0xC110))

    def take(self, pdu: bytes) -> None:
        self.reception.take(memoryview(pdu)[6:])

    def statuses(self) -> list[int]:
        marker = struct.pack("<HHI", 0, 0x0900, 2)
        return [struct.unpack_from("<H", pdu, pdu.index(marker) + 8)[0] for pdu in self.sent]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path).writing() as opened:
        yield opened


@FIXTURES
@given(st.lists(st.integers(0, len(encoded(instance()))), max_size=6), st.integers(1, 10**9))
def test_wherever_a_data_set_is_cut_into_fragments_it_is_kept_whole(
    spool: Spool, cuts: list[int], number: int
) -> None:
    uid = f"2.25.{number}"
    content = encoded(instance(uid))
    bench = Bench(spool)
    bench.take(store_command(uid))
    ends = [*sorted(min(cut, len(content)) for cut in cuts), len(content)]
    for start, end in zip([0, *ends], ends, strict=False):
        bench.take(p_data(content[start:end], 0))
    bench.take(p_data(b"", 2))

    assert bench.statuses() == [0]
    assert not bench.reception.is_amid_message
    for kept in bench.kept:
        assert spool.path(kept.key).read_bytes().endswith(content)


FRAGMENTS = st.one_of(
    st.just(store_command()),
    st.just(p_data(encoded(instance()), 2)),
    st.builds(
        p_data, st.binary(max_size=80), st.integers(0, 7), context=st.sampled_from((1, 3, 5))
    ),
    st.binary(min_size=6, max_size=60),
)


@FIXTURES
@given(st.lists(FRAGMENTS, max_size=8))
def test_whatever_comes_is_answered_or_a_breach_and_leaves_nothing_half_written(
    spool: Spool, tmp_path: Path, pdus: list[bytes]
) -> None:
    bench = Bench(spool)
    with suppress(Malformed):
        for pdu in pdus:
            bench.take(pdu)
    bench.reception.close()

    assert not bench.reception.is_amid_message
    assert len(files_in(tmp_path)) == len(list(spool.keys())) <= 1
    assert set(bench.statuses()) <= {0, 0xA900, 0xC000}
