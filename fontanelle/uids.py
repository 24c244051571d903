"""UIDs of what we make: derived from the inputs, never drawn."""

import uuid

NAMESPACE = uuid.UUID("5b0b6f0e-5f55-5a1c-9d0e-2f3c6c1d7a41")
"""The project's namespace, for ever: another one would give every object another identity."""


def derived_uid(kind: str, *parts: str) -> str:
    """Return `2.25.` and the integer of a UUIDv5 over `kind` and `parts` (ITU-T X.667).

    Parts are joined by a character that none of them holds.
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, '|'.join((kind, *parts))).int}"
