"""How patient the supervisor is: with one that ends, with one that says nothing."""

import signal

import pytest

from fontanelle.errors import Code, Unavailable
from service.embedded.child import Child
from service.supervisor.keeper import Keeper, Limits, Seen, Sign

LIMITS = Limits(stalled_s=30.0, start_s=120.0)


class Program(Child):
    """A program without a process."""

    def __init__(self, pid: int) -> None:
        self.number = pid
        self.code: int | None = None
        self.lived_s = 0.0

    @property
    def pid(self) -> int:
        return self.number

    @property
    def exit_code(self) -> int | None:
        return self.code

    @property
    def age_s(self) -> float:
        return self.lived_s

    def kill(self) -> None:
        self.code = -signal.SIGKILL


class House:
    """A keeper with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.started: list[float] = []
        self.refuses = False
        self.keeper = Keeper("worker", self._launch, LIMITS, lambda: self.now_s)
        self.keeper.look()

    @property
    def program(self) -> Program:
        assert isinstance(self.keeper.child, Program)
        return self.keeper.child

    def _launch(self) -> Child:
        self.started.append(self.now_s)
        if self.refuses:
            raise Unavailable(Code.EMBEDDED_SERVER, "not now")
        return Program(len(self.started))

    def passes(self, seconds: float, sign: Sign | None = None) -> None:
        """Look ten times a second."""
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            if self.keeper.child is not None:
                self.program.lived_s += 0.1
            pid = len(self.started)
            self.keeper.look(None if sign is None else Seen(pid, sign))


def waits_s(house: House) -> list[float]:
    pairs = zip(house.started, house.started[1:], strict=False)
    return [round(later - earlier, 1) for earlier, later in pairs]


def test_one_that_ends_at_once_is_started_less_and_less_often() -> None:
    house = House()
    while len(house.started) < 10:
        if house.keeper.child is not None:
            house.program.code = 1
        house.passes(0.1)

    # 0.2 s doubling up to 10 s; each end is seen a tenth of a second later.
    assert waits_s(house) == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10], abs=0.25)


def test_one_that_lived_for_a_minute_is_started_at_once_again() -> None:
    house = House()
    for _ in range(8):
        house.program.code = 1
        house.passes(11.0)
    house.passes(60.0)

    house.program.code = 1
    house.passes(0.5)

    assert house.keeper.child is not None


def test_one_that_cannot_be_started_is_tried_again() -> None:
    house = House()
    house.program.code = 1
    house.refuses = True
    house.passes(5.0)
    house.refuses = False

    house.passes(10.0)

    assert house.keeper.child is not None


def test_silence_that_does_not_last_is_forgiven() -> None:
    house = House()
    for _ in range(3):
        house.passes(1.0, Sign.ALIVE)
        house.passes(29.0, Sign.SILENT)

    assert len(house.started) == 1


def test_silence_that_lasts_is_not() -> None:
    house = House()
    house.passes(1.0, Sign.ALIVE)

    house.passes(32.0, Sign.SILENT)

    assert len(house.started) == 2
    assert not house.keeper.is_ready


def test_one_that_has_just_been_started_is_given_more_time() -> None:
    house = House()
    house.passes(119.0, Sign.SILENT)
    assert len(house.started) == 1

    house.passes(3.0, Sign.SILENT)
    assert len(house.started) == 2


def test_nothing_is_held_against_it_while_nothing_can_be_known() -> None:
    house = House()
    house.passes(1.0, Sign.ALIVE)
    for _ in range(3):
        house.passes(20.0, Sign.SILENT)
        house.passes(500.0, Sign.UNKNOWN)

    assert len(house.started) == 1


def test_one_that_is_stuck_is_replaced_at_once() -> None:
    house = House()
    house.passes(1.0, Sign.ALIVE)

    house.passes(1.0, Sign.STUCK)

    assert len(house.started) >= 2


def test_a_sign_of_the_one_before_is_not_taken_for_its_own() -> None:
    house = House()
    house.keeper.look(Seen(999, Sign.STUCK))
    house.keeper.look(Seen(999, Sign.ALIVE))

    assert house.program.code is None
    assert not house.keeper.is_ready


def test_ends_count_only_until_it_was_well_once() -> None:
    house = House()
    for _ in range(3):
        house.program.code = 4
        house.passes(2.0)
    assert (house.keeper.ends, house.keeper.exit_code) == (3, 4)

    house.passes(1.0, Sign.ALIVE)
    house.program.code = 1
    house.passes(0.1)

    assert house.keeper.ends == 0
