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

EXAMPLES: Final = 30
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
            self.an_instance_comes(number, late=False, patient="d")
        self.quiet_series_are_closed_and_their_studies_decided_on(choice)

    # What comes in

    @rule(
        number=st.sampled_from(sorted(STUDY_OF)),
        late=st.booleans(),
        patient=st.sampled_from("d" * 19 + "x"),
    )
    def an_instance_comes(self, number: int, late: bool, patient: str) -> None:  # noqa: FBT001
        instance = len(self.instances) + 1
        self.instances[instance] = number
        new = arrive(
            self.records,
            instance,
            series=number,
            study=STUDY_OF[number],
            patient_digest=patient * 64,
            quiet_period_s=3600.0 if late else 0.0,
        )
        assert new == 1

    @precondition(lambda self: self.instances)
    @rule(choice=PICK)
    def an_instance_comes_again(self, choice: int) -> None:
        instance = pick(choice, sorted(self.instances))
        number = self.instances[instance]
        assert arrive(self.records, instance, series=number, study=STUDY_OF[number]) == 0

    @precondition(lambda self: self.instances)
    @rule(
        choice=PICK,
        code=st.sampled_from([Code.INSTANCE_CONFLICT] * 9 + [Code.PATIENT_CORRECTION]),
    )
    def another_instance_of_its_uid_comes(self, choice: int, code: Code) -> None:
        # One ahead of what is indexed: its instance may come later.
        instance = pick(choice, [*self.instances, len(self.instances) + 1])
        with self.records.begin() as session:
            intake.add_conflict(session, conflict(instance, code))

    # What the dispatcher does

    @rule()
    def the_slow_sources_fall_silent(self) -> None:
        change(self.records, "UPDATE series SET due_at = now() WHERE state = 'receiving'")

    @rule(choice=PICK)
    def quiet_series_are_closed_and_their_studies_decided_on(self, choice: int) -> None:
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

    @rule()
    def leases_are_swept(self) -> None:
        sweep(self.records)

    @rule(table=st.sampled_from(["analysis", "delivery"]))
    def leases_run_out(self, table: str) -> None:
        change(
            self.records,
            f"UPDATE {table} SET lease_until = now() - interval '1 s'"  # noqa: S608
            " WHERE lease_until IS NOT NULL",
        )

    # What workers do

    @precondition(lambda self: self.ids("analysis"))
    @rule(choice=PICK)
    def an_analysis_is_taken(self, choice: int) -> None:
        analysis_id = pick(choice, self.queued() * 3 + self.ids("analysis"))
        was = self.row("analysis", analysis_id)
        with self.records.begin() as session:
            work = leases.claim(session, analysis_id, owner="worker@a:1", lease_s=LEASE_S)
        assert (work is not None) == (was.state == AnalysisState.QUEUED)
        if work is not None:
            self.works.append(work)

    @precondition(lambda self: self.works)
    @rule(choice=PICK)
    def a_lease_is_renewed(self, choice: int) -> None:
        self.write(
            pick(choice, self.works),
            lambda s, work: leases.renew(s, work.lease, lease_s=LEASE_S, wall_limit_s=3600.0),
        )

    @precondition(lambda self: self.works)
    @rule(choice=PICK, codes=st.sampled_from([(), (Code.IMPLAUSIBLE,), (Code.AGE_UNKNOWN,)]))
    def an_analysis_is_finished(self, choice: int, codes: tuple[Code, ...]) -> None:
        self.write(
            pick(choice, self.works),
            lambda s, work: leases.finish(s, work.lease, ending(work, *codes), PLANS),
        )

    @precondition(lambda self: self.works)
    @rule(choice=PICK)
    def an_attempt_is_given_up(self, choice: int) -> None:
        self.write(
            pick(choice, self.works),
            lambda s, work: leases.give_up(s, work.lease, BUG, attempts=LIMIT),
        )

    @precondition(lambda self: self.queued())
    @rule(choice=PICK)
    def an_analysis_is_taken_and_finished(self, choice: int) -> None:
        self.an_analysis_is_taken(choice % len(self.queued()))
        self.an_analysis_is_finished(len(self.works) - 1, ())

    @precondition(lambda self: self.queued())
    @rule(choice=PICK, act=st.sampled_from(["renew", "finish", "give up"]))
    def a_worker_outsleeps_its_lease(self, choice: int, act: str) -> None:
        self.an_analysis_is_taken(choice % len(self.queued()))
        sleeper = len(self.works) - 1
        self.leases_run_out("analysis")
        self.leases_are_swept()
        while self.queued():
            self.an_analysis_is_taken(0)
        if act == "renew":
            self.a_lease_is_renewed(sleeper)
        elif act == "finish":
            self.an_analysis_is_finished(sleeper, ())
        else:
            self.an_attempt_is_given_up(sleeper)

    @precondition(lambda self: self.queued())
    @rule(choice=PICK, dies=st.booleans())
    def every_attempt_fails(self, choice: int, dies: bool) -> None:  # noqa: FBT001
        analysis_id = pick(choice, self.queued())
        while analysis_id in self.queued():
            self.an_analysis_is_taken(self.queued().index(analysis_id))
            if dies:
                self.leases_run_out("analysis")
                self.leases_are_swept()
            else:
                self.an_attempt_is_given_up(len(self.works) - 1)

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
            ),
            {Code.NOT_FOUND, Code.MOVE_REFUSED},
        )

    @precondition(lambda self: self.ids("analysis"))
    @rule(choice=PICK)
    def an_analysis_is_cancelled(self, choice: int) -> None:
        analysis_id = pick(choice, self.ids("analysis"))
        self.ask(lambda s: analyses.cancel(s, analysis_id, by="Dr. Cue"), {Code.MOVE_REFUSED})

    @precondition(lambda self: self.ids("analysis"))
    @rule(choice=PICK)
    def an_analysis_is_tried_again(self, choice: int) -> None:
        analysis_id = pick(choice, self.ids("analysis"))
        self.ask(lambda s: analyses.retry(s, analysis_id, by="Dr. Cue"), {Code.MOVE_REFUSED})

    @precondition(lambda self: self.ids("analysis"))
    @rule(choice=PICK, verdict=st.sampled_from([Verdict.ACCEPTED, Verdict.REJECTED]))
    def a_result_is_reviewed(self, choice: int, verdict: Verdict) -> None:
        analysis_id = pick(choice, self.ids("analysis"))
        self.ask(
            lambda s: reviews.add(s, analysis_id, verdict, comment="", person="Dr. Cue"),
            {Code.MOVE_REFUSED},
        )

    @precondition(lambda self: self.ids("delivery"))
    @rule(choice=PICK)
    def a_delivery_is_sent_by_a_person(self, choice: int) -> None:
        delivery_id = pick(choice, self.ids("delivery"))
        if self.ask(lambda s: deliveries.resend(s, delivery_id, by="Dr. Cue"), {Code.MOVE_REFUSED}):
            self.sent_by_person.add(delivery_id)

    # What couriers do

    @rule(destination=st.sampled_from(["pacs", "archive"]), limit=st.integers(1, 3))
    def deliveries_are_taken(self, destination: str, limit: int) -> None:
        self.dispatches += take(self.records, destination, limit)

    @precondition(lambda self: self.dispatches)
    @rule(choice=PICK)
    def a_delivery_arrives(self, choice: int) -> None:
        dispatch = pick(choice, self.dispatches)
        self.answer(
            dispatch,
            lambda s: deliveries.acknowledged(s, dispatch, 0, "Stored."),
            {DeliveryState.ACKNOWLEDGED},
        )

    @precondition(lambda self: self.dispatches)
    @rule(choice=PICK, last=st.booleans())
    def a_delivery_fails(self, choice: int, last: bool) -> None:  # noqa: FBT001
        dispatch = pick(choice, self.dispatches)
        again_in_s = None if last else 0.0
        self.answer(
            dispatch,
            lambda s: deliveries.failed(s, dispatch, AWAY, status=None, again_in_s=again_in_s),
            {DeliveryState.DEAD if last else DeliveryState.DUE, DeliveryState.HELD},
        )

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
        self.works.clear()
        self.dispatches.clear()
        self.leases_run_out("analysis")
        self.leases_are_swept()
        self.the_slow_sources_fall_silent()
        self.quiet_series_are_closed_and_their_studies_decided_on(0)
        while self.queued():
            self.an_analysis_is_taken_and_finished(0)
        self.leases_run_out("delivery")
        for destination in ("pacs", "archive"):
            for dispatch in take(self.records, destination, 1000):
                with self.records.begin() as session:
                    deliveries.acknowledged(session, dispatch, 0, "Stored.")
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

    def write(self, work: Work, act: Callable[[Any, Work], object]) -> None:
        """Do what a worker does; it is refused exactly where the lease is not the row's."""
        was = self.row("analysis", work.lease.analysis_id)
        lost = is_lost(self.records, lambda session: act(session, work))
        holds = was.state == AnalysisState.RUNNING and was.fence == work.lease.fence
        assert lost != holds

    def answer(
        self, dispatch: Dispatch, act: Callable[[Any], object], after: set[DeliveryState]
    ) -> None:
        """Do what a courier does; an older fence changes nothing, and the attempt is kept."""
        was = self.row("delivery", dispatch.delivery_id)
        with self.records.begin() as session:
            act(session)
            kept = deliveries.statuses(session, dispatch.delivery_id)
        found = self.row("delivery", dispatch.delivery_id)
        if was.state == DeliveryState.SENDING and was.fence == dispatch.fence:
            assert found.state in after
        else:
            assert found == was
        assert kept

    def ask(self, act: Callable[[Any], object], refusals: set[Code]) -> bool:
        """Do what a person does; tell whether it was not refused."""
        try:
            with self.records.begin() as session:
                act(session)
        except Refused as refusal:
            if refusal.reason.code not in refusals:
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
