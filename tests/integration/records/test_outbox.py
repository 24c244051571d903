"""Announcements: sent, and sent again until somebody takes the work."""

from fontanelle.records import analyses, outbox
from fontanelle.records.database import Records
from tests.integration.records.builders import change, claim, give_up, queued


def to_send(records: Records, *, again_s: float = 3600.0, again_limit: int = 4) -> list[int]:
    with records.begin() as session:
        return outbox.to_send(session, again_s=again_s, again_limit=again_limit)


def mark_sent(records: Records, *analysis_ids: int) -> None:
    with records.begin() as session:
        outbox.mark_sent(session, analysis_ids)


def test_what_is_new_is_sent_once(records: Records) -> None:
    first, second = queued(records, 1, 1, 10), queued(records, 2, 2, 20)

    assert to_send(records) == [first, second]
    mark_sent(records, first)
    assert to_send(records) == [second]
    mark_sent(records, second)
    assert to_send(records) == []


def test_what_nobody_took_is_sent_again_the_oldest_first(records: Records) -> None:
    waiting = [queued(records, number, number, 10 * number) for number in (1, 2, 3)]
    mark_sent(records, *waiting)
    change(records, "UPDATE outbox SET sent_at = now() - interval '20 s'")

    assert to_send(records, again_s=15.0, again_limit=2) == waiting[:2]
    mark_sent(records, *waiting[:2])
    assert to_send(records, again_s=15.0, again_limit=2) == [], "a long queue is no flood"


def test_what_was_taken_or_cancelled_is_not_announced(records: Records) -> None:
    taken, cancelled = queued(records, 1, 1, 10), queued(records, 2, 2, 20)
    claim(records, taken)
    with records.begin() as session:
        analyses.cancel(session, cancelled, by="Dr. Cue")

    assert to_send(records, again_s=0.0) == []
    mark_sent(records, taken, cancelled)
    change(records, "UPDATE outbox SET sent_at = now() - interval '20 s'")
    assert to_send(records, again_s=15.0) == []


def test_what_a_worker_gave_up_is_announced_at_once(records: Records) -> None:
    analysis_id = queued(records)
    mark_sent(records, analysis_id)

    give_up(records, claim(records, analysis_id))

    assert to_send(records) == [analysis_id]
