"""The benchmark prints seconds of an idle machine and of runs that measured, or none."""

import os

import pytest

from benchmarks import analyse
from fontanelle.errors import Code, Reason
from fontanelle.reports.result import Fitness
from tests.unit.reports.builders import case
from worker.pipeline import Outcome


def never(*_: object) -> None:
    pytest.fail("the work was begun")


def test_a_busy_machine_gets_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["analyse"])
    monkeypatch.setattr(os, "getloadavg", lambda: (1.7, 0.0, 0.0))
    monkeypatch.setattr(analyse, "load", never)

    with pytest.raises(SystemExit, match=r"load 1\.7.*--busy-anyway"):
        analyse.main()

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("load", "options"), [(0.1, []), (1.7, ["--busy-anyway"])], ids=["idle", "busy anyway"]
)
def test_an_idle_machine_and_one_that_is_taken_as_it_is_are_measured(
    monkeypatch: pytest.MonkeyPatch, load: float, options: list[str]
) -> None:
    class Begun(Exception):
        pass

    def begin(*_: object) -> None:
        raise Begun

    monkeypatch.setattr("sys.argv", ["analyse", *options])
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(analyse, "load", begin)

    with pytest.raises(Begun):
        analyse.main()


def test_a_run_without_volumes_ends_the_benchmark_with_its_codes() -> None:
    why = Reason(Code.QUALITY_TOTAL, "The total volume is implausible.")
    changes = {"volumes": None, "comparison": None, "fitness": Fitness.WITHHELD, "reasons": (why,)}
    withheld = Outcome(case("axial", **changes).result, {}, ())

    with pytest.raises(SystemExit, match=r"quality\.total"):
        analyse._refuse_without_volumes(withheld)

    analyse._refuse_without_volumes(Outcome(case("axial").result, {}, ()))


@pytest.mark.parametrize("slices", [56, 224])
def test_more_or_fewer_slices_cover_the_same_extent(slices: int) -> None:
    planes = analyse._grid(slices)

    first, last = (planes.plane_affine(k)[2, 3] for k in (0, slices - 1))
    assert abs(last - first) * slices / (slices - 1) == pytest.approx(140.0)
