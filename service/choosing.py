"""Which series of a study is measured: the library's selection, on what lies on the spool."""

from collections.abc import Sequence
from typing import Final

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from fontanelle.errors import Code, Reason, Refused
from fontanelle.imaging.selection import Decision, select
from fontanelle.imaging.series import read_study
from fontanelle.records.files import Spool
from fontanelle.records.series import CompleteSeries, SeriesDecision

MEASURABLE: Final = frozenset(
    map(
        str,
        (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage),
    )
)
"""SOP classes of which a series may be measured, if its headers and voxels allow it."""


def decisions_on(found: Sequence[CompleteSeries], spool: Spool) -> list[SeriesDecision]:
    """Decide on every series of a study, by headers alone."""
    candidates = [each for each in found if _is_measurable(each)]
    decided = {each.series_instance_uid: each for each in _selected(candidates, spool)}
    return [_decision(each, decided.get(each.series_instance_uid)) for each in found]


def _is_measurable(found: CompleteSeries) -> bool:
    return any(each.sop_class_uid in MEASURABLE for each in found.instances)


def _selected(candidates: Sequence[CompleteSeries], spool: Spool) -> Sequence[Decision]:
    """Select among the candidates; what cannot be read is a reason of all of them."""
    files = [spool.path(each.spool_key) for one in candidates for each in one.instances]
    if not files:
        return ()
    try:
        return select(read_study(files).series).decisions
    except Refused as refusal:
        return [
            Decision(each.series_instance_uid, chosen=False, reasons=(refusal.reason,))
            for each in candidates
        ]


def _decision(found: CompleteSeries, decided: Decision | None) -> SeriesDecision:
    if decided is None:
        reason = Reason(Code.NEVER_MEASURED, Code.NEVER_MEASURED.meaning)
        return SeriesDecision(found.series_id, found.revision, selected=False, reasons=(reason,))
    return SeriesDecision(found.series_id, found.revision, decided.chosen, decided.reasons)
