"""What a worker process works with, put together once, before the first task."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery.worker import state

from fontanelle.clock import SystemClock
from fontanelle.imaging.attributes import keep_values_out_of_logs
from fontanelle.norms import reference
from fontanelle.records import analyses, references, tooling
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.records.files import LocalStore, Spool
from fontanelle.records.tooling import Tooling
from fontanelle.settings import Settings
from models.package import find, load
from worker.attempt import Workshop
from worker.heartbeat import Heartbeat
from worker.inference.opening import open_engine
from worker.pipeline import Tools

_installed: list[Workshop] = []


def workshop() -> Workshop:
    """Return this process's workshop; there is one while `installed` is open."""
    return _installed[-1]


@contextmanager
def installed(settings: Settings, records: Records, heartbeat: Heartbeat) -> Iterator[Workshop]:
    """Load package, reference and engine, prove the engine, and be ready for tasks."""
    keep_values_out_of_logs()
    package = load(find(settings.worker.package))
    store = LocalStore(settings.results)
    made = Workshop(
        records=records,
        spool=Spool(settings.spool),
        store=store,
        tools=Tools(
            package,
            reference.shipped(settings.worker.reference),
            open_engine(package),
            second_pass=settings.worker.second_pass,
        ),
        plans=plans_of(settings),
        heartbeat=heartbeat,
        settings=settings.worker,
        clock=SystemClock(),
        comparison=settings.comparison,
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
    served = Tooling(
        tools.package.name,
        tools.package.sha256,
        tools.reference.id,
        tools.reference.version,
    )
    with records.begin() as session:
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
