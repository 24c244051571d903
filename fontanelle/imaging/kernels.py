"""How sharp a reconstruction kernel is, by the vendors' names.

Names are matched without regard to the manufacturer: what they share (`B`, `B30f`) does not
contradict. Vendors publish no table of their kernels; the grades follow their conventions of
naming, as protocols and papers use them, and a name that is not listed is called unknown.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

from fontanelle.imaging.attributes import texts
from fontanelle.imaging.series import Series


class Sharpness(IntEnum):
    """Of a kernel, best for the brain first."""

    SOFT = 0
    MODERATE = 1
    UNKNOWN = 2
    SHARP = 3


@dataclass(frozen=True, slots=True)
class Kernels:
    """Kernel names of one vendor that have one sharpness."""

    vendor: str
    pattern: str
    sharpness: Sharpness


KERNELS = (
    Kernels("GE", r"STANDARD|STND|STD\+?|SOFT|SMOOTH|NEURO", Sharpness.SOFT),
    Kernels("GE", r"DETAIL", Sharpness.MODERATE),
    Kernels("GE", r"(HD )?(BONE|BONE ?(PLUS|\+)|EDGE|EDGE ?(PLUS|\+)|LUNG|ULTRA)", Sharpness.SHARP),
    # Siemens: letters for the body part, two digits that grow with sharpness; 50 is 'medium sharp'.
    Kernels("Siemens", r"(B|H|J|T|Q|U|BR|HR|HC|HV|BV|QR|BF|BL|I)[1-4]\d[A-Z]*", Sharpness.SOFT),
    Kernels("Siemens", r"(B|H|J|T|Q|U|BR|HR|HC|HV|BV|QR|BF|BL|UR|I)[5-9]\d[A-Z]*", Sharpness.SHARP),
    Kernels("Philips", r"A|B|C|SA|SB|UA|UB|UC", Sharpness.SOFT),
    Kernels("Philips", r"D|E|F|L|LA|LB|EC|Y[A-E]", Sharpness.SHARP),
    # Canon: FC20-29, FC40-49 and FC60-69 are for the brain, FC01-19 for the body.
    Kernels("Canon", r"FC(0[1-9]|1\d|2\d|4\d|6\d)(-H)?", Sharpness.SOFT),
    Kernels("Canon", r"FC(3\d|5\d|8\d)(-H)?", Sharpness.SHARP),
    Kernels("in words", r".*\b(SHARP|BONE|LUNG|EDGE)\b.*", Sharpness.SHARP),
    Kernels("in words", r".*\b(SOFT|SMOOTH|STANDARD|BRAIN)\b.*", Sharpness.SOFT),
)
"""Searched from the top for a match of the whole name, in capitals."""

_HINT_OF_SHARP = re.compile(r"\b(BONE|BONES|SHARP|LUNG|EDGE|KNOCHEN|OSSEUX|OSEO|HUESO)\b|骨")


def sharpness_of_kernel(name: str) -> Sharpness:
    """Grade a kernel by the first value of ConvolutionKernel."""
    wanted = name.strip().upper().replace("_", " ")
    for kernels in KERNELS:
        if re.fullmatch(kernels.pattern, wanted):
            return kernels.sharpness
    return Sharpness.UNKNOWN


def kernel_names(series: Series) -> tuple[str, ...]:
    """Return the kernels of a series, each once, sorted.

    Siemens writes a second value, the strength of its iterative reconstruction: it is no kernel.
    """
    values = (texts(instance.header, "ConvolutionKernel") for instance in series.instances)
    return tuple(sorted({value[0] for value in values if value}))


def sharpness(series: Series) -> Sharpness:
    """Return the sharpest grade among the kernels of a series.

    Where no ConvolutionKernel is written, SeriesDescription is asked for a hint of a sharp one:
    good enough to prefer another series, never to limit or reject this one.
    """
    names = kernel_names(series)
    if names:
        return max(sharpness_of_kernel(name) for name in names)
    descriptions = " ".join(
        " ".join(texts(instance.header, "SeriesDescription")) for instance in series.instances[:1]
    )
    hinted = _HINT_OF_SHARP.search(descriptions.upper().replace("_", " "))
    return Sharpness.SHARP if hinted else Sharpness.UNKNOWN
