"""`fontanelle status`: what is waiting, running, failed, undelivered, refused."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fontanelle.records.analyses import AnalysisSeen
    from fontanelle.records.database import Transaction
    from fontanelle.records.deliveries import DeliverySeen
    from fontanelle.records.intake import RefusalCount
    from fontanelle.records.processes import Beat, Overview

LIMIT = 20
"""Of each list; the counts are of all."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a person wants to know first."""

    overview: "Overview"
    under_way: "list[AnalysisSeen]"
    failed: "list[AnalysisSeen]"
    undelivered: "list[DeliverySeen]"
    refused: "list[RefusalCount]"
    beats: "list[Beat]"


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, as_json: bool) -> None:
    """Show what is waiting, running, failed and undelivered, and who was refused.

    Names no patient: analyses and deliveries go by their numbers.
    """
    from fontanelle.records.database import Records
    from fontanelle.settings import load, secret
    from service.supervisor.addresses import with_database

    with with_database(load(os.environ)) as settings:
        url = secret(settings.database_url, "database_url")
        with Records.open(url, connections=1) as records, records.begin() as session:
            found = status_of(session)
    if as_json:
        click.echo(json.dumps(as_object(found), indent=1))
    else:
        click.echo("\n".join(as_lines(found)))


def status_of(session: "Transaction") -> Status:
    """Read how things stand."""
    from fontanelle.lifecycle import AnalysisState
    from fontanelle.records import analyses, deliveries, intake, processes

    open_states = (AnalysisState.QUEUED, AnalysisState.RUNNING)
    return Status(
        overview=processes.overview(session),
        under_way=analyses.page(session, states=open_states, limit=LIMIT),
        failed=analyses.page(session, states=[AnalysisState.FAILED], limit=LIMIT),
        undelivered=deliveries.undelivered(session, LIMIT),
        refused=intake.refusals(session, LIMIT),
        beats=processes.beats(session),
    )


def as_lines(status: Status) -> list[str]:
    """Return it for a person, one thing a line."""
    overview = status.overview
    return [
        f"series      {_counts(overview.series)}",
        f"analyses    {_counts(overview.analyses)}",
        f"deliveries  {_counts(overview.deliveries)}",
        f"conflicts   {overview.conflicts or 'none'}",
        *_listed("under way", (_analysis(each) for each in status.under_way)),
        *_listed("failed", (_analysis(each) for each in status.failed)),
        *_listed("undelivered", (_delivery(each) for each in status.undelivered)),
        *_listed("refused", (_refusal(each) for each in status.refused)),
        *_listed("processes", (_beat(each) for each in status.beats), "none gave a sign lately"),
    ]


def as_object(status: Status) -> dict[str, Any]:
    """Return it for a program."""
    return {
        "series": status.overview.series,
        "analyses": status.overview.analyses,
        "deliveries": status.overview.deliveries,
        "conflicts": status.overview.conflicts,
        "under_way": [_analysis_object(each) for each in status.under_way],
        "failed": [_analysis_object(each) for each in status.failed],
        "undelivered": [_delivery_object(each) for each in status.undelivered],
        "refused": [_refusal_object(each) for each in status.refused],
        "processes": [
            {"role": beat.role, "pid": beat.pid, "silent_s": round(beat.silent_s, 1)}
            | {"analysis": beat.analysis_id, "working_s": beat.working_s}
            for beat in status.beats
        ],
    }


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"


def _listed(title: str, lines: Iterator[str], nothing: str | None = None) -> list[str]:
    found = list(lines)
    if not found:
        return [] if nothing is None else ["", f"{title}: {nothing}"]
    return ["", title, *(f"  {line}" for line in found)]


def _analysis(seen: "AnalysisSeen") -> str:
    why = "" if seen.reason is None else f"  {seen.reason.code}: {seen.reason.sentence}"
    return f"analysis {seen.analysis_id}  {seen.state}, attempt {seen.attempts}{why}"


def _delivery(seen: "DeliverySeen") -> str:
    status = "" if seen.status is None else f", last status 0x{seen.status:04X}"
    why = "" if seen.reason is None else f"  {seen.reason.code}: {seen.reason.sentence}"
    return (
        f"delivery {seen.delivery_id}  {seen.kind} of analysis {seen.analysis_id} to "
        f"{seen.destination}  {seen.state}, attempts {seen.attempts}{status}{why}"
    )


def _refusal(counted: "RefusalCount") -> str:
    refusal = counted.refusal
    return (
        f"{refusal.calling_ae_title} at {refusal.host}, called {refusal.called_ae_title}  "
        f"{refusal.count} times  {refusal.code}: {refusal.sentence}"
    )


def _beat(beat: "Beat") -> str:
    works = "" if beat.analysis_id is None else f", works on analysis {beat.analysis_id}"
    return f"{beat.role}  process {beat.pid}, last sign {beat.silent_s:.0f} s ago{works}"


def _analysis_object(seen: "AnalysisSeen") -> dict[str, Any]:
    return {"id": seen.analysis_id, "state": seen.state, "attempts": seen.attempts} | _why(seen)


def _delivery_object(seen: "DeliverySeen") -> dict[str, Any]:
    return {
        "id": seen.delivery_id,
        "analysis": seen.analysis_id,
        "object": seen.kind,
        "destination": seen.destination,
        "state": seen.state,
        "attempts": seen.attempts,
        "status": seen.status,
    } | _why(seen)


def _refusal_object(counted: "RefusalCount") -> dict[str, Any]:
    refusal = counted.refusal
    return {
        "calling_ae_title": refusal.calling_ae_title,
        "called_ae_title": refusal.called_ae_title,
        "host": refusal.host,
        "code": refusal.code,
        "sentence": refusal.sentence,
        "count": refusal.count,
        "last_at": counted.last_at.isoformat(),
    }


def _why(seen: "AnalysisSeen | DeliverySeen") -> dict[str, Any]:
    reason = seen.reason
    return {"reason": reason and {"code": reason.code, "sentence": reason.sentence}}
