"""Reading header values that may be absent, empty or malformed, without raising or warning.

pydicom warns of a malformed value with the value in its sentence, which may be a patient's: what
follows takes the bytes as they lie in the file.
"""

import logging
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime

from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.valuerep import TEXT_VR_DELIMS


def keep_values_out_of_logs() -> None:
    """Silence what pydicom says of malformed values: it prints them, and they may be a name."""
    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def element(header: Dataset, keyword: str) -> DataElement | RawDataElement | None:
    """Return an element as it lies in the file; None where it is absent or damaged."""
    try:
        return header.get_item(keyword)
    except (NotImplementedError, BytesLengthException):
        # pydicom converts some damaged elements here, and knows no VR for their bytes.
        return None


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    r"""Return the values of an attribute, split at `\` and stripped; none where it is empty.

    For comparing and matching: text in another character set than ASCII is not decoded.
    """
    found = element(header, keyword)
    value = None if found is None else found.value
    if isinstance(value, bytes):
        value = value.decode("latin-1").split("\\")
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = () if value is None else (value,)
    stripped = tuple(str(each).strip(" \0") for each in value)
    return stripped if any(stripped) else ()


def first_text(header: Dataset, keyword: str) -> str:
    """Return the first value, `""` where there is none."""
    return next(iter(texts(header, keyword)), "")


def name(header: Dataset, keyword: str) -> str:
    """Return a single value of the patient's, decoded by the header's character set, to be shown.

    A character set that is unknown is read as Latin; pydicom warns of it, without the value.
    """
    found = element(header, keyword)
    value = None if found is None else found.value
    if isinstance(value, bytes):
        encodings = convert_encodings(list(texts(header, "SpecificCharacterSet")) or None)
        value = decode_bytes(value, encodings, TEXT_VR_DELIMS)
    return "" if value is None else str(value).strip(" \0")


def decimals(header: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the finite numbers of a DS attribute; () where absent, empty or not numbers."""
    # The raw text is parsed here: pydicom would warn, with the value in the sentence, of a number
    # of more than 16 characters, which is common and harmless.
    found = element(header, keyword)
    value = None if found is None else found.value
    if isinstance(value, bytes):
        parts: Sequence[object] = value.decode("ascii", "replace").strip(" \0").split("\\")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = value
    else:
        parts = () if value is None else (value,)
    try:
        parsed = tuple(float(str(part)) for part in parts)
    except ValueError:
        return ()
    return parsed if all(map(math.isfinite, parsed)) else ()


def unsigned(header: Dataset, keyword: str) -> int | None:
    """Return the bit pattern of one US or SS value, 0..65535; None where there is none."""
    found = element(header, keyword)
    value = None if found is None else found.value
    if isinstance(found, RawDataElement) and isinstance(value, bytes) and len(value) == 2:
        return int.from_bytes(value, "little" if found.is_little_endian else "big")
    return value & 0xFFFF if isinstance(value, int) else None


def number(header: Dataset, keyword: str) -> float | None:
    """Return the one finite number of a DS or IS attribute, or None where there is not one."""
    values = decimals(header, keyword)
    return values[0] if len(values) == 1 else None


def day(header: Dataset, keyword: str) -> date | None:
    """Return a date, or None where it is absent, partial or impossible.

    Besides `YYYYMMDD` (PS3.5 6.2, DA) this reads ACR-NEMA's `YYYY.MM.DD`.
    """
    digits = first_text(header, keyword).replace(".", "")
    if len(digits) != 8 or not digits.isdecimal():
        return None
    try:
        return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
