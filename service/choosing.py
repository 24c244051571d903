"""Which series of a study is measured: the library's selection, on what lies on the spool."""

from collections.abc import Sequence
from pathlib import Path
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


def _selected(candidates: Sequence[CompleteSeries], spool: Spool) -> list[Decision]:
    """Select among the candidates; one that cannot be read is no obstacle to the others."""
    if not candidates:
        return []
    try:
        return list(select(read_study(_files(candidates, spool)).series).decisions)
    except Refused as refusal:
        unreadable = _unreadable(candidates, spool)
        if not unreadable:
            # Each by itself is sound: it is together that they make no study.
            return [_refused(each, refusal.reason) for each in candidates]
    uids = {each.series_instance_uid for each in unreadable}
    rest = [each for each in candidates if each.series_instance_uid not in uids]
    return [*unreadable, *_selected(rest, spool)]


def _unreadable(candidates: Sequence[CompleteSeries], spool: Spool) -> list[Decision]:
    found = []
    for each in candidates:
        try:
            read_study(_files([each], spool))
        except Refused as refusal:
            found.append(_refused(each, refusal.reason))
    return found


def _files(series: Sequence[CompleteSeries], spool: Spool) -> list[Path]:
    return [spool.path(each.spool_key) for one in series for each in one.instances]


def _refused(series: CompleteSeries, reason: Reason) -> Decision:
    return Decision(series.series_instance_uid, chosen=False, reasons=(reason,))


def _decision(found: CompleteSeries, decided: Decision | None) -> SeriesDecision:
    if decided is None:
        reason = Reason(Code.NEVER_MEASURED, Code.NEVER_MEASURED.meaning)
        return SeriesDecision(found.series_id, found.revision, selected=False, reasons=(reason,))
    return SeriesDecision(found.series_id, found.revision, decided.chosen, decided.reasons)
