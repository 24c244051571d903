"""Settings of an installation under test, and the file that they are written to."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

SCANNER = "SCANNER"
"""A source of every installation here, beside the one that `fontanelle send` is."""
QUIET_PERIOD_S = 2.0
Sections = Mapping[str, Any]

IN_A_HURRY: Sections = {
    "sources": [
        {"ae_title": name, "quiet_period_s": QUIET_PERIOD_S}
        for name in ("FONTANELLE-SEND", SCANNER)
    ],
    "listener": {"port": 0, "minimum_free_bytes": 0, "timeout_s": 20.0},
    "api": {"port": 0},
    "dispatcher": {"send_again_s": 3.0},
    "worker": {"lease_s": 5.0, "heartbeat_s": 0.5, "attempts": 10},
    "courier": {"timeout_s": 5.0, "back_off_first_s": 0.5, "back_off_most_s": 2.0},
    "supervisor": {"fsync": False},
}
"""Short periods; and more attempts than usual: on a busy machine one may look like a dead one."""


class Address(NamedTuple):
    """Where associations are taken."""

    ae_title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


def destination(name: str, peer: Address, release: str = "at_once") -> dict[str, Any]:
    """Return the settings of a destination."""
    return {"name": name, **peer._asdict(), "release": release}


def merged(base: Sections, changes: Sections) -> dict[str, Any]:
    """Return settings with changes, section by section."""
    found = dict(base)
    for name, value in changes.items():
        before = found.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        found[name] = {**before, **value} if both else value
    return found


def as_toml(settings: Sections) -> str:
    """Write settings as a person would: a table a section, a table each for source and peer."""
    return "\n".join(line for name, value in settings.items() for line in _table(name, value))


def _table(name: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"[{name}]"
        yield from _pairs(value)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield f"[[{name}]]"
            yield from _pairs(each)
    else:
        raise TypeError(f"{name} belongs into a section")


def _pairs(values: Mapping[str, object]) -> Iterator[str]:
    # A JSON text, number, truth or list of these is the same in TOML.
    yield from (f"{name} = {json.dumps(value)}" for name, value in values.items())
