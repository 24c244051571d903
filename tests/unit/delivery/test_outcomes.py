"""Statuses: what counts as stored, and how each is said."""

import pytest

from service.delivery.outcomes import Sent, words


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0xB123])
def test_success_duplicate_and_warnings_count_as_stored(status: int) -> None:
    assert Sent(status).is_stored


@pytest.mark.parametrize(
    "status", [0x0001, 0x0110, 0x0117, 0x0122, 0x0124, 0xA700, 0xA900, 0xC000, 0xC110, 0xFE00]
)
def test_everything_else_does_not(status: int) -> None:
    assert not Sent(status).is_stored


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0x0000, "0x0000 (stored)"),
        (0x0111, "0x0111 (there already)"),
        (0xA700, "0xA700 (out of resources)"),
        (0xA7FF, "0xA7FF (out of resources)"),
        (0xB00F, "0xB00F (stored with a warning)"),
        (0xC110, "0xC110 (not understood, or refused for the receiver's own reason)"),
        (0x0999, "0x0999 (failure)"),
    ],
)
def test_each_status_is_said_with_its_number(status: int, said: str) -> None:
    assert words(status) == said
