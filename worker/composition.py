"""What a worker process works with, put together once, before the first task."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from celery.worker import state

from fontanelle.clock import SystemClock
from fontanelle.errors import Code, Refused
from fontanelle.imaging.attributes import keep_values_out_of_logs
from fontanelle.norms import reference
from fontanelle.norms.values import Reference
from fontanelle.records import analyses, references, tooling
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.records.files import LocalStore, Spool
from fontanelle.settings import Settings
from models.package import find, load
from worker.attempt import Workshop, tooling_of
from worker.head_size import HeadChart, head_chart_of
from worker.heartbeat import Heartbeat
from worker.inference.opening import open_engine
from worker.pipeline import Tools

_installed: list[Workshop] = []


def workshop() -> Workshop:
    """Return this process's workshop; there is one while `installed` is open."""
    return _installed[-1]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the settings choose of the references that are here."""

    reference: Reference
    head_chart: HeadChart | None


def choose(settings: Settings, records: Records) -> Chosen:
    """Find the reference and the head chart that the settings name.

    Raises
    ------
    Refused
        REFERENCE_UNKNOWN; SETTINGS_INVALID where the chart is not here or is none.
    """
    return Chosen(
        _named(records, settings.worker.reference),
        _head_chart(records, settings.comparison.head_chart),
    )


def _named(records: Records, wanted: str) -> Reference:
    if wanted in reference.shipped_ids():
        return reference.shipped(wanted)
    with records.begin() as session:
        return reference.load(references.chosen(session, wanted).document)


def _head_chart(records: Records, wanted: str | None) -> HeadChart | None:
    if wanted is None:
        return None
    try:
        found = _named(records, wanted)
    except Refused as error:
        if error.reason.code is not Code.REFERENCE_UNKNOWN:
            raise
        raise Refused(
            Code.SETTINGS_INVALID,
            f"comparison.head_chart names {wanted}, and no such reference is here: bring the table "
            "in first (fontanelle norms import).",
        ) from error
    return head_chart_of(found)


@contextmanager
def installed(
    settings: Settings, records: Records, heartbeat: Heartbeat, chosen: Chosen
) -> Iterator[Workshop]:
    """Load package and engine, prove the engine, and be ready for tasks."""
    keep_values_out_of_logs()
    package = load(find(settings.worker.package))
    store = LocalStore(settings.results)
    made = Workshop(
        records=records,
        spool=Spool(settings.spool),
        store=store,
        tools=Tools(package, chosen.reference, open_engine(package)),
        plans=plans_of(settings),
        heartbeat=heartbeat,
        settings=settings.worker,
        clock=SystemClock(),
        comparison=settings.comparison,
        head_chart=chosen.head_chart,
        is_stopped=lambda: state.should_stop is not None,
    )
    store.sweep(time.time() - settings.worker.wall_limit_s)
    _installed.append(made)
    try:
        yield made
    finally:
        _installed.remove(made)


def register(records: Records, tools: Tools) -> None:
    """Say in the records what this worker serves, its reference's document included."""
    served = tooling_of(tools)
    with records.begin() as session:
        if served.reference_id in reference.shipped_ids():
            references.load(
                session,
                served.reference_id,
                served.reference_version,
                reference.shipped_document(served.reference_id),
            )
        tooling.register(session, served)
        analyses.retool(session, served)


def plans_of(settings: Settings) -> tuple[Plan, ...]:
    """Return what each destination is sent, and whether it waits for a reader."""
    return tuple(
        Plan(each.name, each.objects, after_review=each.release == "after_review")
        for each in settings.destinations
    )
