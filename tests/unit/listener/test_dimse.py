"""Statuses and contexts; and the library's version that the hardening was written for."""

import subprocess
import sys
from datetime import UTC, datetime

import pynetdicom
import pytest

from fontanelle.errors import Code, Reason
from service.listener.dimse import DOCUMENTS, IMAGES, LOSSLESS, NATIVE, STATUS, answer, contexts
from service.listener.hardening import WRITTEN_FOR
from service.listener.intake import Kept, KeptBefore, NotKept, Peer

DEFLATED = "1.2.840.10008.1.2.1.99"
KEPT = Kept(
    key="0" * 64,
    conflict=None,
    sop_instance_uid="1",
    sop_class_uid="2",
    transfer_syntax_uid="3",
    study_instance_uid="4",
    series_instance_uid="5",
    peer=Peer("a", "b", "c"),
    size_bytes=1,
    received_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_the_hardening_was_written_for_the_installed_version_of_pynetdicom() -> None:
    # It overrides private methods. Read what has changed there, run tests/integration/listener
    # and benchmarks.ingest, and only then change the number.
    assert pynetdicom.__version__ == WRITTEN_FOR


@pytest.mark.parametrize("outcome", [KEPT, KeptBefore("0" * 64)])
def test_success_is_what_is_on_disk(outcome: Kept | KeptBefore) -> None:
    assert answer(outcome, 0xC110) == (0x0000, "")


@pytest.mark.parametrize("code", [Code.INSTANCE_CONFLICT, Code.PATIENT_CORRECTION])
def test_a_conflict_has_the_status_of_the_settings(code: Code) -> None:
    from dataclasses import replace

    assert answer(replace(KEPT, conflict=code), 0xB123) == (0xB123, str(code))


@pytest.mark.parametrize("code", list(Code))
def test_whatever_the_reason_a_refusal_is_a_failure(code: Code) -> None:
    status, comment = answer(NotKept(Reason(code, "")), 0xC110)

    assert status == STATUS.get(code, 0xC001)
    assert status >> 12 in {0xA, 0xC}
    assert 0 < len(comment) <= 64


def test_every_context_is_one_that_can_be_kept_and_decoded() -> None:
    offered = {str(each.abstract_syntax): set(each.transfer_syntax) for each in contexts()}

    assert len(offered) == 1 + len(IMAGES) + len(DOCUMENTS)
    for uid in IMAGES:
        assert offered[uid] == {*NATIVE, *LOSSLESS}
    for uid in DOCUMENTS:
        assert offered[uid] == set(NATIVE)
    assert not any(DEFLATED in syntaxes for syntaxes in offered.values())


def test_the_receive_path_knows_neither_database_nor_queue() -> None:
    code = "import sys, service.listener.dimse; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"sqlalchemy", "celery", "fastapi", "redis"} & set(loaded)
