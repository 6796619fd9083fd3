"""Packet headers in bytes, for tests of programs that read and write them."""

ETHERNET = bytes.fromhex("0102030405060a0b0c0d0e0f0800")
IP = bytes.fromhex("45c000341234600a4011abcd0a0000010a0000fe")
UDP = bytes.fromhex("303900350014beef")
TCP = bytes.fromhex("0050c350a1b2c3d4e5f6071850180102abcd0304")
TAG = bytes.fromhex("b1230800")  # priority 5, cfi 1, VLAN 0x123
IP6 = bytes.fromhex("6abcdef100143afe") + bytes(range(0x10, 0x20)) + bytes(range(0x30, 0x40))
ARP = bytes.fromhex("0001080006040002a1a2a3a4a5a60a0000010b1b2b3b4b5b0a000002")
VXLAN = bytes.fromhex("0800000012345600")
CURSOR = "#include <bcc/proto.h>\nint f(struct __sk_buff *skb) { u8 *cursor = 0; "
