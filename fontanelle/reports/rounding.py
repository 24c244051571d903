"""How exactly numbers leave: the same in `report.json` and in the structured report."""

ML_DECIMALS = 3
Z_DECIMALS = 4
PERCENT_DECIMALS = 4
"""Of shares, centiles and asymmetry indices."""
