"""When a role that works by rows counts as stuck, and when nothing is held against it."""

import socket
from dataclasses import dataclass, field, replace

import pytest

from fontanelle.errors import Code, Unavailable
from fontanelle.records.processes import Beat, Overdue
from service.supervisor.keeper import Sign
from service.supervisor.probes import Patience, RowProbes, Rows

PATIENCE = Patience(stalled_s=30.0, wall_limit_s=900.0, delivery_s=90.0)
NOTHING = Overdue(None, None, None, None)
PID = 4711


def beat(role: str, silent_s: float = 1.0, working_s: float | None = None) -> Beat:
    name = f"{role}@{socket.gethostname()}:{PID}"
    return Beat(name, role, PID, silent_s, None if working_s is None else 1, working_s)


@dataclass
class House:
    """Probes over rows, and a clock, that are set by hand."""

    beats: tuple[Beat, ...] = ()
    overdue: Overdue = NOTHING
    is_away: bool = False
    has_broker: bool = True
    now_s: float = 1000.0
    asleep_s: float = 0.0
    probes: RowProbes = field(init=False)

    def __post_init__(self) -> None:
        self.probes = RowProbes(
            self._read,
            lambda: self.has_broker,
            PATIENCE,
            lambda: self.now_s,
            lambda: self.now_s + self.asleep_s,
        )

    def _read(self) -> Rows:
        if self.is_away:
            raise Unavailable(Code.DATABASE_AWAY, "away")
        return Rows(self.beats, self.overdue)

    def look(self, role: str) -> Sign:
        sign: Sign = getattr(self.probes, role)(PID)
        return sign

    def passes(self, seconds: float, role: str, *, waiting: str | None = None) -> set[Sign]:
        """Look every second; what waits gets older."""
        found = set()
        for _ in range(round(seconds)):
            self.now_s += 1.0
            if waiting is not None:
                age_s = getattr(self.overdue, waiting) or 0.0
                self.overdue = replace(self.overdue, **{waiting: age_s + 1.0})
            found.add(self.look(role))
        return found


ROLES = ("dispatcher", "worker", "courier")


@pytest.mark.parametrize("role", ROLES)
def test_one_that_beats_and_leaves_nothing_undone_is_alive(role: str) -> None:
    assert House((beat(role),)).passes(600, role) == {Sign.ALIVE}


@pytest.mark.parametrize("role", ROLES)
def test_one_that_has_given_no_sign_yet_is_silent(role: str) -> None:
    other = replace(beat(role), name=f"{role}@elsewhere:{PID}")

    assert House((other,)).passes(5, role) == {Sign.SILENT}


@pytest.mark.parametrize("role", ROLES)
def test_one_whose_last_sign_is_old_is_stuck(role: str) -> None:
    house = House((beat(role),))
    house.passes(40, role)

    house.beats = (beat(role, silent_s=31.0),)

    assert house.passes(1, role) == {Sign.STUCK}


@pytest.mark.parametrize("role", ROLES)
def test_while_the_database_is_away_nothing_is_known_and_then_signs_may_be_late(role: str) -> None:
    house = House((beat(role),), is_away=True)
    assert house.passes(300, role) == {Sign.UNKNOWN}

    house.is_away, house.beats = False, (beat(role, silent_s=300.0),)

    assert house.passes(29, role) == {Sign.UNKNOWN}
    assert Sign.STUCK in house.passes(3, role)


@pytest.mark.parametrize("role", ROLES)
def test_after_the_machine_was_asleep_signs_may_be_late(role: str) -> None:
    house = House((beat(role),))
    house.passes(60, role)

    house.asleep_s, house.beats = 3600.0, (beat(role, silent_s=3600.0),)

    assert house.passes(20, role) == {Sign.UNKNOWN}


WORK = [
    ("dispatcher", "series_s", 30),
    ("dispatcher", "outbox_s", 30),
    ("worker", "analysis_s", 30),
    ("courier", "delivery_s", 90),
]


@pytest.mark.parametrize(("role", "waiting", "limit_s"), WORK)
def test_one_that_beats_and_leaves_the_same_work_undone_is_stuck(
    role: str, waiting: str, limit_s: int
) -> None:
    house = House((beat(role),))

    assert house.passes(limit_s, role, waiting=waiting) == {Sign.ALIVE}
    assert Sign.STUCK in house.passes(3, role, waiting=waiting)


@pytest.mark.parametrize(("role", "waiting", "limit_s"), WORK)
def test_one_that_is_behind_and_gets_on_is_not_stuck(role: str, waiting: str, limit_s: int) -> None:
    house = House((beat(role),))
    for _ in range(10):
        # The oldest is always ten minutes late, and always another one.
        house.overdue = replace(NOTHING, **{waiting: 600.0})
        assert house.passes(limit_s - 10, role, waiting=waiting) == {Sign.ALIVE}


@pytest.mark.parametrize(("role", "waiting", "limit_s"), WORK)
def test_its_successor_is_given_time_of_its_own(role: str, waiting: str, limit_s: int) -> None:
    house = House((beat(role),))
    house.passes(limit_s + 5, role, waiting=waiting)

    name = f"{role}@{socket.gethostname()}:{PID + 1}"
    house.beats = (replace(beat(role), name=name, pid=PID + 1),)
    house.now_s += 1.0

    assert getattr(house.probes, role)(PID + 1) is Sign.ALIVE


@pytest.mark.parametrize(
    ("role", "waiting"), [("dispatcher", "outbox_s"), ("worker", "analysis_s")]
)
def test_while_the_broker_is_away_nobody_can_be_told_of_work(role: str, waiting: str) -> None:
    house = House((beat(role),), has_broker=False)

    assert house.passes(300, role, waiting=waiting) == {Sign.ALIVE}


def test_a_dispatcher_that_waits_for_the_broker_may_beat_late() -> None:
    house = House((beat("dispatcher"),))
    house.passes(60, "dispatcher")
    house.has_broker, house.beats = False, (beat("dispatcher", silent_s=100.0),)
    assert house.passes(100, "dispatcher") == {Sign.UNKNOWN}

    house.has_broker = True

    assert house.passes(20, "dispatcher") == {Sign.UNKNOWN}


def test_a_worker_is_not_asked_for_what_it_was_not_told() -> None:
    house = House((beat("worker"),), Overdue(None, 5.0, None, None))

    assert house.passes(300, "worker", waiting="analysis_s") == {Sign.ALIVE}


def test_a_worker_that_works_for_longer_than_anybody_may_is_stuck_although_it_beats() -> None:
    house = House((beat("worker", working_s=899.0),))
    assert house.look("worker") is Sign.ALIVE

    house.beats = (beat("worker", working_s=901.0),)

    assert house.passes(1, "worker") == {Sign.STUCK}
