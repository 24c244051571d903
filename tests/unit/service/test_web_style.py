"""The style sheet: enough contrast for everybody, and no colour that says good or bad."""

import re

import pytest

from service.web.rendering import stylesheet

TEXT = 4.5
"""WCAG 2.2, 1.4.3: contrast of text."""
LINES = 3.0
"""WCAG 2.2, 1.4.11: contrast of what has to be seen and is no text."""


def colours() -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", stylesheet()))


def contrast(one: str, other: str) -> float:
    """Return the ratio of two colours as WCAG 2.2 defines it."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_measure_is_wcags_own() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    # The grey that WCAG's own documents give as the lightest that passes on white.
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, "paper") for text in ("ink", "faint", "blue", "stop", "warn")),
        *((text, "ground") for text in ("ink", "faint", "blue")),
        *((text, "stop-ground") for text in ("ink", "faint", "stop")),
        *((text, "warn-ground") for text in ("ink", "faint", "warn")),
        *((text, "note-ground") for text in ("ink", "faint")),
        ("ink", "band"),
    ],
)
def test_text_can_be_read_on_every_ground(text: str, ground: str) -> None:
    assert contrast(colours()[text], colours()[ground]) >= TEXT


def test_marks_of_the_strip_can_be_seen_on_its_band() -> None:
    assert contrast(colours()["blue"], colours()["band"]) >= LINES


def test_no_colour_is_a_red_or_a_green() -> None:
    for colour in colours().values():
        red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        assert max(red, green) - blue < 110 and not green > 1.3 * max(red, blue)


def test_whoever_uses_the_keyboard_sees_where_they_are() -> None:
    assert re.search(r"a:focus-visible.*outline: 3px solid", stylesheet(), re.DOTALL)


def test_the_style_takes_nothing_from_elsewhere() -> None:
    assert "url(" not in stylesheet() and "@import" not in stylesheet()
