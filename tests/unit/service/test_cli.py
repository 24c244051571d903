"""How a run of the command line ends: exit codes, and what is said on which stream."""

from importlib import import_module
from pathlib import Path

import pytest

from fontanelle.errors import FontanelleError
from service import cli
from service.lazy import LazyGroup


@pytest.fixture(autouse=True)
def _endings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "end", ("tests.unit.service.endings", "Ends somehow."))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        # The design's table: 0 done, 1 bug, 2 wrong usage, 3 refused or withheld, 4 away.
        (["end", "well"], 0),
        (["end", "bug"], 1),
        (["end", "no-such"], 2),
        (["end", "well", "--no-such"], 2),
        (["no-such"], 2),
        ([], 2),
        (["end", "refused"], 3),
        (["end", "withheld"], 3),
        (["end", "unavailable"], 4),
        (["--help"], 0),
    ],
)
def test_each_ending_has_its_exit_code(arguments: list[str], code: int) -> None:
    assert cli.run(arguments) == code


def test_every_error_that_is_raised_on_purpose_has_an_exit_code() -> None:
    kinds = FontanelleError.__subclasses__()

    assert kinds
    assert all(issubclass(kind, tuple(cli.EXIT_CODES)) for kind in kinds)


def test_a_refusal_is_one_sentence_with_its_code_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.run(["end", "refused"])

    out, err = capsys.readouterr()
    assert out == ""
    assert err == "admission.position_duplicate: 3 slices share a position.\n"


def test_a_bug_shows_where_it_is_but_no_value_that_could_name_a_patient(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.run(["end", "bug"])

    _, err = capsys.readouterr()
    assert "endings.py" in err and "RuntimeError" in err and "KeyError" in err
    shown = [line for line in err.splitlines() if not line.startswith("    ")]
    assert "SMITH" not in "".join(shown)


def test_an_interruption_is_told_apart_from_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["end", "interrupted"]) == 130

    assert "Traceback" not in capsys.readouterr().err


def test_help_names_every_command_and_what_this_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["--help"])

    out = capsys.readouterr().out
    assert "not a medical device" in out and "synthetic CT" in out
    for name, (_, text) in cli.COMMANDS.items():
        assert name in out and text.split(",")[0] in out


def test_the_table_of_commands_and_the_changes_name_every_subcommand() -> None:
    changes = (Path(__file__).parents[3] / "CHANGELOG.md").read_text(encoding="utf-8")
    for name, (module, text) in list(cli.COMMANDS.items()):
        if name == "end":
            continue
        said = import_module(module).command
        inner = list(said.table if isinstance(said, LazyGroup) else getattr(said, "commands", ()))
        assert [sub for sub in inner if sub not in text.lower()] == []
        assert f"`fontanelle {name}{' ' if inner else ''}{'|'.join(inner)}" in changes


@pytest.mark.parametrize("name", ["analyse", "demo", "models", "norms"])
def test_every_command_of_the_table_can_be_called(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([name, "--help"]) == 0

    assert "Usage: fontanelle" in capsys.readouterr().out
