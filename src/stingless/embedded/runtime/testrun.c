/* Runs outside of any event, as BPF_PROG_TEST_RUN does: on a context, or on a packet. */
#include "packet_state.h"

enum { ST_XDP = 6, ST_SK_SKB = 14, NET_SKB_PAD = 64 };

struct st_context_run {
	const struct st_prog *prog;
	void *ctx;
	u64 ctx_size;
	const struct st_task *task;
	u32 repeat;
	u32 fault;     /* out */
	u64 retval;    /* out */
	u64 duration;  /* out: ns a run */
	u64 cookie;
	u8 *data;      /* what the context's pointers lead to, in room for it to grow by ST_DATA_ROOM; 0: nothing */
	u64 data_size; /* in and out */
	s32 data_at;   /* where in the context the pointers to its start and end are; -1: nowhere */
};

enum { ST_DATA_ROOM = 4096 };

/* A frame of `length` bytes at `offset` in `buffer`; both change when the program moves the ends. */
struct st_packet_run {
	const struct st_prog *prog;
	u8 *buffer, *limit; /* the frame may grow up to `limit` */
	u32 offset, length;
	u32 meta;           /* so many of `length` are XDP metadata before the packet */
	u32 pull;           /* so many bytes of link header are before skb->data */
	u32 repeat;
	u32 fault;          /* out */
	u32 retval;         /* out */
	u64 duration;       /* out: ns a run */
	struct st_packet packet; /* in: what is visible and not set here, the fragments */
};

ST_EXPORT void st_run_context(struct st_context_run *run);
ST_EXPORT void st_run_packet(struct st_packet_run *run);

static u64 repeat(const struct st_prog *prog, void *ctx, struct st_env *env, u32 times, u64 *duration)
{
	if (!times) { /* once, and nobody asks how long it took */
		*duration = 0;
		return st_run(prog, ctx, env);
	}
	struct st_env clock = {0};
	u64 start = st_clock(&clock, 1), result = 0;
	for (u32 i = 0; i < times && !env->fault; i++)
		result = st_run(prog, ctx, env);
	*duration = (st_clock(&clock, 1) - start) / times;
	return result;
}

void st_run_context(struct st_context_run *run)
{
	struct st_env env = *run->prog->env_default;
	env.task = run->task;
	env.windows[0] = (struct st_window){run->ctx, run->ctx_size};
	env.window_count = 1;
	env.cookie = run->cookie;
	env.ctx = run->ctx;
	if (run->data) {
		env.data_hard_start = env.data = env.data_meta = run->data;
		env.data_end = run->data + run->data_size;
		env.data_limit = env.data_end + ST_DATA_ROOM;
		if (run->data_at >= 0)
			st_context_publish(&env, (u32)run->data_at);
	}
	run->retval = repeat(run->prog, run->ctx, &env, run->repeat, &run->duration);
	run->fault = env.fault;
	if (run->data) {
		run->data_size = (u64)(env.data_end - env.data_hard_start);
		if (run->data_at >= 0)
			memset((u8 *)run->ctx + run->data_at, 0, 16);
	}
}

/* As eth_type_trans() sets them from the link header of a frame that arrives at the loopback interface. */
static void set_protocol(struct st_packet *packet, const u8 *frame, u32 length)
{
	enum { HOST, BROADCAST, MULTICAST, OTHERHOST };
	static const u8 own[6];
	u16 protocol;
	u32 type = HOST;
	if (length < ST_ETH_HLEN)
		return;
	memcpy(&protocol, frame + ST_ETH_HLEN - 2, sizeof(protocol));
	if (__builtin_bswap16(protocol) < 1536) { /* a length: ETH_P_802_3 with a raw frame, else ETH_P_802_2 */
		bool raw = length >= ST_ETH_HLEN + 2 && frame[14] == 0xff && frame[15] == 0xff;
		protocol = __builtin_bswap16(raw ? 1 : 4);
	}
	bool loopback = st_packet_get(packet, SKB_IFINDEX) == 1; /* whose broadcast address is another */
	if (frame[0] & 1)
		type = !loopback && (frame[0] & frame[1] & frame[2] & frame[3] & frame[4] & frame[5]) == 0xff ? BROADCAST : MULTICAST;
	else if (memcmp(frame, own, sizeof(own)))
		type = OTHERHOST;
	st_packet_set(packet, SKB_PROTOCOL, protocol);
	st_packet_set(packet, SKB_PKT_TYPE, type);
}

void st_run_packet(struct st_packet_run *run)
{
	struct st_env env = *run->prog->env_default;
	struct st_packet *packet = &run->packet;
	u8 *frame = run->buffer + run->offset;
	env.data_hard_start = run->buffer;
	env.data_limit = run->limit;
	env.data_end = frame + run->length;
	env.ctx = packet;
	if (run->prog->type == ST_XDP) {
		env.data_meta = frame;
		env.data = frame + run->meta;
		memset(run->buffer, 0, run->offset); /* bpf_xdp_adjust_head() shows it */
	} else {
		env.mac = frame;
		env.network = frame + ST_ETH_HLEN;
		env.data = env.data_meta = frame + run->pull;
		packet->headroom = NET_SKB_PAD + run->pull;
		packet->transport = 0xffff;
		if (run->prog->type == ST_SK_SKB) /* a stream has no headers */
			env.network = frame;
		else
			set_protocol(packet, frame, run->length);
	}
	st_packet_publish(&env);
	run->retval = (u32)repeat(run->prog, packet, &env, run->repeat, &run->duration);
	run->fault = env.fault;
	u8 *start = env.mac ? env.data - run->pull : env.data_meta;
	run->offset = (u32)(start - run->buffer);
	run->meta = (u32)(env.data - env.data_meta);
	run->length = (u32)(env.data_end - start);
}

/* Frames that lie one after another, each run once.  Stops where `after` might have no room for what the program leaves. */
struct st_batch {
	const struct st_prog *prog;
	const u8 *frames;
	const u64 *ends;    /* of each frame, in `frames` */
	u64 count;
	u8 *buffer;         /* to run in: the longest frame and what it may grow by */
	u64 buffer_size;
	u32 headroom, pull; /* as of st_packet_run, with `headroom` for the offset */
	u32 ifindex, fault; /* fault: out */
	u32 *verdicts;      /* out */
	u8 *after;          /* out; 0: not wanted */
	u64 room;
	u64 *after_ends;    /* out */
	u64 done;           /* in and out: so many frames were run */
	u64 used;           /* in and out: bytes of `after` */
	u64 base;           /* added to the ends */
	u64 duration;       /* out: ns, all together */
};

ST_EXPORT u64 st_run_batch(struct st_batch *batch);

/* Returns the last verdict. */
u64 st_run_batch(struct st_batch *batch)
{
	struct st_env clock = {0};
	u64 begin = batch->count > 1 ? st_clock(&clock, 1) : 0;
	u32 ifindex_at = batch->prog->type == ST_XDP ? 12 : SKB_IFINDEX;
	struct st_packet_run run;
	run.retval = 0;
	for (; batch->done < batch->count; batch->done++) {
		if (batch->after && batch->room - batch->used < batch->buffer_size)
			break;
		u64 from = batch->done ? batch->ends[batch->done - 1] : 0;
		u32 length = (u32)(batch->ends[batch->done] - from);
		memset(&run, 0, sizeof(run));
		run.prog = batch->prog;
		run.buffer = batch->buffer;
		run.limit = batch->buffer + batch->buffer_size;
		run.offset = batch->headroom;
		run.length = length;
		run.pull = batch->pull;
		st_packet_set(&run.packet, ifindex_at, batch->ifindex);
		memcpy(batch->buffer + batch->headroom, batch->frames + from, length);
		st_run_packet(&run);
		batch->verdicts[batch->done] = run.retval;
		if ((batch->fault = run.fault))
			break;
		if (!batch->after)
			continue;
		memcpy(batch->after + batch->used, batch->buffer + run.offset + run.meta, run.length - run.meta);
		batch->used += run.length - run.meta;
		batch->after_ends[batch->done] = batch->base + batch->used;
	}
	if (begin)
		batch->duration += st_clock(&clock, 1) - begin;
	return run.retval;
}

ST_EXPORT void st_sizes(u32 sizes[4]);

/* So that the binding can tell that its structures are these. */
void st_sizes(u32 sizes[4])
{
	sizes[0] = sizeof(struct st_env);
	sizes[1] = sizeof(struct st_task);
	sizes[2] = sizeof(struct st_context_run);
	sizes[3] = sizeof(struct st_packet_run);
}
