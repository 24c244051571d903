"""Instances as the listener leaves them: first on the spool, then in the index."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from fontanelle.imaging.attributes import first_text
from fontanelle.records import intake
from fontanelle.records.database import Records
from fontanelle.records.files import Spool, spool_key
from fontanelle.records.intake import Received

Instance = Dataset | Path


def arrive(records: Records, spool: Path, instances: Iterable[Instance], **said: Any) -> int:
    """Have instances come in; return how many were new.

    Parameters
    ----------
    said
        What the index shall say else than the headers: `source`, `quiet_period_s`.
    """
    return index(records, keep(spool, instances), **said)


def keep(spool: Path, instances: Iterable[Instance]) -> list[Received]:
    """Put instances on the spool and return what the index is to say of them."""
    with Spool(spool).writing() as opened:
        return [_kept(opened, instance) for instance in instances]


def index(records: Records, received: Sequence[Received], **said: Any) -> int:
    """Write the rows of instances that are on the spool."""
    with records.begin() as session:
        return intake.index(session, [replace(each, **said) for each in received])


def _kept(spool: Spool, instance: Instance) -> Received:
    content = instance.read_bytes() if isinstance(instance, Path) else _written(instance)
    header = dcmread(BytesIO(content), stop_before_pixels=True)
    key = spool_key(first_text(header, "SOPInstanceUID"))
    with spool.begin() as temporary:
        temporary.write(content)
        spool.keep(temporary, key)
    patient = "|".join(first_text(header, name) for name in ("PatientID", "PatientName"))
    return Received(
        spool_key=key,
        sop_instance_uid=first_text(header, "SOPInstanceUID"),
        sop_class_uid=first_text(header, "SOPClassUID"),
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        study_instance_uid=first_text(header, "StudyInstanceUID"),
        series_instance_uid=first_text(header, "SeriesInstanceUID"),
        patient_id=first_text(header, "PatientID"),
        issuer=None,
        patient_digest=hashlib.sha256(patient.encode()).hexdigest(),
        accession_number=None,
        study_date=None,
        modality=first_text(header, "Modality"),
        series_number=None,
        description=None,
        source="SCANNER",
        quiet_period_s=0.0,
    )


def _written(instance: Dataset) -> bytes:
    content = BytesIO()
    instance.save_as(content, enforce_file_format=True)
    return content.getvalue()
