"""One instance on its way in: bytes and command to a file in the spool and a truthful outcome.

Touches the file system and nothing else: with the database away it works on. `Kept` is returned
only once the bytes would survive a power cut.
"""

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, TypeVar

from fontanelle.clock import Clock
from fontanelle.errors import Code, FontanelleError, Reason, Refused
from fontanelle.log import failure
from fontanelle.records.files import Spool, spool_key
from fontanelle.records.landing import Landed
from service.listener.conflicts import Difference, compare
from service.listener.header import Header, is_uid, read_header
from service.listener.part10 import content_digest, head

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_log = logging.getLogger(__name__)
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sends, and to whom."""

    calling_ae_title: str
    called_ae_title: str
    host: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a sender says of an instance before it comes.

    Attributes
    ----------
    abstract_syntax_uid, transfer_syntax_uid
        As negotiated for the presentation context.
    needs_pixels
        Whether an instance of this class without pixel data must have been cut.
    """

    peer: Peer
    abstract_syntax_uid: str
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    needs_pixels: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance that is on disk for good.

    Attributes
    ----------
    key
        Its key in the spool. A conflict that is sent again has the same key again.
    conflict
        None, or why there are two of that UID: INSTANCE_CONFLICT or PATIENT_CORRECTION.
    size_bytes
        Of the file.
    """

    key: str
    conflict: Code | None
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    peer: Peer
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class KeptBefore:
    """The same instance is here already, on disk for good; nothing changed."""

    key: str


@dataclass(frozen=True, slots=True)
class NotKept:
    """Nothing of it is here."""

    reason: Reason


Outcome = Kept | KeptBefore | NotKept


@dataclass(frozen=True, slots=True)
class Refusal:
    """An association or an instance that was refused."""

    peer: Peer
    code: Code
    at: datetime


OnKept = Callable[[Kept], None]
OnRefused = Callable[[Refusal], None]


class Intake:
    """Takes instances into the spool, and says so to whom it may concern."""

    def __init__(
        self,
        spool: Spool,
        *,
        minimum_free_bytes: int,
        on_kept: OnKept,
        on_refused: OnRefused,
        clock: Clock,
    ) -> None:
        self.spool = spool
        self.clock = clock
        self._minimum_free_bytes = minimum_free_bytes
        self._on_kept = on_kept
        self._on_refused = on_refused

    def begin(self, request: Request) -> "Arrival":
        """Begin to take an instance."""
        return Arrival(self, request)

    def temporary(self) -> Landed:
        """Open a file for an instance.

        Raises
        ------
        Refused
            SPOOL_FULL: there is less room than must stay free.
        OSError
            It cannot be opened.
        """
        if self.spool.free_bytes() < self._minimum_free_bytes:
            raise _full()
        return self.spool.begin()

    def tell(self, outcome: Outcome, peer: Peer) -> None:
        """Tell who listens. Whatever they do, the sender gets its answer."""
        match outcome:
            case Kept():
                _call(self._on_kept, outcome)
            case NotKept(reason):
                self.refused(peer, reason.code)
            case KeptBefore():
                pass

    def refused(self, peer: Peer, code: Code) -> None:
        """Tell that an instance or an association was refused."""
        _call(self._on_refused, Refusal(peer, code, self.clock.now()))


class Arrival:
    """One instance while its fragments come in. Leaves nothing unless it was kept."""

    __slots__ = ("_file", "_head", "_intake", "_reason", "_request")

    def __init__(self, intake: Intake, request: Request) -> None:
        self._intake = intake
        self._request = request
        self._file: Landed | None = None
        self._reason: Reason | None = None
        self._head = head(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
            calling_ae_title=request.peer.calling_ae_title,
            called_ae_title=request.peer.called_ae_title,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, fragment: memoryview) -> None:
        """Take a piece of the data set. Once one could not be taken, the rest is let go by."""
        if self._reason is not None:
            return
        try:
            if self._file is None:
                self._file = self._intake.temporary()
                self._file.write(self._head, fragment)
            else:
                self._file.write(fragment)
        except (OSError, Refused) as error:
            self._reason = self._give_up(error)

    def finish(self) -> Outcome:
        """Keep the instance, unless something is wrong with it, and tell whether that was done."""
        outcome = self._outcome()
        self.close()
        self._intake.tell(outcome, self._request.peer)
        return outcome

    def close(self) -> None:
        """Let go of what was not kept. Twice is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _outcome(self) -> Outcome:
        reason = self._reason
        if reason is None:
            try:
                return self._kept(*self._checked())
            except (OSError, FontanelleError) as error:
                reason = self._give_up(error)
        return NotKept(reason)

    def _checked(self) -> tuple[Landed, Header]:
        """Return file and header of an instance that is whole and the one announced."""
        file, request, start = self._file, self._request, len(self._head)
        if file is None:
            raise Refused(Code.DATASET_UNREADABLE, "The data set is empty.")
        header = read_header(
            lambda offset, size: file.read(start + offset, size),
            file.size_bytes - start,
            request.transfer_syntax_uid,
        )
        named = (request.sop_class_uid, request.sop_instance_uid)
        if named != (header.sop_class_uid, header.sop_instance_uid):
            raise Refused(Code.DATASET_MISMATCH, "Command and data set differ.")
        if request.sop_class_uid != request.abstract_syntax_uid:
            raise Refused(Code.DATASET_MISMATCH, "The presentation context is of another class.")
        uids = (*named, header.study_instance_uid, header.series_instance_uid)
        if not all(is_uid(uid) for uid in uids):
            raise Refused(Code.UID_MALFORMED, "A UID is missing or malformed.")
        if request.needs_pixels and header.pixels_at is None:
            raise Refused(Code.DATASET_UNREADABLE, "There are no pixel data.")
        return file, header

    def _kept(self, file: Landed, header: Header) -> Outcome:
        spool, key = self._intake.spool, spool_key(header.sop_instance_uid)
        if not spool.holds(key) and spool.keep(file, key):
            return self._as_kept(key, None, header, file)
        match compare(spool.path(key), file.path):
            case Difference.NONE:
                # Whoever kept it may not have come to flushing its name.
                spool.sync_name(key)
                return KeptBefore(key)
            case Difference.PATIENT:
                code = Code.PATIENT_CORRECTION
            case Difference.CONTENT:
                code = Code.INSTANCE_CONFLICT
        with file.path.open("rb") as written:
            digest = content_digest(written)
        return self._as_kept(spool.set_aside(file, key, digest), code, header, file)

    def _as_kept(self, key: str, conflict: Code | None, header: Header, file: Landed) -> Kept:
        return Kept(
            key=key,
            conflict=conflict,
            sop_instance_uid=header.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=self._request.transfer_syntax_uid,
            study_instance_uid=header.study_instance_uid,
            series_instance_uid=header.series_instance_uid,
            peer=self._request.peer,
            size_bytes=file.size_bytes,
            received_at=self._intake.clock.now(),
        )

    def _give_up(self, error: OSError | FontanelleError) -> Reason:
        self.close()
        if isinstance(error, FontanelleError):
            return error.reason
        full = error.errno in _FULL
        code = Code.SPOOL_FULL if full else Code.SPOOL_ERROR
        failure(_log, "intake.spool", error, code=code)
        return _full().reason if full else Reason(code, "The spool cannot be written.")


def _full() -> Refused:
    return Refused(Code.SPOOL_FULL, "There is too little room on the spool.")


def _call(listener: Callable[[Told], None], told: Told) -> None:
    try:
        listener(told)
    except Exception as error:  # noqa: BLE001 (the instance is on disk: the sender must hear so)
        failure(_log, "intake.listener", error)
