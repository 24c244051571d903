"""What the commands of `fontanelle norms` share: reading, writing, naming all mistakes, records."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fontanelle.errors import Code, Refused

if TYPE_CHECKING:
    from fontanelle.norms.values import Reference
    from fontanelle.records.database import Transaction
    from fontanelle.records.references import StoredReference


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    Refused
        INPUT_NOT_FOUND, INPUT_UNREADABLE.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise Refused(Code.INPUT_NOT_FOUND, f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(Code.INPUT_UNREADABLE, f"{path} cannot be read as UTF-8 text.") from error


def write_text(path: Path, text: str) -> None:
    """Write a file, as `write_texts` does."""
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write all files under temporary names, then move them to their places; all or none.

    Raises
    ------
    Refused
        OUTPUT_UNWRITABLE; what was there before is there still.
    """
    unfinished: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            unfinished[path] = _beside(path)
            _fill(unfinished[path], text)
        for path, ready in unfinished.items():
            ready.replace(path)
    except OSError as error:
        raise Refused(
            Code.OUTPUT_UNWRITABLE, f"The output cannot be written: {error.strerror}."
        ) from error
    finally:
        for ready in unfinished.values():
            ready.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return an empty file in the folder of another; what cannot be replaced is refused here."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".fontanelle-", dir=path.parent)
    os.close(descriptor)
    return Path(name)


def _fill(path: Path, text: str) -> None:
    with path.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


@contextmanager
def naming_all_mistakes(undone: str = "taken") -> Iterator[None]:
    """Print each mistake of a refused file on a line of its own before the refusal itself.

    Parameters
    ----------
    undone
        What is said not to have happened.
    """
    from fontanelle.norms.mistakes import Malformed

    try:
        yield
    except Malformed as error:
        if len(error.mistakes) <= 1:
            raise
        for mistake in error.mistakes:
            click.echo(str(mistake), err=True)
        raise Refused(
            error.reason.code,
            f"{len(error.mistakes)} mistakes, listed above; nothing was {undone}.",
        ) from error


@contextmanager
def records(*, make: bool = False) -> "Iterator[Transaction]":
    """Give a transaction on the records of this installation, whether it runs or not."""
    from fontanelle.records.database import Records
    from fontanelle.settings import load, secret
    from service.supervisor.addresses import with_database

    def say(line: str) -> None:
        click.echo(line, err=True)

    with with_database(load(os.environ), make=make, say=say) as settings:
        url = secret(settings.database_url, "database_url")
        with Records.open(url, connections=1) as opened, opened.begin() as session:
            yield session


def known() -> "list[StoredReference]":
    """Return the references of the product, and where there are records those imported."""
    from fontanelle.records.references import all_references, with_shipped

    if not has_records():
        return with_shipped(())
    with records() as session:
        return with_shipped(all_references(session))


def reference_named(wanted: str) -> "Reference":
    """Return a reference of the product by its name, one in a file, or one that was imported.

    Parameters
    ----------
    wanted
        A name of the product's means that one; else a file (JSON or CSV, checked as on import) wins
        over what the records of this installation hold by this name or version.

    Raises
    ------
    Refused
        REFERENCE_UNKNOWN; with all that is wrong with a file.
    """
    from fontanelle.norms.reference import load, shipped, shipped_ids
    from fontanelle.norms.table import read
    from fontanelle.records.references import among

    if wanted in shipped_ids():
        return shipped(wanted)
    path = Path(wanted)
    if path.exists():
        with naming_all_mistakes():
            return read(text_of(path))[0]
    try:
        return load(among(known(), wanted).document)
    except Refused as error:
        if error.reason.code is not Code.REFERENCE_UNKNOWN:
            raise
        raise Refused(
            Code.REFERENCE_UNKNOWN,
            f"{wanted} is no reference of the product ({', '.join(shipped_ids())}), no file, and "
            "none that was imported here.",
        ) from error


def has_records() -> bool:
    """Tell whether this installation has records, running or not."""
    from fontanelle.settings import load
    from service.supervisor.addresses import addressed

    settings = addressed(load(os.environ))
    return settings.database_url is not None or (settings.data / "postgresql").is_dir()
