"""C-STORE and C-ECHO as service: what is negotiated, which status answers what, and `serve`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pynetdicom import AE, _config
from pynetdicom.presentation import PresentationContext, build_context

from fontanelle.clock import Clock, SystemClock
from fontanelle.errors import Code
from fontanelle.records.files import Spool
from fontanelle.settings import Settings
from service.listener.association import Terms
from service.listener.door import Door
from service.listener.header import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from service.listener.intake import Intake, Kept, KeptBefore, NotKept, OnKept, OnRefused, Outcome
from service.listener.part10 import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from service.listener.reception import Reception
from service.listener.server import HardenedServer

VERIFICATION: Final = "1.2.840.10008.1.1"
IMAGES: Final = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture, and its four multi-frame kinds
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
DOCUMENTS: Final = (
    "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.67",  # X-Ray Radiation Dose SR
)
NATIVE: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)
LOSSLESS: Final = (
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, selection value 1
    "1.2.840.10008.1.2.4.57",  # JPEG lossless, process 14
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.201",  # High-throughput JPEG 2000 lossless
)
"""All that we can decode without loss. Not Deflated: 400 kB may inflate to any size."""

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0xC001
STATUS: Final[Mapping[Code, int]] = {
    Code.SPOOL_FULL: 0xA700,
    Code.DATASET_MISMATCH: 0xA900,
    Code.DATASET_UNREADABLE: 0xC000,
    Code.UID_MALFORMED: 0xC000,
    Code.SPOOL_ERROR: PROCESSING_FAILURE,
}
"""PS3.4 table B.2-1. A conflict's is a setting."""

_NEGOTIATION_LIMIT_S: Final = 5.0
_GRACE_S: Final = 10.0
_EVERYBODY: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener at work."""

    port: int
    door: Door

    @property
    def associations(self) -> int:
        """How many there are now."""
        return self.door.inside


@contextmanager
def serve(
    settings: Settings,
    spool: Spool,
    on_kept: OnKept,
    on_refused: OnRefused,
    clock: Clock | None = None,
) -> Iterator[Listener]:
    """Receive instances into a spool for as long as the context is open.

    Parameters
    ----------
    spool
        Opened for writing.
    on_kept, on_refused
        Are called from the thread of the association, before the sender has its answer: they must
        be quick. What they raise is logged and changes nothing.
    """
    _silence()
    listener = settings.listener
    door = Door(listener, settings.sources)
    intake = Intake(
        spool,
        minimum_free_bytes=listener.minimum_free_bytes,
        on_kept=on_kept,
        on_refused=on_refused,
        clock=clock or SystemClock(),
    )
    terms = Terms(
        negotiation_s=min(listener.timeout_s, _NEGOTIATION_LIMIT_S),
        timeout_s=listener.timeout_s,
        limit_bytes=listener.maximum_pdu_bytes,
        classes={VERIFICATION: (False, False)}
        | dict.fromkeys(IMAGES, (True, True))
        | dict.fromkeys(DOCUMENTS, (True, False)),
        enter=door.enter,
        leave=door.leave,
        refused=intake.refused,
        receive=lambda line: Reception(
            line, intake, lambda outcome: answer(outcome, listener.conflict_status)
        ),
    )
    server = HardenedServer(
        _application_entity(listener.ae_title),
        (listener.host, listener.port),
        contexts(),
        terms,
        listener.maximum_associations,
    )
    server.start()
    try:
        yield Listener(server.port, door)
    finally:
        server.stop(min(_GRACE_S, listener.timeout_s))


def contexts() -> list[PresentationContext]:
    """Return what is negotiated. The order of transfer syntaxes is that of our liking."""
    return [
        build_context(VERIFICATION, list(NATIVE)),
        *(build_context(uid, [*NATIVE, *LOSSLESS]) for uid in IMAGES),
        *(build_context(uid, list(NATIVE)) for uid in DOCUMENTS),
    ]


def answer(outcome: Outcome, conflict_status: int) -> tuple[int, str]:
    """Return status and error comment; the comment is the code, and empty for success."""
    match outcome:
        case Kept(conflict=None) | KeptBefore():
            return SUCCESS, ""
        case Kept(conflict=code):
            return conflict_status, str(code)
        case NotKept(reason):
            return STATUS.get(reason.code, PROCESSING_FAILURE), str(reason.code)


def _application_entity(ae_title: str) -> AE:
    entity = AE(ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION
    # The door counts; pynetdicom would count those as well who have said nothing.
    entity.maximum_associations = _EVERYBODY
    return entity


def _silence() -> None:
    """Keep pynetdicom from logging messages, and what they identify."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
