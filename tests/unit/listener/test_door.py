"""Who may associate: by called and calling AE title, by host, by number."""

import pytest

from fontanelle.errors import Code
from fontanelle.settings import ListenerSettings, Source
from service.listener.door import Door
from service.listener.intake import Peer

SCANNER = Peer("CT1", "FONTANELLE", "10.0.0.7")
SOURCES = (
    Source(ae_title="CT1", host="10.0.0.7"),
    Source(ae_title="CT2", host="10.0.0.8"),
    Source(ae_title="HERE", host="localhost"),
    Source(ae_title="NOWHERE", host="name.invalid"),
)


def door(**settings: int) -> Door:
    return Door(ListenerSettings.model_validate(settings), SOURCES)


def test_a_known_source_from_its_host_is_let_in() -> None:
    assert door().enter(SCANNER) is None


def test_an_address_may_come_in_the_dress_of_ipv6() -> None:
    assert door().enter(Peer("CT1", "FONTANELLE", "::ffff:10.0.0.7")) is None


def test_a_host_may_be_given_by_name() -> None:
    assert door().enter(Peer("HERE", "FONTANELLE", "127.0.0.1")) is None


@pytest.mark.parametrize(
    ("peer", "code", "numbers"),
    [
        (Peer("CT1", "PACS", "10.0.0.7"), Code.ASSOCIATION_CALLED, (1, 1, 7)),
        (Peer("CT9", "PACS", "10.0.0.7"), Code.ASSOCIATION_CALLED, (1, 1, 7)),
        (Peer("CT9", "FONTANELLE", "10.0.0.7"), Code.ASSOCIATION_CALLING, (1, 1, 3)),
        (Peer("ct1", "FONTANELLE", "10.0.0.7"), Code.ASSOCIATION_CALLING, (1, 1, 3)),
        (Peer("CT1", "FONTANELLE", "10.0.0.8"), Code.ASSOCIATION_HOST, (1, 1, 3)),
        (Peer("NOWHERE", "FONTANELLE", "10.0.0.8"), Code.ASSOCIATION_HOST, (1, 1, 3)),
    ],
)
def test_others_hear_why_not(peer: Peer, code: Code, numbers: tuple[int, int, int]) -> None:
    rejection = door().enter(peer)

    assert rejection is not None
    assert rejection.code is code
    assert (rejection.result, rejection.source, rejection.diagnostic) == numbers


def test_a_host_has_its_share_of_associations_and_the_others_theirs() -> None:
    full = door(maximum_associations_per_host=2)
    assert [full.enter(SCANNER) is None for _ in range(3)] == [True, True, False]

    assert full.enter(Peer("CT2", "FONTANELLE", "10.0.0.8")) is None


def test_there_is_a_limit_for_all_and_whoever_leaves_makes_room() -> None:
    full = door(maximum_associations=1)
    full.enter(SCANNER)
    rejection = full.enter(Peer("CT2", "FONTANELLE", "10.0.0.8"))
    assert rejection is not None
    assert rejection.code is Code.ASSOCIATION_LIMIT
    assert (rejection.result, rejection.source, rejection.diagnostic) == (2, 3, 2)

    full.leave(SCANNER)

    assert full.inside == 0
    assert full.enter(Peer("CT2", "FONTANELLE", "10.0.0.8")) is None
