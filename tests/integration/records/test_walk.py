"""The records are walked at random; whatever the order, what is promised of them stays true.

Every rule is something that a role or a person may do at any time, also too late and twice. What a
rule may be refused is told from the rows as they were before; everything else has to succeed.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import (
    ANALYSIS_MOVES,
    DELIVERY_MOVES,
    SERIES_MOVES,
    AnalysisState,
    DeliveryState,
    Verdict,
)
from fontanelle.records import analyses, deliveries, intake, leases, reviews, series
from fontanelle.records.database import Records
from fontanelle.records.deliveries import GRAVITY, Dispatch
from fontanelle.records.leases import Work
from fontanelle.records.series import SeriesDecision
from tests.integration.records.builders import (
    AFTER_REVIEW,
    AT_ONCE,
    AWAY,
    BETTER,
    BUG,
    LEASE_S,
    LIMIT,
    OTHER_TOOLS,
    TOOLS,
    arrive,
    change,
    close,
    conflict,
    ending,
    is_lost,
    series_uid,
    sweep,
    take,
)

EXAMPLES: Final = 40
STEPS: Final = 50
STUDY_OF: Final = {1: 1, 2: 1, 3: 2}
"""Series and their studies."""
MOVES: Final[dict[str, Any]] = {
    "series": SERIES_MOVES,
    "analysis": ANALYSIS_MOVES,
    "delivery": DELIVERY_MOVES,
}
PLANS: Final = (AT_ONCE, AFTER_REVIEW)
PICK: Final = st.integers(0, 99)
"""One of what is there, whatever there is."""
CODES: Final = st.sampled_from([(), (Code.IMPLAUSIBLE,), (Code.AGE_UNKNOWN,)])
AFTER: Final = {
    "stored": {DeliveryState.ACKNOWLEDGED},
    "later": {DeliveryState.DUE, DeliveryState.HELD},
    "never": {DeliveryState.DEAD, DeliveryState.HELD},
}
"""What a courier meets, and what becomes of the delivery."""
OUTCOME: Final = st.sampled_from(sorted(AFTER))
T = TypeVar("T")


def pick(choice: int, among: Sequence[T]) -> T:
    return among[choice % len(among)]


class Walk(RuleBasedStateMachine):
    """Everybody at once."""

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.records = records
        self.looking = records.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.instances: dict[int, int] = {}
        self.works: list[Work] = []
        self.dispatches: list[Dispatch] = []
        self.fences: dict[tuple[str, int], int] = {}
        self.sent_by_person: set[int] = set()
        change(
            records,
            "TRUNCATE study, series, instance, conflict, analysis, object, outbox, delivery,"
            " delivery_attempt, review, event RESTART IDENTITY",
        )

    @initialize(choice=PICK)
    def some_series_are_here(self, choice: int) -> None:
        for number in STUDY_OF:
            self.an_instance_comes(number, is_slow=False, patient="d")
        self.the_dispatcher_goes_round(choice)

    # What comes in

    @rule(
        number=st.sampled_from(sorted(STUDY_OF)),
        is_slow=st.booleans(),
        patient=st.sampled_from("d" * 14 + "x"),
    )
    def an_instance_comes(self, number: int, is_slow: bool, patient: str) -> None:  # noqa: FBT001
        instance = len(self.instances) + 1
        self.instances[instance] = number
        new = arrive(
            self.records,
            instance,
            series=number,
            study=STUDY_OF[number],
            patient_digest=patient * 64,
            quiet_period_s=3600.0 if is_slow else 0.0,
        )
        assert new == 1

    @rule(
        choice=PICK, code=st.sampled_from([*[Code.INSTANCE_CONFLICT] * 3, Code.PATIENT_CORRECTION])
    )
    def an_instance_comes_again(self, choice: int, code: Code) -> None:
        """Once with the same bytes, once with others."""
        known = pick(choice, sorted(self.instances))
        number = self.instances[known]
        assert arrive(self.records, known, series=number, study=STUDY_OF[number]) == 0
        # Or one ahead of what is indexed: its instance may come later.
        other = pick(choice, [*self.instances, len(self.instances) + 1])
        with self.records.begin() as session:
            intake.add_conflict(session, conflict(other, code))

    @rule()
    def slow_sources_fall_silent(self) -> None:
        change(self.records, "UPDATE series SET due_at = now() WHERE state = 'receiving'")

    # What the dispatcher does

    @rule(choice=PICK)
    def the_dispatcher_goes_round(self, choice: int) -> None:
        close(self.records)
        with self.records.begin() as session:
            for study_id in series.quiet_studies(session):
                found = series.complete_series(session, study_id)
                # One more than there are: none may be chosen.
                chosen = pick(choice, [*found, None])
                decided = [
                    SeriesDecision(each.series_id, each.revision, each is chosen, (BETTER,))
                    for each in found
                ]
                assert series.decide(session, study_id, decided)
                if chosen is not None:
                    analyses.queue(
                        session, chosen.series_id, chosen.revision, TOOLS, by="dispatcher"
                    )
        sweep(self.records)

    # What workers do

    @precondition(lambda self: self.ids("analysis"))
    @rule(choice=PICK)
    def an_analysis_is_taken(self, choice: int) -> None:
        """Whatever has become of it: a message may come twice and late."""
        self.claim(pick(choice, self.queued() * 3 + self.ids("analysis")))

    @precondition(lambda self: self.works)
    @rule(choice=PICK, act=st.sampled_from(["renew", "finish", "finish", "give up"]), codes=CODES)
    def a_worker_writes(self, choice: int, act: str, codes: tuple[Code, ...]) -> None:
        """Also one that has lost its lease long ago."""
        self.write(pick(choice, self.works), act, codes)

    @precondition(lambda self: self.queued())
    @rule(choice=PICK, codes=CODES)
    def an_analysis_is_taken_and_finished(self, choice: int, codes: tuple[Code, ...]) -> None:
        self.claim(pick(choice, self.queued()))
        self.write(self.works[-1], "finish", codes)

    @precondition(lambda self: self.queued())
    @rule(choice=PICK, act=st.sampled_from(["renew", "finish", "give up"]))
    def a_worker_outsleeps_its_lease(self, choice: int, act: str) -> None:
        self.claim(pick(choice, self.queued()))
        sleeper = self.works[-1]
        self.workers_die()
        for waiting in self.queued():
            self.claim(waiting)
        self.write(sleeper, act, ())

    @precondition(lambda self: self.queued())
    @rule(choice=PICK, dies=st.booleans())
    def every_attempt_fails(self, choice: int, dies: bool) -> None:  # noqa: FBT001
        analysis_id = pick(choice, self.queued())
        for _attempt in range(LIMIT):
            if analysis_id in self.queued():
                self.claim(analysis_id)
                if dies:
                    self.workers_die()
                else:
                    self.write(self.works[-1], "give up", ())
        assert analysis_id not in self.queued()

    @rule()
    def workers_die(self) -> None:
        self.leases_run_out("analysis")
        sweep(self.records)

    # What people do

    @rule(
        number=st.sampled_from(sorted(STUDY_OF)),
        tools=st.sampled_from([TOOLS, OTHER_TOOLS]),
        weeks=st.sampled_from([None, None, 30]),
    )
    def an_analysis_is_asked_for(self, number: int, tools: Any, weeks: int | None) -> None:
        self.ask(
            lambda s: analyses.queue_for(
                s,
                tools,
                by="Dr. Cue",
                series_instance_uid=series_uid(number),
                gestational_age_weeks=weeks,
            )
        )

    @precondition(lambda self: self.ids("analysis"))
    @rule(choice=PICK, wish=st.sampled_from(["cancel", "retry", "retry", "accept", "reject"]))
    def a_person_decides_on_an_analysis(self, choice: int, wish: str) -> None:
        analysis_id = pick(choice, self.ids("analysis"))
        wishes: dict[str, Callable[[Any], None]] = {
            "cancel": lambda s: analyses.cancel(s, analysis_id, by="Dr. Cue"),
            "retry": lambda s: analyses.retry(s, analysis_id, by="Dr. Cue"),
            "accept": lambda s: reviews.add(
                s, analysis_id, Verdict.ACCEPTED, comment="", person="Dr. Cue"
            ),
            "reject": lambda s: reviews.add(
                s, analysis_id, Verdict.REJECTED, comment="", person="Dr. Cue"
            ),
        }
        self.ask(wishes[wish])

    @precondition(lambda self: self.ids("delivery"))
    @rule(choice=PICK)
    def a_delivery_is_sent_by_a_person(self, choice: int) -> None:
        delivery_id = pick(choice, self.ids("delivery"))
        if self.ask(lambda s: deliveries.resend(s, delivery_id, by="Dr. Cue")):
            self.sent_by_person.add(delivery_id)

    # What couriers do

    @precondition(lambda self: self.ids("delivery"))
    @rule(
        destination=st.sampled_from(["pacs", "archive"]),
        outcomes=st.lists(st.none() | OUTCOME, min_size=3, max_size=3),
    )
    def deliveries_are_sent(self, destination: str, outcomes: list[str | None]) -> None:
        for dispatch in take(self.records, destination, limit=len(outcomes)):
            self.dispatches.append(dispatch)
            # None: still on its way.
            if outcome := outcomes.pop():
                self.answer(dispatch, outcome)

    @precondition(lambda self: self.dispatches)
    @rule(choice=PICK, outcome=OUTCOME)
    def a_courier_answers_late(self, choice: int, outcome: str) -> None:
        self.answer(pick(choice, self.dispatches), outcome)

    @rule()
    def couriers_die(self) -> None:
        self.leases_run_out("delivery")

    # What stays true

    @invariant()
    def a_series_has_one_current_analysis_at_most(self) -> None:
        assert not self.all(
            "SELECT series_id FROM analysis WHERE state IN ('succeeded', 'rejected', 'failed')"
            " GROUP BY series_id HAVING count(*) > 1"
        )

    @invariant()
    def a_result_has_its_objects_and_deliveries_once_and_nothing_else_has_any(self) -> None:
        found = self.all(
            "SELECT state, (SELECT count(*) FROM object o WHERE o.analysis_id = a.id) AS objects,"
            " (SELECT count(DISTINCT (object_id, destination)) FROM delivery d"
            "   WHERE d.analysis_id = a.id) AS different,"
            " (SELECT count(*) FROM delivery d WHERE d.analysis_id = a.id) AS deliveries"
            " FROM analysis a"
        )
        for row in found:
            allowed = {
                AnalysisState.SUCCEEDED: {(3, 3, 3)},
                # It may have failed before.
                AnalysisState.SUPERSEDED: {(3, 3, 3), (0, 0, 0)},
            }
            expected = allowed.get(AnalysisState(row.state), {(0, 0, 0)})
            assert (row.objects, row.different, row.deliveries) in expected, row.state

    @invariant()
    def every_change_of_a_state_has_its_event_and_the_chain_is_whole(self) -> None:
        last: dict[tuple[str, int], str] = {}
        for event in self.all("SELECT subject, subject_id, before, after FROM event ORDER BY id"):
            of = (event.subject, event.subject_id)
            assert event.before == last.get(of), (of, event)
            assert event.before is None or event.after in MOVES[event.subject][event.before]
            last[of] = event.after
        now = {
            (subject, row.id): row.state
            for subject in MOVES
            for row in self.all(f"SELECT id, state FROM {subject}")  # noqa: S608
        }
        assert now == last

    @invariant()
    def fences_never_fall_and_attempts_never_pass_the_limit(self) -> None:
        for table in ("analysis", "delivery"):
            for row in self.all(f"SELECT id, fence, attempts FROM {table}"):  # noqa: S608
                assert row.fence >= self.fences.get((table, row.id), 0)
                self.fences[table, row.id] = row.fence
                assert table == "delivery" or row.attempts <= LIMIT

    @invariant()
    def what_is_held_says_why_and_what_is_due_is_held_by_nothing(self) -> None:
        codes = [str(code) for code in GRAVITY]
        for row in self.all("SELECT state, code FROM delivery WHERE state IN ('held', 'due')"):
            assert (row.code in codes) == (row.state == DeliveryState.HELD)

    @invariant()
    def nothing_in_doubt_or_replaced_goes_out_unless_a_person_said_so(self) -> None:
        doubtful = self.all(
            "SELECT d.id FROM delivery d JOIN analysis a ON a.id = d.analysis_id"
            " JOIN series s ON s.id = a.series_id"
            " WHERE d.state = 'due' AND (a.state <> 'succeeded'"
            "  OR EXISTS (SELECT 1 FROM conflict c JOIN series o ON o.id = c.series_id"
            "   WHERE o.study_id = s.study_id AND c.code = 'intake.patient_correction')"
            "  OR (SELECT count(DISTINCT i.patient_digest) FROM instance i"
            "   JOIN series o ON o.id = i.series_id WHERE o.study_id = s.study_id) > 1)"
        )
        assert {row.id for row in doubtful} <= self.sent_by_person

    @invariant()
    def what_waits_is_announced_and_what_runs_has_a_lease(self) -> None:
        assert not self.all(
            "SELECT a.id FROM analysis a LEFT JOIN outbox o ON o.analysis_id = a.id"
            " WHERE (a.state = 'queued' AND o.analysis_id IS NULL)"
            " OR (a.state = 'running') <> (a.owner IS NOT NULL)"
            " OR (a.state = 'running' AND a.lease_until IS NULL)"
        )

    def teardown(self) -> None:
        """From wherever the walk has led, everything comes to its end."""
        self.slow_sources_fall_silent()
        self.workers_die()
        self.the_dispatcher_goes_round(0)
        while self.queued():
            self.an_analysis_is_taken_and_finished(0, ())
        self.couriers_die()
        for destination in ("pacs", "archive"):
            for dispatch in take(self.records, destination, 1000):
                self.answer(dispatch, "stored")
        assert self.counted("series") <= {"selected", "not_selected"}
        assert self.counted("analysis") & {"queued", "running"} == set()
        assert self.counted("delivery") <= {"held", "dead", "acknowledged"}
        self.looking.close()

    # How it is looked at

    def all(self, statement: str) -> Sequence[Any]:
        return self.looking.execute(text(statement)).all()

    def ids(self, table: str) -> list[int]:
        return [row.id for row in self.all(f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608

    def queued(self) -> list[int]:
        found = self.all("SELECT id FROM analysis WHERE state = 'queued' ORDER BY id")
        return [row.id for row in found]

    def row(self, table: str, row_id: int) -> Any:
        return self.all(f"SELECT * FROM {table} WHERE id = {row_id}")[0]  # noqa: S608

    def counted(self, table: str) -> set[str]:
        return {row.state for row in self.all(f"SELECT state FROM {table}")}  # noqa: S608

    def leases_run_out(self, table: str) -> None:
        change(
            self.records,
            f"UPDATE {table} SET lease_until = now() - interval '1 s'"  # noqa: S608
            " WHERE lease_until IS NOT NULL",
        )

    def claim(self, analysis_id: int) -> None:
        """Take an analysis; it is given exactly where it waits."""
        was = self.row("analysis", analysis_id)
        with self.records.begin() as session:
            work = leases.claim(session, analysis_id, owner="worker@a:1", lease_s=LEASE_S)
        assert (work is not None) == (was.state == AnalysisState.QUEUED)
        if work is not None:
            self.works.append(work)

    def write(self, work: Work, act: str, codes: tuple[Code, ...]) -> None:
        """Do what a worker does; it is refused exactly where the lease is not the row's."""
        acts: dict[str, Callable[[Any], object]] = {
            "renew": lambda s: leases.renew(s, work.lease, lease_s=LEASE_S, wall_limit_s=3600.0),
            "finish": lambda s: leases.finish(s, work.lease, ending(work, *codes), PLANS),
            "give up": lambda s: leases.give_up(s, work.lease, BUG, attempts=LIMIT),
        }
        was = self.row("analysis", work.lease.analysis_id)
        lost = is_lost(self.records, acts[act])
        holds = was.state == AnalysisState.RUNNING and was.fence == work.lease.fence
        assert lost != holds

    def answer(self, dispatch: Dispatch, outcome: str) -> None:
        """Do what a courier does; an older fence changes nothing, and the attempt is kept."""
        was = self.row("delivery", dispatch.delivery_id)
        with self.records.begin() as session:
            before = deliveries.statuses(session, dispatch.delivery_id)
            if outcome == "stored":
                deliveries.acknowledged(session, dispatch, 0, "Stored.")
            else:
                again_in_s = None if outcome == "never" else 0.0
                deliveries.failed(session, dispatch, AWAY, status=None, again_in_s=again_in_s)
            kept = deliveries.statuses(session, dispatch.delivery_id)
        found = self.row("delivery", dispatch.delivery_id)
        if was.state == DeliveryState.SENDING and was.fence == dispatch.fence:
            assert found.state in AFTER[outcome]
        else:
            assert found == was
        assert len(kept) == len(before) + 1

    def ask(self, act: Callable[[Any], object]) -> bool:
        """Do what a person does; tell whether it was not refused."""
        try:
            with self.records.begin() as session:
                act(session)
        except Refused as refusal:
            if refusal.reason.code not in {Code.MOVE_REFUSED, Code.NOT_FOUND}:
                raise
            return False
        return True


def test_whatever_happens_in_whatever_order_the_promises_hold(records: Records) -> None:
    run_state_machine_as_test(
        lambda: Walk(records),  # type: ignore[arg-type]
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
