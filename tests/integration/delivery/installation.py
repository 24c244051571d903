"""Results of an installation that wait for delivery: real rows, real files."""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from fontanelle.records import deliveries, leases
from fontanelle.records.database import Records
from fontanelle.records.deliveries import DeliverySeen, Plan
from fontanelle.records.files import LocalStore
from fontanelle.records.leases import NewObject
from fontanelle.settings import CourierSettings, Destination, Settings, SupervisorSettings
from tests.integration.delivery.files import part10
from tests.integration.delivery.receivers import AE_TITLE, HOST
from tests.integration.records.builders import change, ending, running

TAKEN = (
    (SegmentationStorage, ["1.2.840.10008.1.2.1"]),
    (Comprehensive3DSRStorage, ["1.2.840.10008.1.2.1"]),
)
"""Contexts of a receiver that takes both kinds of object."""


def destination(port: int, name: str = "pacs", ae_title: str = AE_TITLE) -> Destination:
    return Destination(name=name, ae_title=ae_title, host=HOST, port=port, release="at_once")


@dataclass(frozen=True)
class Installation:
    """An installation whose worker has been busy."""

    records: Records
    url: str
    folder: Path

    def settings(self, *destinations: Destination, **courier: float) -> Settings:
        """Return settings; the courier is in a hurry unless told."""
        return Settings(
            data=self.folder,
            database_url=SecretStr(self.url),
            broker_url=SecretStr("redis://127.0.0.1:1"),
            destinations=destinations,
            courier=CourierSettings.model_validate(
                {"poll_s": 0.02, "back_off_first_s": 0.1, "attempts": 3} | courier
            ),
            supervisor=SupervisorSettings(stop_s=4.0),
        )

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.folder / "results")

    def result(self, number: int = 1, *plans: Plan) -> int:
        """Have a worker finish an analysis with SEG and SR; return the analysis' id."""
        work = running(self.records, series=number, study=number, first=10 * number)
        objects = (
            self._object("segmentation", SegmentationStorage, number),
            self._object("structured_report", Comprehensive3DSRStorage, number),
        )
        with self.records.begin() as session:
            leases.finish(
                session,
                work.lease,
                replace(ending(work), objects=objects),
                plans or (Plan("pacs", ("segmentation", "structured_report"), after_review=False),),
            )
        return work.lease.analysis_id

    def _object(self, kind: str, sop_class: str, number: int) -> NewObject:
        uid = f"2.25.{len(kind)}.{number}"
        path = part10(self.folder / f"{kind}-{number}.dcm", sop_class=sop_class, uid=uid)
        stored = self.store.put(path.read_bytes())
        return NewObject(kind, f"{kind}.dcm", uid, stored.key, stored.sha256, stored.size_bytes)

    def file(self, kind: str, number: int = 1) -> Path:
        """Return an object as it was rendered."""
        return self.folder / f"{kind}-{number}.dcm"

    def deliveries(self) -> list[DeliverySeen]:
        """Return all deliveries, the oldest first."""
        with self.records.begin() as session:
            return deliveries.page(session, limit=1000)[::-1]

    def states(self) -> list[str]:
        return [each.state for each in self.deliveries()]

    def statuses(self, delivery_id: int) -> list[int | None]:
        """Return the status of each attempt at a delivery."""
        with self.records.begin() as session:
            return [status for _, status, _ in deliveries.statuses(session, delivery_id)]

    def all_due_now(self) -> None:
        """Let the time of every back-off pass."""
        change(self.records, "UPDATE delivery SET due_at = now() WHERE state = 'due'")

    def all_leases_over(self) -> None:
        """Let the time of every lease pass."""
        change(self.records, "UPDATE delivery SET lease_until = now() - interval '1 s'")
