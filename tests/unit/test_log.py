"""What is logged: stable names, typed fields, and nobody's data, whatever is raised or said."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fontanelle import log
from fontanelle.errors import Code, Refused
from fontanelle.log import Fields, JsonFormatter

CANARY = "SMITH^ANNA"
OURS = logging.getLogger("worker.attempt")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Configure logging as a role does; give what was written, a line each."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root = logging.getLogger()
    handlers, levels = root.handlers[:], _levels()
    log.configure("worker")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _levels() -> dict[str, int]:
    names = ["", *log.QUIET, *log.OURS]
    return {name: logging.getLogger(name).level for name in names}


def raised(raise_it: Callable[[], object]) -> Exception:
    try:
        raise_it()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is to be logged)
        return error
    raise AssertionError


def look_up_a_name() -> object:
    known: dict[str, object] = {}
    return known[CANARY]


def fail_because_of_a_name() -> None:
    try:
        look_up_a_name()
    except KeyError as error:
        raise ValueError(f"no such patient: {CANARY}\nborn 20200101") from error


def fail_while_handling_a_name() -> None:
    try:
        look_up_a_name()
    except KeyError:
        int(CANARY)


def refuse_because_of_a_name() -> None:
    try:
        look_up_a_name()
    except KeyError as error:
        raise Refused(Code.NOT_CT, "None of 3 instances is a CT image.") from error


def text(said: object) -> str:
    return json.dumps(said, ensure_ascii=False)


def test_an_event_is_one_object_a_line_with_its_typed_fields(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    log.event(OURS, "analysis.ended", analysis=7, took_s=1.5, state="succeeded")
    log.warning(OURS, "analysis.swept", analysis=8)

    first, second = lines()
    assert first.pop("at").endswith("+00:00")
    assert first == {
        "level": "info",
        "role": "worker",
        "event": "analysis.ended",
        "analysis": 7,
        "took_s": 1.5,
        "state": "succeeded",
    }
    assert (second["level"], second["event"]) == ("warning", "analysis.swept")


@pytest.mark.parametrize(
    "raise_it",
    [look_up_a_name, fail_because_of_a_name, fail_while_handling_a_name, refuse_because_of_a_name],
)
def test_no_text_of_anothers_exception_is_logged(
    lines: Callable[[], list[dict[str, Any]]], raise_it: Callable[[], object]
) -> None:
    log.failure(OURS, "analysis.attempt_failed", raised(raise_it), analysis=7)

    (line,) = lines()
    assert "SMITH" not in text(line)
    assert "20200101" not in text(line)
    assert line["level"] == "error"
    assert any("look_up_a_name" in where for where in line["where"])
    assert "KeyError" in line["where"]


def test_our_own_errors_say_their_code_and_sentence(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    log.failure(OURS, "analysis.attempt_failed", raised(refuse_because_of_a_name))

    said = "Refused: admission.not_ct: None of 3 instances is a CT image."
    assert said in lines()[0]["where"]


@pytest.mark.parametrize(
    "library", ["pydicom", "pynetdicom.service-c", "sqlalchemy.engine", "alembic", "kombu"]
)
@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.ERROR])
def test_libraries_that_speak_of_values_are_not_heard(
    lines: Callable[[], list[dict[str, Any]]], library: str, level: int
) -> None:
    logging.getLogger(library).log(level, "patient %s", CANARY)

    assert lines() == []


def test_of_any_other_library_only_that_it_spoke_is_said(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    other = logging.getLogger("some.library")
    other.info("started")
    other.warning("patient %s", CANARY)
    other.error("cannot read", exc_info=raised(look_up_a_name))

    said, failed = lines()
    assert (said["event"], said["level"]) == ("some.library spoke", "warning")
    assert "KeyError" in failed["where"]
    assert "SMITH" not in text([said, failed])


def test_a_warning_of_python_passes_without_its_text(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # Only what is configured from here on is caught: catch_warnings has put its own in place.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"bad value {CANARY}", stacklevel=1)

    (line,) = lines()
    assert line["event"] == "py.warnings spoke"
    assert "SMITH" not in text(line)


def test_a_message_with_line_breaks_stays_on_its_line() -> None:
    record = logging.makeLogRecord({"msg": "two\nlines", "fields": {"code": "a\nb"}})

    assert "\n" not in JsonFormatter("worker").format(record)


def test_no_field_is_meant_for_a_patient() -> None:
    for name in Fields.__annotations__:
        assert not {"patient", "name", "uid", "accession", "birth", "text", "message"} & set(
            name.split("_")
        )
