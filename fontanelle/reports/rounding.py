"""How exactly numbers leave: the same in `report.json` and in the structured report."""

ML_DECIMALS = 3
Z_DECIMALS = 4
PERCENT_DECIMALS = 4
"""Of shares, centiles and asymmetry indices."""
CM_DECIMALS = 2
"""Of circumferences: a tape is read to millimetres, a scan is measured no finer than that."""


def ml(value: float | None) -> float | None:
    """Round a volume in mL."""
    return None if value is None else round(value, ML_DECIMALS)


def z_score(value: float | None) -> float | None:
    """Round a z."""
    return None if value is None else round(value, Z_DECIMALS)


def percent(value: float | None) -> float | None:
    """Round a share, a centile or an asymmetry index."""
    return None if value is None else round(value, PERCENT_DECIMALS)


def cm(value: float | None) -> float | None:
    """Round a circumference in cm."""
    return None if value is None else round(value, CM_DECIMALS)
