"""What may be said of a withheld result: that it is withheld, and under which codes.

A number that failed its checks would be believed, also where it stands in a sentence or was the
ground of a check that passed.
"""

from dataclasses import replace

from fontanelle.errors import Reason
from fontanelle.imaging.quality import QualityCheck
from fontanelle.reports.result import Fitness, Result

FAMILY = "quality."
"""Codes whose sentences speak of the segmentation; all others speak of the scan or the child."""
SILENT = "What it rests on is withheld with the result."


def redacted(result: Result) -> Result:
    """Return the result as it may leave: as it is, or where it is withheld without its numbers.

    A withheld result keeps the name, grade and code of each check. Volumes, comparison, head size,
    changes and the numbers that checks rest on go; a sentence about quality becomes the meaning of
    its code.
    """
    if result.fitness is not Fitness.WITHHELD:
        return result
    return replace(
        result,
        volumes=None,
        comparison=None,
        head=None,
        earlier=(),
        quality=tuple(_silent(check) for check in result.quality),
        reasons=tuple(_meant(reason) for reason in result.reasons),
        remarks=tuple(_meant(remark) for remark in result.remarks),
    )


def _silent(check: QualityCheck) -> QualityCheck:
    reason = None if check.reason is None else _meant(check.reason)
    sentence = SILENT if reason is None else reason.sentence
    return replace(check, value=None, sentence=sentence, reason=reason, uncertainty_ml=None)


def _meant(reason: Reason) -> Reason:
    return replace(reason, sentence=reason.code.meaning) if _of_quality(reason) else reason


def _of_quality(reason: Reason) -> bool:
    return reason.code.value.startswith(FAMILY)
