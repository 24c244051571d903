"""References: loaded from JSON, sealed by a digest, refused where they make no sense.

A reference is data. Another region set, organ or modality needs another file, and no code.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import ValidationError

from fontanelle.errors import Code, Refused
from fontanelle.norms import coherence
from fontanelle.norms.building import reference_of
from fontanelle.norms.document import SCHEMA, ReferenceDocument, place
from fontanelle.norms.mistakes import Malformed, Mistake
from fontanelle.norms.values import Reference

__all__ = [
    "Reference",
    "digest_of",
    "load",
    "members_of",
    "sealed",
    "shipped",
    "shipped_document",
    "shipped_ids",
]

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int | float | bool | None
Members = dict[str, JsonValue]
OVER = "canonical JSON without the member digest: keys sorted, no white space, UTF-8"


def shipped_ids() -> tuple[str, ...]:
    """Return the names of the references that come with the product."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def shipped(reference_id: str) -> Reference:
    """Load a reference that comes with the product.

    Raises
    ------
    Refused
        `reference.unknown`; or as `load` does, where the installed file was altered.
    """
    return load(shipped_document(reference_id))


def shipped_document(reference_id: str) -> str:
    """Return the text of a reference that comes with the product.

    Raises
    ------
    Refused
        `reference.unknown`.
    """
    if reference_id not in shipped_ids():
        known = ", ".join(shipped_ids())
        raise Refused(
            Code.REFERENCE_UNKNOWN, f"No reference of this name is installed; there are: {known}."
        )
    return (_folder() / f"{reference_id}.json").read_text(encoding="utf-8")


def load(text: str) -> Reference:
    """Read a reference from the text of its JSON file.

    Raises
    ------
    Malformed
        `reference.invalid` if the text is no reference, holds unknown members, or contradicts
        itself; `reference.digest_mismatch` if it was altered. All mistakes are named.
    """
    members = members_of(text)
    document = _document(members)
    found = [*_seal(members, document), *coherence.mistakes(document)]
    if found:
        is_altered = found[0].where == "digest.value"
        code = Code.REFERENCE_DIGEST if is_altered else Code.REFERENCE_INVALID
        raise Malformed(code, "The reference contradicts itself:", found)
    return reference_of(document.root, document.root.digest.value)


def members_of(text: str) -> Members:
    """Return the members of a JSON object that can be sealed.

    Raises
    ------
    Malformed
        `reference.invalid`: no JSON, NaN or infinity in it, or a name that occurs twice.
    """
    try:
        members = json.loads(text, object_pairs_hook=_once)
        _canonical(members)  # refuses NaN, infinities and halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise Malformed(
            Code.REFERENCE_INVALID, "The reference is no JSON that can be sealed by a digest.", ()
        ) from error
    if not isinstance(members, dict):
        raise Malformed(Code.REFERENCE_INVALID, "The reference is no JSON object.", ())
    return members


def digest_of(members: Mapping[str, JsonValue]) -> str:
    """Return the SHA-256 of a parsed reference, hexadecimal, over all but its member `digest`."""
    return hashlib.sha256(
        _canonical({key: value for key, value in members.items() if key != "digest"})
    ).hexdigest()


def sealed(members: Mapping[str, JsonValue]) -> str:
    """Return the text of a reference's file, its digest made anew; it is not checked."""
    seal: Members = {"algorithm": "sha256", "over": OVER, "value": digest_of(members)}
    whole = {"schema": SCHEMA, **members, "digest": seal}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _canonical(members: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(
        members, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _folder() -> Traversable:
    return files("fontanelle.norms") / "references"


def _once(pairs: list[tuple[str, JsonValue]]) -> Members:
    # json keeps the last of two equal names in silence; a reader of the file may see the first.
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _document(members: Members) -> ReferenceDocument:
    try:
        # From the canonical text: what was sealed is what is read.
        return ReferenceDocument.model_validate_json(_canonical(members))
    except ValidationError as error:
        found = [
            Mistake(place(problem["loc"]), f"{problem['msg']}.")
            for problem in error.errors(include_input=False, include_url=False)
            # Of a list whose items are wrong pydantic says besides that it is too short.
            if problem["type"] != "too_short" or problem["ctx"].get("actual_length") != 0
        ]
        raise Malformed(Code.REFERENCE_INVALID, "The reference is malformed.", found) from error


def _seal(members: Members, document: ReferenceDocument) -> list[Mistake]:
    digest, said = digest_of(members), document.root.digest.value
    if digest == said:
        return []
    sentence = (
        f"the reference says that its digest is {said[:12]}…, but its numbers give {digest[:12]}…."
    )
    return [Mistake("digest.value", sentence)]
