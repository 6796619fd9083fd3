/* Packets: their context, and what helpers change of them. */
#pragma once

/* What programs see of struct xdp_md or struct __sk_buff, the real pointers, and what they do not see.  The 32-bit loads
 * of data, data_end and data_meta are rewritten at load time into 64-bit loads of the pointers here. */
struct st_packet {
	u8 visible[192];
	u8 *data, *data_end, *data_meta;
	u8 *frags;            /* XDP: what follows after data_end, in pages of which all but the last are full */
	u64 redirect_flags;
	u32 frags_size;
	u32 redirect_ifindex; /* of the last bpf_redirect() */
	u32 clones;           /* by bpf_clone_redirect() */
	u32 headroom;         /* what Linux has before the packet, which decides when headers move */
	u16 transport;        /* offset of the transport header from where that room starts; 0xffff: not set */
	u8 checksum;          /* enum st_checksum */
	u8 checksum_level;
	u8 encapsulated, hashed;
};

enum st_checksum { ST_CHECKSUM_NONE, ST_CHECKSUM_UNNECESSARY };

/* Offsets of struct __sk_buff. */
enum {
	SKB_LEN = 0, SKB_PKT_TYPE = 4, SKB_PROTOCOL = 16, SKB_VLAN_PRESENT = 20, SKB_VLAN_TCI = 24, SKB_VLAN_PROTO = 28,
	SKB_PRIORITY = 32, SKB_IFINDEX = 40, SKB_HASH = 68, SKB_TC_CLASSID = 72, SKB_TSTAMP = 152, SKB_WIRE_LEN = 160,
	SKB_GSO_SEGS = 164, SKB_GSO_SIZE = 176, SKB_TSTAMP_TYPE = 180,
};
enum { XDP_MD_INGRESS_IFINDEX = 12, XDP_MD_RX_QUEUE = 16 };

enum { ST_ETH_HLEN = 14, ST_PAGE = 4096, ST_MAX_FRAGS = 17 };
