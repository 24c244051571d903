"""The files of a result: exactly the bytes that were stored."""

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from fontanelle.errors import Code, Refused
from fontanelle.records import analyses
from service.api.auth import ServiceDep
from service.api.lists import JSON, has_already
from service.api.models import Id

reading = APIRouter(prefix="/analyses", tags=["analyses"])


class FileName(StrEnum):
    """The files that a result may have."""

    SEGMENTATION = "segmentation.dcm"
    STRUCTURED_REPORT = "report.dcm"
    LABELS = "labels.nii.gz"
    OVERLAY = "overlay.png"
    REPORT = "report.json"


MEDIA_TYPES: Final = {
    FileName.SEGMENTATION: "application/dicom",
    FileName.STRUCTURED_REPORT: "application/dicom",
    FileName.LABELS: "application/gzip",
    FileName.OVERLAY: "image/png",
    FileName.REPORT: JSON,
}
_CONTENT: Final = {
    200: {"description": "The file.", "content": {kind: {} for kind in set(MEDIA_TYPES.values())}}
}


@reading.get("/{analysis_id}/{name}", response_class=Response, responses=_CONTENT)  # type: ignore[arg-type]
def read_file(
    request: Request, service: ServiceDep, analysis_id: Annotated[Id, Path()], name: FileName
) -> Response:
    """Return a file of a result; its entity tag is its SHA-256."""
    with service.records.begin() as session:
        analyses.get(session, analysis_id)
        stored = next(
            (each for each in analyses.objects(session, analysis_id) if each.name == name), None
        )
    if stored is None:
        raise Refused(
            Code.NOT_FOUND,
            f"Analysis {analysis_id} has no {name}: it has not ended, was not measured, or is "
            "withheld.",
        )
    tag = f'"{stored.sha256}"'
    if has_already(request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    content = service.store.read(stored.store_key)
    shown = "inline" if name is FileName.OVERLAY else "attachment"
    headers = {
        "ETag": tag,
        "Content-Disposition": f'{shown}; filename="analysis-{analysis_id}-{name}"',
    }
    return Response(content, headers=headers, media_type=MEDIA_TYPES[name])
