"""What `fontanelle doctor` looks at beside the worker: each check by name, with its remedy."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from fontanelle.errors import FontanelleError
from fontanelle.settings import Settings
from service.embedded import places
from service.embedded.cluster import binaries
from service.embedded.valkey import server_program
from service.supervisor.addresses import addressed
from service.supervisor.doors import open_doors
from service.supervisor.folder import running
from service.supervisor.ports import usable
from service.supervisor.probes import broker_answers

OLDEST_PYTHON: Final = (3, 11)


class Grade(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It serves, and somebody should look."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in a sentence that holds the remedy."""

    check: str
    grade: Grade
    sentence: str


Check = Callable[[Settings], Iterator[Finding]]


def ok(check: str, sentence: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Grade.OK, sentence)


def failed(check: str, sentence: str) -> Finding:
    """Return that something has to be done."""
    return Finding(check, Grade.FAILED, sentence)


def refusable(check: str, look: Callable[[], str]) -> Finding:
    """Return what a look found; an error of ours says itself what is wrong and what to do."""
    try:
        return ok(check, look())
    except FontanelleError as error:
        return failed(check, f"{error.reason.code}: {error.reason.sentence}")


def python(_: Settings) -> Iterator[Finding]:
    """Look at the interpreter."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] >= OLDEST_PYTHON:
        yield ok("python", f"Python {found}")
    else:
        yield failed("python", f"Python {found} is too old: install 3.11 or later.")


def packages(_: Settings) -> Iterator[Finding]:
    """Look for every package that the distribution needs."""
    from packaging.requirements import Requirement

    needed = [Requirement(each) for each in requires("fontanelle") or []]
    absent = [
        each.name
        for each in needed
        if (each.marker is None or each.marker.evaluate({"extra": ""})) and not _has(each.name)
    ]
    if absent:
        yield failed(
            "packages", f"Missing: {', '.join(absent)}. Run pip install {' '.join(absent)}."
        )
    else:
        yield ok("packages", f"{len(needed)} requirements are met or for extras")


def _has(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Look at the folder of everything, and the room in it."""
    folder = settings.data.absolute()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not existing.is_dir() or not _is_writable(existing):
        yield failed("data", f"{folder} cannot be written: choose another one (--data).")
        return
    yield ok("data", str(folder))
    free, least = shutil.disk_usage(existing).free, settings.listener.minimum_free_bytes
    said = (
        f"{free / 2**30:.1f} GiB free in {existing}; below {least / 2**30:.1f} GiB nothing is taken"
    )
    if free > least:
        yield ok("space", said)
    else:
        yield failed("space", f"{said}. Make room: nothing is ever deleted to make some.")


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def servers(settings: Settings) -> Iterator[Finding]:
    """Look for the binaries of the servers that would be started."""
    if settings.database_url is None:
        yield refusable("postgresql", _postgres)
    if settings.broker_url is None:
        yield refusable("valkey", lambda: str(server_program()))


def _postgres() -> str:
    account = places.server_account()
    places.own_name()
    found = str(binaries(account))
    return found if account is None else f"{found}, as the user `{account.name}`"


def ports(settings: Settings) -> Iterator[Finding]:
    """Look whether the ports are free, or ours."""
    if running(settings.data) is not None:
        now = addressed(settings)
        yield ok("ports", f"`up` serves on {now.listener.port} (DICOM) and {now.api.port} (HTTP)")
        return
    listener, api = settings.listener, settings.api
    for name, host, port, setting in (
        ("dicom port", listener.host, listener.port, "FONTANELLE_LISTENER_PORT"),
        ("http port", api.host, api.port, "FONTANELLE_API_PORT"),
    ):
        yield refusable(name, partial(_free, host, port, setting))


def _free(host: str, port: int, setting: str) -> str:
    return f"{host}:{usable(host, port, setting)} is free"


def database(settings: Settings) -> Iterator[Finding]:
    """Look whether the database answers and has the tables of this version."""
    from fontanelle.records.migrate import check

    url = addressed(settings).database_url
    if url is None:
        yield ok("database", "none runs now; `fontanelle up` starts it")
        return

    def look() -> str:
        check(url.get_secret_value())
        return "answers, and has the tables of this version"

    yield refusable("database", look)


def broker(settings: Settings) -> Iterator[Finding]:
    """Look whether the message broker can be reached."""
    url = addressed(settings).broker_url
    if url is None:
        yield ok("broker", "none runs now; `fontanelle up` starts it")
    elif broker_answers(url.get_secret_value()):
        yield ok("broker", "answers")
    else:
        yield failed("broker", "does not answer: start it, or look at FONTANELLE_BROKER_URL.")


def peers(settings: Settings) -> Iterator[Finding]:
    """Look whether somebody may send, and somebody is sent to."""
    names = ", ".join(source.ae_title for source in settings.sources)
    yield (
        ok("sources", names)
        if names
        else failed("sources", "Nobody may send: name them in the settings (`sources`).")
    )
    names = ", ".join(f"{each.name} ({each.release})" for each in settings.destinations)
    yield (
        ok("destinations", names)
        if names
        else Finding("destinations", Grade.WARNING, "Results stay here: none is named.")
    )


def doors(settings: Settings) -> Iterator[Finding]:
    """Look for open doors."""
    found = [Finding("open doors", Grade.WARNING, door) for door in open_doors(settings)]
    yield from found or [ok("open doors", "none")]


CHECKS: Final[tuple[Check, ...]] = (
    python,
    packages,
    data_folder,
    servers,
    ports,
    database,
    broker,
    peers,
    doors,
)
