"""The index of the spool: a thread that writes rows for what was kept, after the sender's answer.

The database may be away: what came in waits here, or, where it became too much to remember, on
the spool itself, which is compared with the index at start and whenever something was forgotten.
"""

import hashlib
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final, Self

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from fontanelle import log
from fontanelle.errors import Code, FontanelleError, Unavailable
from fontanelle.imaging.attributes import element, first_text, name
from fontanelle.records import intake as index
from fontanelle.records import processes
from fontanelle.records.database import Records
from fontanelle.records.files import Spool
from fontanelle.records.intake import Conflict, Received
from service.listener.conflicts import Difference, compare
from service.listener.header import Header, read_header
from service.listener.intake import Kept, Peer, Refusal
from service.listener.part10 import Meta, content_digest, read_meta

_log = logging.getLogger(__name__)
ROLE: Final = "listener"
REMEMBERED: Final = 20_000
"""Instances that wait in memory for their rows; beyond these the spool is read again."""
BATCH: Final = 200
GATHER_S: Final = 0.1
BEAT_S: Final = 5.0
PATIENCE_S: Final = 1.0
_DEFAULT_QUIET_PERIOD_S: Final = 60.0
_PATIENT: Final = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
)
"""What makes another patient of an instance; age and weight may differ from slice to slice."""
_UNREADABLE: Final = (
    InvalidDicomError,
    NotImplementedError,
    ValueError,
    KeyError,
    EOFError,
    OSError,
)


class Indexer:
    """Writes the rows of what the listener kept and refused. One thread, from enter to exit.

    Parameters
    ----------
    quiet_periods_s
        Of each source, by its AE title.
    """

    def __init__(
        self, records: Records, spool: Spool, quiet_periods_s: Mapping[str, float]
    ) -> None:
        self._records = records
        self._spool = spool
        self._quiet_periods_s = quiet_periods_s
        self._kept: queue.Queue[str] = queue.Queue(REMEMBERED)
        self._refused: Counter[tuple[Peer, Code]] = Counter()
        self._lock = threading.Lock()
        self._must_compare = True
        self._beat_at_s = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def kept(self, kept: Kept) -> None:
        """Take note of an instance; never waits."""
        try:
            self._kept.put_nowait(kept.key)
        except queue.Full:
            self._must_compare = True

    def refused(self, refusal: Refusal) -> None:
        """Count a refusal."""
        with self._lock:
            self._refused[refusal.peer, refusal.code] += 1

    def _run(self) -> None:
        away = False
        while not (self._closed.is_set() and self._kept.empty()):
            try:
                self._round()
                away = False
            except Unavailable as error:
                if not away:
                    log.failure(_log, "indexer.waits", error)
                away = True
                if self._closed.wait(PATIENCE_S):
                    return
            except Exception as error:  # noqa: BLE001 (outermost of a thread: it must go on)
                log.failure(_log, "indexer.failed", error)
                if self._closed.wait(PATIENCE_S):
                    return

    def _round(self) -> None:
        """Write what waits; at start, and where something was forgotten, all the spool holds."""
        if self._must_compare:
            self._must_compare = False
            try:
                self._compare()
            except Unavailable:
                self._must_compare = True
                raise
        keys = self._gathered()
        try:
            self._index(keys)
            self._report()
        except Unavailable:
            self._must_compare = True
            raise

    def _gathered(self) -> list[str]:
        keys: list[str] = []
        with suppress(queue.Empty):
            keys.append(self._kept.get(timeout=GATHER_S))
            while len(keys) < BATCH:
                keys.append(self._kept.get_nowait())
        return keys

    def _compare(self) -> None:
        """Index what lies on the spool and has no row: conflicts after what they conflict with."""
        with self._records.begin() as session:
            known = index.indexed_keys(session)
        missing = 0
        for keys in (self._spool.keys(), self._spool.conflicts()):
            unknown = (key for key in keys if key not in known)
            while batch := list(islice(unknown, BATCH)):
                self._index(batch)
                missing += len(batch)
        if missing:
            log.event(_log, "indexer.rebuilt", instances=missing)

    def _index(self, keys: list[str]) -> None:
        received = list(self._read(key for key in keys if "." not in key))
        try:
            self._write(received)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 (one instance that trips us hides no other)
            log.failure(_log, "indexer.one_by_one", error)
            for each in received:
                self._write_alone(each)
        for key in keys:
            if "." in key:
                self._index_conflict(key)

    def _write(self, received: list[Received]) -> None:
        if received:
            with self._records.begin() as session:
                new = index.index(session, received)
            log.event(_log, "instances.indexed", instances=new)

    def _write_alone(self, received: Received) -> None:
        try:
            self._write([received])
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 (it stays on the spool; the next start tries)
            log.failure(_log, "indexer.failed", error)

    def _index_conflict(self, key: str) -> None:
        path, first = self._spool.path(key), self._spool.path(key.partition(".")[0])
        corrected = compare(first, path) is Difference.PATIENT
        code = Code.PATIENT_CORRECTION if corrected else Code.INSTANCE_CONFLICT
        try:
            with path.open("rb") as file:
                meta, digest = read_meta(file), content_digest(file)
                uid = _header(file.name, meta).sop_instance_uid
        except (FontanelleError, OSError) as error:
            log.failure(_log, "indexer.unreadable", error)
            return
        conflict = Conflict(
            key, uid, digest, path.stat().st_size, code, _stored(meta.calling_ae_title)
        )
        with self._records.begin() as session:
            index.add_conflict(session, conflict)
        log.warning(_log, "instance.conflict", code=code)

    def _read(self, keys: Iterable[str]) -> Iterator[Received]:
        for key in keys:
            try:
                yield self._received(key)
            except (FontanelleError, OSError) as error:
                # Kept, whatever it is: it stays on the spool, and the next start tries again.
                log.failure(_log, "indexer.unreadable", error)

    def _received(self, key: str) -> Received:
        path = self._spool.path(key)
        with path.open("rb") as file:
            meta, digest = read_meta(file), content_digest(file)
        uids = _header(str(path), meta)
        header = _values(str(path))
        return Received(
            spool_key=key,
            sop_instance_uid=uids.sop_instance_uid,
            sop_class_uid=uids.sop_class_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            sha256=digest,
            size_bytes=path.stat().st_size,
            study_instance_uid=uids.study_instance_uid,
            series_instance_uid=uids.series_instance_uid,
            patient_id=_stored(name(header, "PatientID")),
            issuer=_stored(name(header, "IssuerOfPatientID")) or None,
            patient_digest=_patient_digest(header),
            accession_number=_stored(name(header, "AccessionNumber")) or None,
            study_date=_stored(first_text(header, "StudyDate")) or None,
            modality=_stored(first_text(header, "Modality")) or None,
            series_number=_stored(first_text(header, "SeriesNumber")) or None,
            description=_stored(name(header, "SeriesDescription")) or None,
            source=_stored(meta.calling_ae_title),
            quiet_period_s=self._quiet_periods_s.get(
                meta.calling_ae_title, _DEFAULT_QUIET_PERIOD_S
            ),
        )

    def _report(self) -> None:
        """Write refusals, and give a sign of life now and then."""
        with self._lock:
            refused, self._refused = self._refused, Counter()
        at_s = time.monotonic()
        if not refused and at_s - self._beat_at_s < BEAT_S:
            return
        self._beat_at_s = at_s
        try:
            with self._records.begin() as session:
                index.add_refusals(session, _refusals(refused))
                processes.beat(session, ROLE)
        except Unavailable:
            with self._lock:
                self._refused.update(refused)
            raise


def _refusals(refused: Counter[tuple[Peer, Code]]) -> list[index.Refusal]:
    return [
        index.Refusal(
            _stored(peer.calling_ae_title),
            _stored(peer.called_ae_title),
            _stored(peer.host),
            code,
            code.meaning,
            count,
        )
        for (peer, code), count in refused.items()
    ]


def _header(path: str, meta: Meta) -> Header:
    with open(path, "rb") as file:  # noqa: PTH123 (a name that is a string already)
        size = file.seek(0, 2) - meta.dataset_at

        def read(offset: int, count: int) -> bytes:
            file.seek(meta.dataset_at + offset)
            return file.read(count)

        return read_header(read, size, meta.transfer_syntax_uid)


def _values(path: str) -> Dataset:
    """Read the attributes for people; of a header that pydicom cannot read none are known."""
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED))
    except _UNREADABLE:
        return Dataset()


_WANTED: Final = (
    *_PATIENT,
    "SpecificCharacterSet",
    "AccessionNumber",
    "StudyDate",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
)


def _patient_digest(header: Dataset) -> str:
    parts = (element(header, keyword) for keyword in _PATIENT)
    text = "\0".join(str(getattr(part, "value", "")).strip("\0 ") for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _stored(text: str) -> str:
    """Return what PostgreSQL can hold: text without zeros and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
