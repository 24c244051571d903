"""Who may associate with us: by name, by host, and by number."""

import socket
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from threading import Lock

from fontanelle.errors import Code
from fontanelle.settings import ListenerSettings, Source
from service.listener.association import (
    CALLED_UNKNOWN,
    CALLING_UNKNOWN,
    LOCAL_LIMIT,
    Rejection,
)
from service.listener.intake import Peer


class Door:
    """Knows the sources, and counts who is in."""

    def __init__(self, settings: ListenerSettings, sources: Sequence[Source]) -> None:
        self._settings = settings
        self._sources = {source.ae_title: source for source in sources}
        self._inside: Counter[str] = Counter()
        self._lock = Lock()

    def enter(self, peer: Peer) -> Rejection | None:
        """Let a peer in, or say why not."""
        if peer.called_ae_title != self._settings.ae_title:
            return Rejection(Code.ASSOCIATION_CALLED, *CALLED_UNKNOWN)
        source = self._sources.get(peer.calling_ae_title)
        if source is None:
            return Rejection(Code.ASSOCIATION_CALLING, *CALLING_UNKNOWN)
        if not _is_host(peer.host, source.host):
            # PS3.8 has no number for a wrong host; whoever calls so from there is not known.
            return Rejection(Code.ASSOCIATION_HOST, *CALLING_UNKNOWN)
        return self._counted_in(peer)

    def leave(self, peer: Peer) -> None:
        """Count a peer out that was let in."""
        with self._lock:
            self._inside[peer.host] -= 1
            if not self._inside[peer.host]:
                del self._inside[peer.host]

    @property
    def inside(self) -> int:
        """How many are in."""
        with self._lock:
            return self._inside.total()

    def _counted_in(self, peer: Peer) -> Rejection | None:
        with self._lock:
            is_full = self._inside.total() >= self._settings.maximum_associations
            of_host = self._inside[peer.host]
            if is_full or of_host >= self._settings.maximum_associations_per_host:
                return Rejection(Code.ASSOCIATION_LIMIT, *LOCAL_LIMIT)
            self._inside[peer.host] += 1
        return None


def _is_host(address: str, host: str) -> bool:
    """Tell whether an address is that of a host, given by address or by name."""
    try:
        wanted = {host, *(str(info[4][0]) for info in socket.getaddrinfo(host, None))}
    except OSError:
        return False
    return _plain(address) in {_plain(each) for each in wanted}


def _plain(address: str) -> str:
    """Return one spelling of an address; an IPv4 address may come in the dress of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found)
