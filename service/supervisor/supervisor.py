"""The supervisor: embedded servers, the schema, five roles; kept running until it is stopped."""

import logging
import os
import re
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from pydantic import SecretStr

from fontanelle import log
from fontanelle.errors import Code, Unavailable
from fontanelle.settings import Settings
from service.embedded.child import Child, Program
from service.embedded.postgres import Postgres
from service.embedded.server import Say, Server, silent
from service.embedded.valkey import Valkey
from service.supervisor.composition import Parts, absolute, role_environment
from service.supervisor.folder import DataFolder, Running
from service.supervisor.keeper import Keeper, Limits, Seen, Sign
from service.supervisor.ports import with_ports
from service.supervisor.probes import Probe

_LOG = logging.getLogger(__name__)

LOOK_S: Final = 0.1
PROBE_S: Final = 3.0
START_S: Final = 120.0
"""What a role is given until its first sign of life."""
JOIN_S: Final = 5.0
"""What the last look at a role is given to end; it holds nothing that must be closed."""
GIVE_UP_AFTER: Final = 3
"""A role that ended so often before its first sign of life will not come by itself."""


class Supervisor:
    """Everything that `up` runs; a context manager that starts it and ends it.

    The thread that starts it must live until it is stopped: Linux ends the servers with it.

    Parameters
    ----------
    settings
        What was asked for; `settings` of the supervisor says what became of it.
    say
        Is told what is waited for.
    """

    def __init__(
        self, settings: Settings, *, say: Say = silent, parts: Parts | None = None
    ) -> None:
        self.settings = settings
        self._say = say
        self._parts = parts or Parts()
        self._stack = ExitStack()
        self._keepers: dict[str, Keeper] = {}
        self._roles: tuple[str, ...] = ()
        self._looks: dict[str, Probe] = {}
        self._seen: dict[str, Seen] = {}
        self._ending = Event()
        self._watched = Event()
        self._ended = Event()
        self._hurry = False
        self._threads: list[Thread] = []

    def start(self) -> Self:
        """Start servers, bring the schema to this version, start the roles.

        Raises
        ------
        Unavailable
            Where something that is needed is missing; nothing is left running.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self, limit_s: float = START_S * 5) -> None:
        """Wait until every role has shown that it is well.

        Raises
        ------
        Unavailable
            If one ends again and again, or the limit comes first.
        """
        until = time.monotonic() + limit_s
        while waited_for := self.waited_for():
            for sentence in self.failing().values():
                raise Unavailable(Code.ROLE_FAILS, sentence)
            if time.monotonic() > until or not self.is_watching:
                raise Unavailable(
                    Code.ROLE_FAILS,
                    f"Not ready: {', '.join(waited_for)}; see {self.settings.data / 'logs'}.",
                )
            time.sleep(LOOK_S)

    def waited_for(self) -> list[str]:
        """Return the roles that are not well, or not yet."""
        return [role for role in self._roles if not self._keepers[role].is_ready]

    @property
    def is_watching(self) -> bool:
        """Tell whether the supervisor itself is well."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def pids(self) -> dict[str, int]:
        """The process of each role and server that runs."""
        running = {name: keeper.child for name, keeper in self._keepers.items()}
        return {name: child.pid for name, child in running.items() if child is not None}

    def hurry(self) -> None:
        """Kill the roles instead of waiting for them, from now on."""
        self._hurry = True

    def stop(self) -> None:
        """End roles, then servers, and wait until they have ended."""
        self._ending.set()
        if self._threads:
            self._watched.wait()
        self._stop_roles()
        self._stack.close()
        self._ended.set()
        for thread in self._threads:
            thread.join(JOIN_S)
        self._threads = []
        self._keepers = {}

    def _start(self) -> None:
        settings = absolute(self.settings)
        stop_s = settings.supervisor.stop_s
        folder = self._stack.enter_context(DataFolder(settings.data, stop_s=stop_s, say=self._say))
        settings = with_ports(settings)
        settings, running = self._with_servers(settings)
        assert settings.database_url is not None  # noqa: S101
        self._say("bringing the database to this version ...")
        self._parts.migrate(settings.database_url.get_secret_value())
        self.settings = settings
        self._looks |= self._parts.probes(settings, self._stack)
        self._keep_roles(folder)
        self._begin_to_watch()
        folder.tell(running)

    def _with_servers(self, settings: Settings) -> tuple[Settings, Running]:
        """Start what no address is given for."""
        fsync, addresses = settings.supervisor.fsync, {}
        if settings.database_url is None:
            addresses["database_url"] = self._serve(
                Postgres(settings.data, fsync=fsync, say=self._say)
            )
        if settings.broker_url is None:
            valkey = Valkey(settings.data, fsync=fsync, say=self._say)
            addresses["broker_url"] = self._serve(valkey)
            self._looks[valkey.name] = lambda _: Sign.ALIVE if valkey.is_ready() else Sign.SILENT
        running = Running(
            os.getpid(),
            addresses.get("database_url"),
            addresses.get("broker_url"),
            (settings.listener.host, settings.listener.port),
            (settings.api.host, settings.api.port),
        )
        given = {name: SecretStr(url) for name, url in addresses.items()}
        return settings.model_copy(update=given), running

    def _serve(self, server: Server) -> str:
        self._stack.enter_context(server)
        assert server.child is not None  # noqa: S101
        keeper = Keeper(server.name, lambda: _relaunched(server), self._limits(server.name))
        keeper.adopt(server.child)
        self._keepers[server.name] = keeper
        return server.url

    def _keep_roles(self, folder: DataFolder) -> None:
        environment = role_environment(os.environ, self.settings)
        found = self._parts.commands()
        for role, command in found.items():
            log_file = self.settings.data / "logs" / f"{role}.log"
            program = Program(
                role, command, environment, log=log_file, inherited=(folder.inherited,)
            )
            self._keepers[role] = Keeper(role, partial(Child, program), self._limits(role))
        self._roles = tuple(found)

    def _begin_to_watch(self) -> None:
        for keeper in self._keepers.values():
            keeper.look()
        self._threads = [
            Thread(target=self._watch, name="watch", daemon=True),
            *(
                Thread(target=self._observe, args=each, name=f"observe {each[0]}", daemon=True)
                for each in self._looks.items()
            ),
        ]
        for thread in self._threads:
            thread.start()

    def _limits(self, name: str) -> Limits:
        if self._parts.limits is not None:
            return self._parts.limits
        # A worker may have to build its engine first.
        start_s = self.settings.worker.wall_limit_s if name == "worker" else START_S
        return Limits(self.settings.supervisor.stalled_s, max(START_S, start_s))

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_S):
            for name, keeper in self._keepers.items():
                keeper.look(self._seen.get(name))
        self._watched.set()
        # Whom this thread has started would end with it.
        self._ended.wait()

    def _observe(self, role: str, probe: Probe) -> None:
        """Look at one role again and again; a look may take long, so each has a thread."""
        keeper, sign = self._keepers[role], Sign.UNKNOWN
        while not self._ending.wait(_until_next_look_s(sign, keeper)):
            child = keeper.child
            if child is None:
                continue
            try:
                sign = probe(child.pid)
            except Exception as error:  # noqa: BLE001 (outermost loop of a thread)
                log.failure(_LOG, "supervisor.probe", error, role=role)
                sign = Sign.UNKNOWN
            self._seen[role] = Seen(child.pid, sign)

    def _stop_roles(self) -> None:
        children = [self._keepers[role].child for role in self._roles]
        living = [child for child in children if child is not None]
        for child in living:
            child.ask_to_end()
        until = time.monotonic() + self.settings.supervisor.stop_s
        while any(child.exit_code is None for child in living):
            if time.monotonic() > until or self._hurry:
                break
            time.sleep(LOOK_S / 5)
        for child in living:
            if child.exit_code is None:
                log.warning(_LOG, "supervisor.killed", role=child.program.name, pid=child.pid)
                child.kill()
                child.wait(None)

    def failing(self) -> dict[str, str]:
        """Return the roles that end again and again before they are well, each with a sentence."""
        return {
            role: self._sentence(role)
            for role in self._roles
            if self._keepers[role].ends >= GIVE_UP_AFTER
        }

    def _sentence(self, role: str) -> str:
        log_file = self.settings.data / "logs" / f"{role}.log"
        return (
            f"The {role} ends with exit code {self._keepers[role].exit_code} again and again"
            f"{_last_words(log_file)}; see {log_file}."
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _relaunched(server: Server) -> Child:
    server.launch()
    assert server.child is not None  # noqa: S101
    return server.child


def _until_next_look_s(sign: Sign, keeper: Keeper) -> float:
    if sign is Sign.ALIVE:
        return PROBE_S
    return PROBE_S / 3 if keeper.is_ready else LOOK_S


def _last_words(log_file: Path) -> str:
    """Return the reason that a role gave at its end, if it is one of our sentences."""
    try:
        last = log_file.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        return ""
    return f" ({last})" if re.match(r"[a-z_]+\.[a-z_]+: ", last) else ""
