"""rtnetlink(7): the few link, address, route and neighbour requests that packet sources and the network lab need.

Messages that a dump returned can be sent back as they are (the way `ip route save` and `restore` work), so saving and
restoring the configuration of an interface loses no attribute.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Self

from stingless.frozen import frozen

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _GETADDR, _NEWROUTE, _GETROUTE, _NEWNEIGH, _GETNEIGH = 20, 22, 24, 26, 28, 30
_F_REQUEST, _F_ACK, _F_ROOT, _F_MATCH, _F_REPLACE, _F_EXCL, _F_CREATE = 0x1, 0x4, 0x100, 0x200, 0x100, 0x200, 0x400
_NLMSG_ERROR, _NLMSG_DONE = 2, 3

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_TXQLEN, _IFLA_LINKINFO = 1, 3, 4, 10, 13, 18
_IFLA_LINK, _IFLA_LINK_NETNSID, _IFLA_TARGET_NETNSID = 5, 37, 46
_IFLA_NET_NS_FD, _IFLA_OPERSTATE, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 28, 16, 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_F_NODAD = 1, 2, 8, 0x02
_NDA_DST, _NDA_LLADDR, _RTA_OIF, _RTA_GATEWAY = 1, 2, 4, 5
_NUD_PERMANENT, _RTN_UNICAST, _RTPROT_KERNEL, _RTM_F_CLONED = 0x80, 1, 2, 0x200
_IFF_UP, _OPERSTATE_UP = 1, 6

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
_IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_RT = struct.Struct("=8BI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_ND = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type


@frozen
class LinkInfo:
    """An interface.  `kind` is "veth", "bridge", ... ("" for hardware); `master` the index of its bridge or bond."""

    index: int
    name: str
    kind: str
    mac: bytes
    mtu: int
    txqlen: int
    master: int
    up: bool
    operational: bool


@frozen
class Configuration:
    """The configuration of one interface, as raw messages.  Addresses go back before it is set up (so that the kernel
    does not make link-local ones first), the others (permanent neighbours, then routes in their order) after that."""

    addresses: tuple[bytes, ...] = ()
    others: tuple[bytes, ...] = ()


def attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + bytes(-length % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += length + -length % 4


def _ip(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode()


class Rtnetlink:
    """A netlink socket in the network namespace that the calling thread has when it is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """Send one request and return the messages of its answer.  Raises `OSError` with the kernel's errno."""
        self._sequence += 1
        flags |= _F_REQUEST | _F_ACK
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0) + body)
        found: list[bytes] = []
        while True:
            data = self._socket.recv(1 << 18)
            at = 0
            while at + _HEADER.size <= len(data):
                length, answer, _, sequence, _ = _HEADER.unpack_from(data, at)
                message = data[at : at + length]
                at += length + -length % 4
                if sequence != self._sequence:
                    continue
                if answer in (_NLMSG_ERROR, _NLMSG_DONE):
                    code = struct.unpack_from("=i", message, _HEADER.size)[0] if length > _HEADER.size else 0
                    if code < 0:
                        raise OSError(-code, os.strerror(-code))
                    return found
                found.append(message)

    def _dump(self, kind: int, family_header: bytes) -> list[bytes]:
        return self.request(kind, _F_ROOT | _F_MATCH, family_header)

    # Links

    def links(self) -> list[LinkInfo]:
        return [_link_info(m) for m in self._dump(_GETLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0))]

    def link(self, index: int) -> LinkInfo:
        """Raises `OSError` (ENODEV) when there is none."""
        return _link_info(self.request(_GETLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0))[0])

    def veth_peer(self, index: int) -> LinkInfo:
        """The other end of a veth pair, in whatever namespace.  Raises `OSError`: EPERM when that namespace is not ours
        to look into, ENODEV when the end is gone."""
        message = self.request(_GETLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0))[0]
        found = dict(attributes(message[_HEADER.size + _IFINFO.size :]))
        if _IFLA_LINK not in found:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, struct.unpack("=i", found[_IFLA_LINK])[0], 0, 0)
        if net := found.get(_IFLA_LINK_NETNSID):
            body += attribute(_IFLA_TARGET_NETNSID, net)
        return _link_info(self.request(_GETLINK, 0, body)[0])

    def add_veth(
        self, name: str, peer: str, *, index: int = 0, mac: bytes = b"", mtu: int = 0, peer_net: int = -1
    ) -> None:
        """A veth pair: `name` here, `peer` in the namespace of the descriptor `peer_net` (-1: here)."""
        size = attribute(_IFLA_MTU, struct.pack("=I", mtu)) if mtu else b""
        other = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, peer.encode() + b"\0") + size
        if peer_net >= 0:
            other += attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_net))
        info = attribute(_IFLA_INFO_KIND, b"veth") + attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, other))
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        body += attribute(_IFLA_IFNAME, name.encode() + b"\0") + size + attribute(_IFLA_LINKINFO, info)
        if mac:
            body += attribute(_IFLA_ADDRESS, mac)
        self.request(_NEWLINK, _F_CREATE | _F_EXCL, body)

    def set_up(self, index: int, up: bool = True) -> None:
        self.request(_SETLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index, _IFF_UP if up else 0, _IFF_UP))

    def set_txqlen(self, index: int, length: int) -> None:
        self.request(_SETLINK, 0, self._set(index, _IFLA_TXQLEN, length))

    def move(self, index: int, net: int) -> None:
        """Move an interface to the namespace of the descriptor `net`.  It goes down and loses its configuration."""
        self.request(_SETLINK, 0, self._set(index, _IFLA_NET_NS_FD, net))

    @staticmethod
    def _set(index: int, kind: int, value: int) -> bytes:
        return _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attribute(kind, struct.pack("=I", value))

    def delete_link(self, index: int) -> None:
        self.request(_DELLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0))

    # Addresses and neighbours

    def add_address(self, index: int, address: str, prefix: int) -> None:
        family, raw = _ip(address)
        body = _IFADDR.pack(family, prefix, 0, 0, index) + attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
        self.request(_NEWADDR, _F_CREATE | _F_EXCL, body)

    def add_neighbour(self, index: int, address: str, mac: bytes) -> None:
        """A permanent neighbour entry, so that nothing is asked by ARP."""
        family, raw = _ip(address)
        body = _ND.pack(family, index, _NUD_PERMANENT, 0, 0) + attribute(_NDA_DST, raw) + attribute(_NDA_LLADDR, mac)
        self.request(_NEWNEIGH, _F_CREATE | _F_REPLACE, body)

    # A whole configuration

    def save(self, index: int) -> Configuration:
        """What `restore()` needs.  Routes that the kernel makes by itself from addresses are left out."""
        addresses = [
            _without_dad(m)
            for m in self._dump(_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0))
            if _IFADDR.unpack_from(m, _HEADER.size)[4] == index
        ]
        neighbours = []
        for message in self._dump(_GETNEIGH, _ND.pack(0, 0, 0, 0, 0)):
            _, owner, state, _, _ = _ND.unpack_from(message, _HEADER.size)
            if owner == index and state & _NUD_PERMANENT:
                neighbours.append(message)
        direct: list[bytes] = []
        through: list[bytes] = []
        for message in self._dump(_GETROUTE, _RT.pack(*[0] * 9)):
            _, _, _, _, _, protocol, _, kind, flags = _RT.unpack_from(message, _HEADER.size)
            found = dict(attributes(message[_HEADER.size + _RT.size :]))
            oif = found.get(_RTA_OIF)
            if oif is None or struct.unpack("=I", oif)[0] != index:
                continue
            if kind != _RTN_UNICAST or protocol == _RTPROT_KERNEL or flags & _RTM_F_CLONED:
                continue
            (through if _RTA_GATEWAY in found else direct).append(message)  # a gateway must be reachable first
        return Configuration(tuple(addresses), (*neighbours, *direct, *through))

    def restore(self, messages: Iterable[bytes]) -> list[str]:
        """Send saved messages back, for an interface of the same index.  Returns what could not be restored."""
        failed = []
        for message in messages:
            _, kind, _, _, _ = _HEADER.unpack_from(message)
            try:
                self.request(kind, _F_CREATE | _F_REPLACE, message[_HEADER.size :])
            except OSError as error:
                if error.errno != errno.EEXIST:
                    what = {_NEWADDR: "an address", _NEWROUTE: "a route", _NEWNEIGH: "a neighbour"}[kind]
                    failed.append(f"{what}: {error.strerror}")
        return failed


def _without_dad(message: bytes) -> bytes:
    """An IPv6 address was checked for duplicates when it was made: let it be usable at once."""
    start = _HEADER.size + _IFADDR.size
    family, prefix, flags, scope, index = _IFADDR.unpack_from(message, _HEADER.size)
    if family != socket.AF_INET6:
        return message
    body = _IFADDR.pack(family, prefix, flags | _IFA_F_NODAD, scope, index)
    for kind, data in attributes(message[start:]):
        if kind == _IFA_FLAGS:
            data = struct.pack("=I", struct.unpack("=I", data)[0] | _IFA_F_NODAD)
        body += attribute(kind, data)
    _, kind, flags, sequence, port = _HEADER.unpack_from(message)
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, port) + body


def _link_info(message: bytes) -> LinkInfo:
    _, _, index, flags, _ = _IFINFO.unpack_from(message, _HEADER.size)
    found = dict(attributes(message[_HEADER.size + _IFINFO.size :]))
    info = dict(attributes(found.get(_IFLA_LINKINFO, b"")))

    def number(kind: int) -> int:
        data = found.get(kind)
        return int(struct.unpack("=I", data)[0]) if data else 0

    return LinkInfo(
        index=index,
        name=_text(found.get(_IFLA_IFNAME, b"")),
        kind=_text(info.get(_IFLA_INFO_KIND, b"")),
        mac=found.get(_IFLA_ADDRESS, b""),
        mtu=number(_IFLA_MTU),
        txqlen=number(_IFLA_TXQLEN),
        master=number(_IFLA_MASTER),
        up=bool(flags & _IFF_UP),
        operational=found.get(_IFLA_OPERSTATE, b"\0")[0] == _OPERSTATE_UP,
    )
