"""Which ports the roles listen on: those of the settings, or free ones where they say 0."""

import errno
import socket

from fontanelle.errors import Code, Unavailable
from fontanelle.settings import Settings


def with_ports(settings: Settings) -> Settings:
    """Return the settings with a free port where they say 0.

    Raises
    ------
    Unavailable
        PORT_TAKEN where one cannot be listened on.
    """
    listener, api = settings.listener, settings.api
    return settings.model_copy(
        update={
            "listener": listener.model_copy(
                update={"port": usable(listener.host, listener.port, "FONTANELLE_LISTENER_PORT")}
            ),
            "api": api.model_copy(
                update={"port": usable(api.host, api.port, "FONTANELLE_API_PORT")}
            ),
        }
    )


def usable(host: str, port: int, setting: str) -> int:
    """Return the port if it can be listened on, a free one for 0.

    Parameters
    ----------
    setting
        Where another one can be chosen.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            # A connection that has just ended keeps nobody from listening.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            found: int = tried.getsockname()[1]
            return found
    except OSError as error:
        raise Unavailable(
            Code.PORT_TAKEN, f"{host}:{port} cannot be listened on: {_why(error)} ({setting})."
        ) from error


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program does; stop it or choose another port"
    if error.errno == errno.EACCES:
        return "ports below 1024 need more rights; choose another one"
    return error.strerror or "no such address"
