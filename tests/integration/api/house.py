"""A house with real rows and real results, and ways to call it over HTTP as anybody."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydicom import Dataset
from starlette.testclient import TestClient

from fontanelle.errors import Code, Reason
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.selection import Decision
from fontanelle.lifecycle import AnalysisState
from fontanelle.norms.reference import shipped, shipped_document
from fontanelle.records import keys, leases, references, tooling
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.records.files import LocalStore
from fontanelle.records.keys import Holder, Role
from fontanelle.records.leases import Ending, NewObject
from fontanelle.reports.analysis_object import RenderedObject, to_json
from fontanelle.reports.overlay import render_overlay
from fontanelle.reports.result import Fitness, Result, State
from fontanelle.reports.segmentation import render_segmentation
from fontanelle.reports.structured_report import render_structured_report
from fontanelle.reports.withholding import redacted
from fontanelle.settings import ApiSettings, Settings
from service.api.app import create_app
from tests.integration.records import builders as rows
from tests.unit.reports.builders import THICK, case, comparison, withheld

CANARY: Final = "ZZCANARY^QUETZALCOATL"
"""A patient like no other: wherever this is found, it leaked."""
OUTSIDE: Final = Reason(
    Code.OUTSIDE_INTENDED_USE, "The package is meant for 548 to 913 days of age; the child has 300."
)
REJECTED: Final = Reason(Code.LOCALIZER, "The series is a localizer.")
DESTINATIONS: Final = (rows.AT_ONCE, rows.AFTER_REVIEW)


@dataclass(frozen=True, slots=True)
class House:
    """An application with what it works on."""

    app: FastAPI
    records: Records
    store: LocalStore
    folder: Path

    def client(self, secret: str | None = None, **more: Any) -> TestClient:
        """Return a client, with a key or without."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return TestClient(
            self.app, base_url="http://localhost:8765", headers=headers, follow_redirects=False
        )

    def key(self, role: Role, holder: Holder = Holder.PERSON, name: str = "Dr Ada") -> str:
        """Make a key and return its secret."""
        with self.records.begin() as session:
            return keys.create(session, name, holder, role)

    def as_(self, role: Role, holder: Holder = Holder.PERSON, name: str = "Dr Ada") -> TestClient:
        """Return a client with a fresh key."""
        return self.client(self.key(role, holder, name))

    def serve(self) -> None:
        """Have a worker say what it serves, and load the reference."""
        with self.records.begin() as session:
            tooling.register(session, rows.TOOLS)
            document = shipped_document("xi2025")
            references.load(session, "xi2025", shipped("xi2025").version, document)

    def result(
        self,
        result: Result | None = None,
        *,
        series: int = 1,
        plans: Sequence[Plan] = DESTINATIONS,
        decisions: Sequence[Decision] = (),
    ) -> int:
        """Have a series measured; return the analysis. Files are those of the product."""
        work = rows.running(self.records, series, series, 10 * series)
        return self.finish(work, result, plans=plans, decisions=decisions)

    def finish(
        self,
        work: leases.Work,
        result: Result | None = None,
        *,
        plans: Sequence[Plan] = DESTINATIONS,
        decisions: Sequence[Decision] = (),
    ) -> int:
        analysis_id = work.lease.analysis_id
        found = replace(
            result or limited(), digest=hashlib.sha256(str(analysis_id).encode()).hexdigest()
        )
        files = _files(found, analysis_id, decisions)
        objects = []
        for name, (kind, uid, content) in files.items():
            stored = self.store.put(content)
            objects.append(NewObject(kind, name, uid, stored.key, stored.sha256, stored.size_bytes))
        ending = Ending(
            AnalysisState(found.state),
            found.fitness,
            redacted(found).reasons,
            files["report.json"][2].decode(),
            tuple(objects),
        )
        with self.records.begin() as session:
            leases.finish(session, work.lease, ending, plans)
        return analysis_id

    def fail(self, *, series: int = 1) -> int:
        """Have an analysis fail at its last attempt."""
        work = rows.running(self.records, series, series, 10 * series)
        with self.records.begin() as session:
            leases.give_up(session, work.lease, rows.BUG, attempts=1)
        return work.lease.analysis_id


@cache
def limited(**changes: Any) -> Result:
    """Return a result of a site that is not calibrated."""
    return case(fitness=Fitness.LIMITED, **changes).result


def outside() -> Result:
    """Return a result for a child whom the package is not meant for."""
    patient = Patient("P-0815", "KLINIKUM", "M", "2023-01-10", 300, "birth_date")
    return replace(
        limited(),
        patient=patient,
        reasons=(OUTSIDE, *limited().reasons),
        comparison=comparison(compared=False),
    )


def rejected() -> Result:
    """Return what became of a series that cannot be measured."""
    return replace(
        limited(),
        state=State.REJECTED,
        fitness=None,
        scan=None,
        engine=None,
        volumes=None,
        comparison=None,
        quality=(),
        reasons=(REJECTED,),
        remarks=(THICK,),
    )


def make(records: Records, folder: Path, **api: Any) -> House:
    """Return a house."""
    settings = Settings(data=folder, api=ApiSettings(**api))
    store = LocalStore(settings.results)
    return House(create_app(settings, records, store), records, store, folder)


def _files(
    result: Result, number: int, decisions: Sequence[Decision]
) -> dict[str, tuple[str, str | None, bytes]]:
    files: dict[str, tuple[str, str | None, bytes]] = {}
    if result.volumes is not None and result.fitness is not Fitness.WITHHELD:
        segmentation, report, picture = _rendered()
        # One rendering serves all analyses of a test run; each has UIDs of its own.
        files["segmentation.dcm"] = ("segmentation", f"2.25.1{number}", segmentation)
        files["report.dcm"] = ("structured_report", f"2.25.2{number}", report)
        files["labels.nii.gz"] = ("labels", None, f"\x1f\x8b labels {number}".encode())
        files["overlay.png"] = ("overlay", None, picture)
    named = [RenderedObject(kind, uid, name) for name, (kind, uid, _) in files.items()]
    files["report.json"] = ("report", None, to_json(result, named, decisions).encode())
    return files


@cache
def _rendered() -> tuple[bytes, bytes, bytes]:
    of = case()
    segmentation = render_segmentation(of.result, of.labels, of.sources)
    report = render_structured_report(of.result, segmentation, of.sources)
    picture = render_overlay(of.image, of.labels, of.result.region_set)
    return _bytes(segmentation), _bytes(report), picture


def overlay() -> bytes:
    """Return the picture of three planes."""
    return _rendered()[2]


def _bytes(dataset: Dataset) -> bytes:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


def report_of(result: Result) -> dict[str, Any]:
    """Return the analysis object of a result, as `report.json` holds it."""
    found: dict[str, Any] = json.loads(to_json(result))
    return found


__all__ = ["House", "limited", "make", "outside", "overlay", "rejected", "withheld"]
