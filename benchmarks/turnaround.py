"""How long a series waits beside its measuring: from the last instance in to the objects stored.

    python -m benchmarks.turnaround [--slices 224] [--rows 512] [--runs 5] [--busy-anyway]

Starts servers and the roles listener, dispatcher and worker as `fontanelle up` does, sends one
synthetic head after another by C-STORE, warms up, and prints Markdown: the way from the last
answer to the stored objects, without the quiet period of the source and without the stages that
the report itself counts (`timings_s`, which `benchmarks.analyse` prints). It refuses where the
machine is busy, unless --busy-anyway; what it then prints says so.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydicom import dcmread
from sqlalchemy import text

from benchmarks.analyse import EXTENT_MM, IDLE_LOAD
from fontanelle.records.database import Records
from fontanelle.settings import (
    SEND_AE_TITLE,
    ApiSettings,
    ListenerSettings,
    Settings,
    Source,
    secret,
)
from models.phantom.head import Recipe, make
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header, write_series
from service.delivery.outcomes import SUCCESS, Sent
from service.delivery.sendable import read_sendable
from service.delivery.store_scu import store_all
from service.delivery.wire import Peer
from service.supervisor import composition
from service.supervisor.supervisor import Supervisor

Part = TypeVar("Part")
ROLES = ("listener", "dispatcher", "worker")
QUIET_PERIOD_S = 1.0
FIELD_MM = 220.0
LOOK_S = 0.01
LIMIT_S = 600.0
STEPS = {
    "indexed": "the last answer until the row of the last instance",
    "noticed": "the end of the quiet period until the dispatcher closes the series",
    "selected": "headers of the study read, admitted, selected; the analysis queued",
    "taken": "the message sent, heard, and the lease taken",
    "stored": "beside the stages: files found, objects to the disk, report as JSON",
    "written": "the transaction of the ending, until it is seen from outside",
}
"""Each step of a turnaround, and what it holds."""


@dataclass(frozen=True, slots=True)
class Turnaround:
    """One series: seconds of each of `STEPS`, and of the pipeline's own stages."""

    steps_s: dict[str, float]
    pipeline_s: float


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=224)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--busy-anyway", action="store_true")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    if load_before > IDLE_LOAD and not arguments.busy_anyway:
        raise SystemExit(
            f"The machine is busy (load {load_before:.1f}, at most {IDLE_LOAD}): no seconds are "
            "printed. --busy-anyway prints them with a warning."
        )
    with tempfile.TemporaryDirectory() as name, _house(Path(name) / "data") as house:
        files = _written(Path(name) / "head", arguments.slices, arguments.rows)
        found = [_turnaround(house, files, number) for number in range(arguments.runs + 1)]
    _print(arguments, load_before, found[1:])


@dataclass(frozen=True, slots=True)
class House:
    """The roles that run."""

    records: Records
    peer: Peer


@contextmanager
def _house(data: Path) -> Iterator[House]:
    """Start servers and roles, and wait until all are well: the worker is warm then."""
    settings = Settings(
        data=data,
        sources=(Source(ae_title=SEND_AE_TITLE, quiet_period_s=QUIET_PERIOD_S),),
        listener=ListenerSettings(port=0),
        api=ApiSettings(port=0),
    )
    parts = composition.Parts(
        commands=lambda: _of_roles(composition.commands()),
        probes=lambda settings, stack: _of_roles(composition.probes(settings, stack)),
    )
    supervisor = Supervisor(settings, parts=parts).start()
    try:
        supervisor.wait_ready()
        settings = supervisor.settings
        listener = settings.listener
        peer = Peer(listener.ae_title, "127.0.0.1", listener.port, SEND_AE_TITLE, 30.0)
        with Records.open(secret(settings.database_url, "database_url")) as records:
            yield House(records, peer)
    finally:
        supervisor.stop()


def _of_roles(found: Mapping[str, Part]) -> dict[str, Part]:
    return {role: found[role] for role in ROLES}


def _written(folder: Path, slices: int, rows: int) -> list[Path]:
    """Write a head of so many slices: the same extent for each number of them."""
    field = Field(
        slices=slices,
        rows_columns=(rows, rows),
        step_mm=EXTENT_MM / slices,
        pixel_mm=FIELD_MM / rows,
    )
    return write_series(folder, make(Recipe()), grid(View.AXIAL, field), Header())


def _turnaround(house: House, files: Sequence[Path], number: int) -> Turnaround:
    """Send the head of another child and wait for its objects."""
    _rename(files, number)
    instances = [found for file in files if (found := read_sendable(file)) is not None]
    outcomes = [outcome for _, outcome in store_all(house.peer, instances)]
    last_at_s = time.time()
    if any(outcome != Sent(SUCCESS) for outcome in outcomes):
        raise SystemExit(f"Run {number} was not stored as a whole: nothing is printed of it.")
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        if seen := _seen(house, number, last_at_s):
            return seen
        time.sleep(LOOK_S)
    raise SystemExit(f"Run {number} had no end within {LIMIT_S:.0f} s.")


def _rename(files: Sequence[Path], number: int) -> None:
    """Make another child's study of a series on disk."""
    for index, file in enumerate(files):
        instance = dcmread(file)
        instance.PatientID = f"CHILD-{number}"
        instance.StudyInstanceUID = f"2.25.{number + 1}"
        instance.SeriesInstanceUID = f"2.25.{number + 1}.1"
        instance.SOPInstanceUID = f"2.25.{number + 1}.1.{index + 1}"
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.save_as(file, enforce_file_format=True)


_TIMES = text(
    """
    SELECT a.state, a.report -> 'timings_s' AS timings_s, s.due_at,
        (SELECT max(at) FROM event
            WHERE subject = 'series' AND subject_id = s.id AND after = 'complete') AS complete_at,
        (SELECT max(at) FROM event
            WHERE subject = 'analysis' AND subject_id = a.id AND after = 'queued') AS queued_at,
        a.started_at, a.ended_at
    FROM analysis a JOIN series s ON s.id = a.series_id JOIN study d ON d.id = s.study_id
    WHERE d.patient_id = :patient AND a.ended_at IS NOT NULL
    """
)


def _seen(house: House, number: int, last_at_s: float) -> Turnaround | None:
    with house.records.begin() as session:
        row = session.execute(_TIMES, {"patient": f"CHILD-{number}"}).one_or_none()
    seen_at_s = time.time()
    if row is None:
        return None
    if row.state != "succeeded":
        raise SystemExit(f"Run {number} ended as {row.state}: nothing is printed of it.")
    pipeline_s = sum(row.timings_s.values())
    times_s = [
        last_at_s + QUIET_PERIOD_S,
        *map(
            datetime.timestamp,
            (row.due_at, row.complete_at, row.queued_at, row.started_at, row.ended_at),
        ),
        seen_at_s,
    ]
    steps_s = {
        step: after - before
        for step, before, after in zip(STEPS, times_s, times_s[1:], strict=False)
    }
    steps_s["stored"] -= pipeline_s
    return Turnaround(steps_s, pipeline_s)


def _print(arguments: argparse.Namespace, load_before: float, found: Sequence[Turnaround]) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"Machine: {cores} cores, load {load_before:.1f}; {platform.platform()}")
    if load_before > IDLE_LOAD:
        print("The machine is busy: seconds are upper bounds.")
    print(
        f"\nSeries: {arguments.rows} x {arguments.rows} x {arguments.slices} by C-STORE over one "
        f"association, warm worker, {len(found)} runs, quiet period of {QUIET_PERIOD_S:g} s and "
        "the pipeline's own stages taken off\n"
    )
    print("| step | median s | least s | what it holds |\n|---|---|---|---|")
    for step, held in STEPS.items():
        print(f"| {step} | {_median_least([each.steps_s[step] for each in found])} | {held} |")
    sums = [sum(each.steps_s.values()) for each in found]
    print(f"| **sum** | {_median_least(sums)} | aim: under 1 |")
    pipeline = _median_least([each.pipeline_s for each in found])
    print(f"| the pipeline itself | {pipeline} | its stages: `python -m benchmarks.analyse` |")


def _median_least(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.3f} | {min(seconds):.3f}"


if __name__ == "__main__":
    main()
