"""LPM_TRIE: longest prefix match, keyed by networks."""

from __future__ import annotations

import ipaddress
import struct
import sys
from collections.abc import Iterable
from typing import Any

from stingless.maps.mapping import KeyedMap, V

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ADDRESSES = (ipaddress.IPv4Address, ipaddress.IPv6Address)
_NETWORKS = (ipaddress.IPv4Network, ipaddress.IPv6Network)
_PREFIX = struct.Struct("=I")


class LpmMap(KeyedMap[Any, V]):
    """`map[key]` gives the value of the longest prefix that holds the key; deleting wants the very prefix.

    Keys of 4 or 16 bytes of data are IP networks: they come as `ipaddress` networks, and are given as such, as an
    address (a full prefix) or as text: "10.0.0.0/8".  Any key can be given as (prefix length, bytes), or as a record of
    its BTF type; of other sizes they come as records, or, without BTF, as (prefix length, bytes).
    """

    @property
    def _data_size(self) -> int:
        return self.spec.key_size - _PREFIX.size

    def _encode_key(self, key: Any) -> bytes:
        if isinstance(key, str):
            key = ipaddress.ip_network(key, strict=False)
        elif isinstance(key, ipaddress.IPv4Interface | ipaddress.IPv6Interface):
            key = key.network
        if isinstance(key, _NETWORKS):
            return self._packed(key.prefixlen, key.network_address.packed, key)
        if isinstance(key, _ADDRESSES):
            return self._packed(key.max_prefixlen, key.packed, key)
        if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], bytes | bytearray):
            return self._packed(key[0], bytes(key[1]), key)
        encoded = super()._encode_key(key)
        self._check_prefix(_PREFIX.unpack_from(encoded)[0])
        return encoded

    def _packed(self, prefix: int, data: bytes, key: Any) -> bytes:
        if len(data) != self._data_size:
            raise ValueError(f"key: {key!r} has {len(data)} bytes, the keys of map {self.name!r} {self._data_size}")
        self._check_prefix(prefix)
        return _PREFIX.pack(prefix) + data

    def _check_prefix(self, prefix: int) -> None:
        if not 0 <= prefix <= self._data_size * 8:
            raise ValueError(f"key.prefixlen: {prefix} is not in 0..{self._data_size * 8}")

    def _encode_keys(self, keys: Iterable[Any]) -> bytes:
        return b"".join([self._encode_key(key) for key in keys])

    def _decode_keys(self, data: bytes, count: int) -> list[Any]:
        if self._data_size in (4, 16):
            size = self.spec.key_size
            return [self._network(data[at : at + size]) for at in range(0, size * count, size)]
        if self.key_type is not None:
            return super()._decode_keys(data, count)
        size = self.spec.key_size
        return [
            (_PREFIX.unpack_from(data, at)[0], data[at + _PREFIX.size : at + size])
            for at in range(0, size * count, size)
        ]

    def _network(self, key: bytes) -> Network:
        # The kernel keeps the bits after the prefix as they were given; a network has none.
        prefix = int.from_bytes(key[:4], sys.byteorder)
        kind = ipaddress.IPv4Network if self._data_size == 4 else ipaddress.IPv6Network
        return kind((key[4:], prefix), strict=False)
