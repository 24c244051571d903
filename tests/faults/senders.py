"""A sender that is not ours: pynetdicom's. It keeps what it was answered, instance by instance."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from tests.system.service import SCANNER, Address
from tests.waiting import until

LIMIT_S = 60.0
SMALL_PDU_BYTES = 16384
_config.LOG_HANDLER_LEVEL = "none"


@dataclass
class Answers:
    """What a sender was answered: UIDs with the status; None where no answer came."""

    statuses: list[tuple[str, int | None]] = field(default_factory=list)

    @property
    def taken(self) -> set[str]:
        """UIDs that were answered with success."""
        return {uid for uid, status in self.statuses if status == 0x0000}

    @property
    def given(self) -> set[int | None]:
        """All kinds of answers."""
        return {status for _, status in self.statuses}


def associated(
    address: Address, *, calling: str = SCANNER, called: str | None = None
) -> Association:
    """Ask for an association; it may have been refused."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = LIMIT_S
    entity.add_requested_context(CTImageStorage, [ExplicitVRLittleEndian])
    return entity.associate(address.host, address.port, ae_title=called or address.ae_title)


def until_listening(address: Address) -> None:
    """Wait until somebody takes connections there."""

    def is_taken() -> bool:
        with suppress(ConnectionError):
            socket.create_connection((address.host, address.port), LIMIT_S).close()
            return True
        return False

    until(is_taken)


def send(
    address: Address, files: Iterable[Path], answers: Answers | None = None, **names: str
) -> Answers:
    """Send files over one association, until it ends; return what was answered."""
    answers = answers or Answers()
    association = associated(address, **names)
    if not association.is_established:
        return answers
    for path in files:
        instance = dcmread(path)
        try:
            said = association.send_c_store(instance)
        except RuntimeError:  # pynetdicom's word for an association that has ended
            break
        answers.statuses.append((str(instance.SOPInstanceUID), said.get("Status")))
        if "Status" not in said:
            break
    if association.is_established:
        association.release()
    return answers


@contextmanager
def sending(address: Address, files: Iterable[Path]) -> Iterator[Answers]:
    """Send in a thread of its own meanwhile; at the end it has heard all that it will."""
    answers = Answers()
    thread = threading.Thread(target=send, args=(address, files, answers))
    thread.start()
    try:
        yield answers
    finally:
        thread.join(2 * LIMIT_S)
        assert not thread.is_alive()


def send_all_but_the_end(association: Association, path: Path) -> None:
    """Send an instance without its last fragment."""
    instance = dcmread(path)
    encoded = encode(instance, is_implicit_vr=False, is_little_endian=True)
    assert encoded is not None
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request.AffectedSOPClassUID = instance.SOPClassUID
    request.AffectedSOPInstanceUID = instance.SOPInstanceUID
    request.DataSet = BytesIO(encoded)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = association.accepted_contexts[0].context_id
    assert context is not None
    fragments = list(message.encode_msg(context, SMALL_PDU_BYTES))
    for fragment in fragments[:-1]:
        association.dul.send_pdu(fragment)
