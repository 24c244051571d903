"""What became of one instance that was to be sent, as values; and DIMSE statuses in words."""

from dataclasses import dataclass
from typing import Final

from fontanelle.errors import Code, Reason

SUCCESS: Final = 0x0000
DUPLICATE: Final = 0x0111
"""Duplicate SOP Instance (PS3.7 C.5.8): the peer has it, which is what was wanted."""

_EXACT: Final = {
    SUCCESS: "stored",
    DUPLICATE: "there already",
    0x0110: "processing failure",
    0x0117: "the instance's UID is not acceptable",
    0x0122: "objects of this class are not taken",
    0x0124: "not authorised",
    0x0211: "the operation is not known",
    0x0212: "an argument is malformed",
    0xB000: "stored, elements were changed",
    0xB006: "stored, elements were discarded",
    0xB007: "stored, the data set does not match its class",
}
_FAMILIES: Final = {
    0xA7: "out of resources",
    0xA9: "the data set does not match its class",
    **dict.fromkeys(range(0xB0, 0xC0), "stored with a warning"),
    **dict.fromkeys(range(0xC0, 0xD0), "not understood, or refused for the receiver's own reason"),
}
"""By the high byte: PS3.4 table B.2-1 and PS3.7 annex C."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The peer answered; whether it has the instance is in the status."""

    status: int

    @property
    def is_stored(self) -> bool:
        """Whether the peer has the instance."""
        return self.status in {SUCCESS, DUPLICATE} or self.status >> 12 == 0xB


@dataclass(frozen=True, slots=True)
class NotSent:
    """There is no answer; the reason's code says how far it came."""

    reason: Reason


Outcome = Sent | NotSent

UNREACHED: Final = frozenset({Code.DESTINATION_AWAY, Code.DESTINATION_REFUSED})
"""No association came about: nothing was tried with the instance itself."""


def words(status: int) -> str:
    """Return what a C-STORE status says, for a person: `0xA700 (out of resources)`."""
    meaning = _EXACT.get(status) or _FAMILIES.get(status >> 8, "failure")
    return f"0x{status:04X} ({meaning})"
