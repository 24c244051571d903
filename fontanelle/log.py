"""Log events with a stable name and typed fields; there is no field that could hold a patient.

One JSON object a line on stderr. Our own integer ids, never UIDs, accession numbers or AE titles'
senders' text: who may see the patient can look an id up. Tracebacks are written without the
values of exceptions, unless the error is ours: those hold numbers, never names.
"""

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Final, TypedDict, Unpack

from fontanelle.errors import FontanelleError


class Fields(TypedDict, total=False):
    """Every field that may be logged: numbers, our own ids, and stable codes."""

    analysis: int
    series: int
    study: int
    delivery: int
    association: int
    instances: int
    count: int
    attempt: int
    fence: int
    status: int
    pid: int
    port: int
    exit: int
    took_s: float
    role: str
    code: str
    state: str
    fitness: str
    engine: str
    destination: str
    reference: str


OURS: Final = ("fontanelle", "models", "worker", "service")
QUIET: Final = (
    "pydicom",
    "pynetdicom",
    "sqlalchemy",
    "alembic",
    "celery",
    "kombu",
    "amqp",
    "uvicorn.access",
)
"""Loggers of libraries that would say values of data sets, rows or messages."""


def event(log: logging.Logger, name: str, **fields: Unpack[Fields]) -> None:
    """Log that something happened once per series or less."""
    log.info(name, extra={"fields": fields})


def warning(log: logging.Logger, name: str, **fields: Unpack[Fields]) -> None:
    """Log what a person may want to act on."""
    log.warning(name, extra={"fields": fields})


def failure(log: logging.Logger, name: str, error: BaseException, **fields: Unpack[Fields]) -> None:
    """Log what a person has to act on, with where it happened and without anybody's data."""
    log.error(name, extra={"fields": fields, "where": where(error)})


def where(error: BaseException) -> list[str]:
    """Return the frames and types of an error and its causes; the text only of our own errors."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        lines += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        ours = isinstance(cause, FontanelleError)
        lines.append(f"{type(cause).__qualname__}: {cause}" if ours else type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    return lines


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    What a library says is reduced to its logger and level: its text may hold a value.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "event": record.msg if hasattr(record, "fields") else f"{record.name} spoke",
        }
        line |= getattr(record, "fields", {})
        if found := getattr(record, "where", None):
            line["where"] = found
        elif record.exc_info and record.exc_info[1] is not None:
            line["where"] = where(record.exc_info[1])
        return json.dumps(line)


def configure(role: str) -> None:
    """Send everything through one formatter; libraries may only warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(role))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    # What no outermost loop caught: Python itself would print the exception's text.
    threading.excepthook = _thread_ended


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        failure(logging.getLogger(__name__), "thread.ended", ended.exc_value)
