"""docker-compose.yml and docker/Dockerfile, read; and their services as processes of this machine.

No container engine is needed: a service is started with the entrypoint of its image, its own
command and its own environment. Every path of the container that these name is mapped to a folder
that holds what would be mounted there, and what it must not write is looked at afterwards.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.servers import free_port
from tests.waiting import LIMIT_S

ROOT = Path(__file__).parents[1]
HOME = "/var/lib/fontanelle"
IN_IMAGE = ("spool", "results", ".cache")
"""What the image has in HOME, empty."""
SECRETS = "/run/secrets"


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables in as Compose does: `${NAME:-default}`, and `$$` for a dollar."""
    if isinstance(value, Mapping):
        return {key: interpolated(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match["name"]) or match["default"]

    return re.sub(r"\$\$|\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", found, value)


def compose(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read docker-compose.yml as with these variables in `.env`."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    read: dict[str, Any] = interpolated(yaml.safe_load(text), variables or {})
    return read


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile, with what it has from its parents."""

    parent: "Stage | str"
    instructions: tuple[tuple[str, str], ...]

    @property
    def own(self) -> "list[tuple[str, str]]":
        """All instructions, the parents' first."""
        before = self.parent.own if isinstance(self.parent, Stage) else []
        return [*before, *self.instructions]

    def last(self, word: str) -> str:
        """Return what an instruction says last."""
        return [text for name, text in self.own if name == word][-1]

    @cached_property
    def environment(self) -> dict[str, str]:
        """What its ENV say."""
        pairs = [shlex.split(text) for name, text in self.own if name == "ENV"]
        return dict(pair.split("=", 1) for each in pairs for pair in each)

    @property
    def entrypoint(self) -> list[str]:
        """The program."""
        found: list[str] = json.loads(self.last("ENTRYPOINT"))
        return found


def stages() -> dict[str, Stage]:
    """Read docker/Dockerfile."""
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    found: dict[str, Stage] = {}
    for word, said in (line.split(maxsplit=1) for line in lines if line):
        if word == "FROM":
            parent, _, name = said.partition(" AS ")
            found[name] = Stage(found.get(parent, parent), ())
        else:
            name, stage = list(found.items())[-1]
            found[name] = Stage(stage.parent, (*stage.instructions, (word, said)))
    return found


def made_secrets(folder: Path) -> Path:
    """Make secrets as a site does."""
    subprocess.run([ROOT / "docker/make-secrets", folder], check=True, capture_output=True)
    return folder


class Container:
    """A service as processes of this machine.

    Parameters
    ----------
    name
        Of the service.
    folder
        Where its file system is made.
    secrets
        Folder of the secrets' files.
    """

    def __init__(self, name: str, folder: Path, secrets: Path) -> None:
        self.service = compose()["services"][name]
        self._stage = stages()[self.service["build"]["target"]]
        self.folder = folder
        self.home = folder / "home"
        self._places = {f"{SECRETS}/{each}": secrets / each for each in self.service["secrets"]}
        self._places |= dict(self._mounted())
        self._places[HOME] = self.home
        for each in IN_IMAGE:
            (self.home / each).mkdir(parents=True, exist_ok=True)
        self.environment = self._environment()

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as `docker compose exec` or a health check does."""
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    @property
    def main(self) -> list[str]:
        """The program that the container lives with."""
        return [*self._stage.entrypoint, *self.service["command"]]

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it; whatever happens it does not outlive the context."""
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                self.main, env=self.environment, cwd=self.home, stdout=log, stderr=log
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    @property
    def log(self) -> str:
        """What the program said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def written(self) -> list[str]:
        """Return what was written where nothing can be: the image's files, read-only mounts."""
        writable = {
            target.removeprefix(HOME + "/")
            for target, mode in self.volumes.values()
            if mode != "ro"
        }
        files = [path.relative_to(self.home) for path in self.home.rglob("*")]
        return [
            str(path)
            for path in files
            if path.parts[0] not in writable and str(path) not in IN_IMAGE
        ]

    @property
    def volumes(self) -> dict[str, tuple[str, str]]:
        """The named volumes that it has: where, and how."""
        found = {}
        for each in self.service.get("volumes", []):
            if isinstance(each, str):
                name, target, *mode = each.split(":")
                found[name] = (target, mode[0] if mode else "rw")
        return found

    def _mounted(self) -> Iterator[tuple[str, Path]]:
        for each in self.service.get("volumes", []):
            if isinstance(each, dict):
                yield each["target"], ROOT / each["source"]

    def _environment(self) -> dict[str, str]:
        said = self._stage.environment | self.service["environment"]
        ports = {name: str(free_port()) for name in said if name.endswith("_PORT")}
        found = {name: self._local(value) for name, value in said.items()} | ports
        return found | {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}

    def _local(self, value: str) -> str:
        """Return a value of the container as it is on this machine."""
        if value == "0.0.0.0":  # noqa: S104 (taken out)
            return "127.0.0.1"
        return str(self._places[value]) if value.startswith("/") and ":" not in value else value
