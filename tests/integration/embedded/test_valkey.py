"""Valkey of our own: messages survive it, and messages that cannot be read do not stop it."""

import shutil
import socket
from contextlib import closing
from pathlib import Path

import pytest

from fontanelle.errors import Code, Unavailable
from service.embedded import valkey
from service.embedded.valkey import Valkey


def ask(server: Valkey, line: str) -> str:
    with closing(socket.socket(socket.AF_UNIX)) as peer:
        peer.connect(str(server.socket))
        peer.sendall(f"{line}\r\n".encode())
        return peer.recv(4096).decode()


def test_a_message_is_there_again_after_a_stop_and_after_a_kill(data_folder: Path) -> None:
    with Valkey(data_folder) as server:
        ask(server, "LPUSH queue 4711")
    with Valkey(data_folder) as server:
        assert ask(server, "LLEN queue") == ":1\r\n"
        assert server.child is not None
        server.child.kill()
        server.child.wait(None)

        server.start()

        assert ask(server, "LLEN queue") == ":1\r\n"


def test_messages_that_cannot_be_read_are_put_aside(data_folder: Path) -> None:
    with Valkey(data_folder) as server:
        ask(server, "LPUSH queue 4711")
    for path in (data_folder / "valkey" / "messages").iterdir():
        path.write_bytes(b"no such file" * 9)

    with Valkey(data_folder) as server:
        assert ask(server, "LLEN queue") == ":0\r\n"
    assert (data_folder / "valkey" / "unreadable").is_dir()


def test_nobody_else_reaches_it(data_folder: Path) -> None:
    with Valkey(data_folder) as server:
        assert server.socket.parent.stat().st_mode & 0o777 == 0o700
        assert ask(server, "CONFIG GET port").split() == ["*2", "$4", "port", "$1", "0"]
        assert "noeviction" in ask(server, "CONFIG GET maxmemory-policy")


def test_two_do_not_share_a_folder(data_folder: Path) -> None:
    with Valkey(data_folder) as first:
        with pytest.raises(Unavailable) as refused:
            Valkey(data_folder).start()

        assert ask(first, "PING") == "+PONG\r\n"
    assert refused.value.reason.code is Code.DATA_FOLDER


def test_a_data_path_that_is_long_or_odd_has_its_socket_elsewhere(data_folder: Path) -> None:
    folder = data_folder / ("a long, odd name " * 6)
    folder.mkdir()

    with Valkey(folder) as server:
        assert ask(server, "PING") == "+PONG\r\n"


def test_a_server_of_the_system_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = valkey.server_program()
    found = tmp_path / "valkey-server"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    for version, taken in (("7.0.15", packaged), ("7.2", found), ("8.1.4", found)):
        found.write_text(f"#!/bin/sh\necho 'Valkey server v={version} sha=0'\n")
        found.chmod(0o755)
        assert valkey.server_program() == taken


def test_where_there_is_no_server_one_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(valkey, "find_spec", lambda _: None)

    with pytest.raises(Unavailable, match="FONTANELLE_BROKER_URL"):
        valkey.server_program()
