"""Moments as the database counts them: no two machines compare clocks."""

from datetime import datetime

from sqlalchemy import ColumnElement, func


def now() -> ColumnElement[datetime]:
    """Return the time of the statement, not of the transaction's start."""
    return func.clock_timestamp()


def after(seconds: float) -> ColumnElement[datetime]:
    """Return so many seconds from now."""
    # The seventh argument of make_interval counts seconds.
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def ago(seconds: float) -> ColumnElement[datetime]:
    """Return so many seconds before now."""
    return after(-seconds)
