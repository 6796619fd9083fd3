/* Runs outside of any event, as BPF_PROG_TEST_RUN does: on a context, or on a packet. */
#include "helpers.h"

enum { ST_SOCKET_FILTER = 1, ST_XDP = 6 };

#define ETH_HLEN 14

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
};

/* A frame of `length` bytes at `offset` in `buffer`; both change when the program moves the ends. */
struct st_packet_run {
	const struct st_prog *prog;
	u8 *buffer, *limit; /* the frame may grow up to `limit` */
	u32 offset, length;
	u32 meta;           /* so many of `length` are XDP metadata before the packet */
	u32 pull;           /* so many bytes of link header are before skb->data */
	u32 ifindex;
	u32 repeat;
	u32 fault;          /* out */
	u32 retval;         /* out */
	u64 duration;       /* out: ns a run */
	struct st_packet packet;
};

ST_EXPORT void st_run_context(struct st_context_run *run);
ST_EXPORT void st_run_packet(struct st_packet_run *run);

static u64 repeat(const struct st_prog *prog, void *ctx, struct st_env *env, u32 times, u64 *duration)
{
	struct st_env clock = {0};
	u64 start = st_clock(&clock, 1), result = 0;
	for (u32 i = 0; i < times && !env->fault; i++)
		result = st_run(prog, ctx, env);
	*duration = (st_clock(&clock, 1) - start) / (times ? times : 1);
	return result;
}

void st_run_context(struct st_context_run *run)
{
	struct st_env env = *run->prog->env_default;
	env.task = run->task;
	env.windows[0] = (struct st_window){run->ctx, run->ctx_size};
	env.window_count = 1;
	env.cookie = run->cookie;
	run->retval = repeat(run->prog, run->ctx, &env, run->repeat, &run->duration);
	run->fault = env.fault;
}

static void set(struct st_packet *packet, u32 offset, u32 value)
{
	memcpy(packet->visible + offset, &value, sizeof(value));
}

void st_run_packet(struct st_packet_run *run)
{
	struct st_env env = *run->prog->env_default;
	struct st_packet *packet = &run->packet;
	u8 *frame = run->buffer + run->offset;
	env.data_hard_start = run->buffer;
	env.data_limit = run->limit;
	env.data_meta = frame;
	env.data_end = frame + run->length;
	if (run->prog->type == ST_XDP) {
		env.data = frame + run->meta;
		set(packet, 12, run->ifindex);
	} else { /* offsets of struct __sk_buff */
		u16 protocol = 0;
		env.mac = frame;
		env.network = frame + ETH_HLEN;
		env.data = env.data_meta = frame + run->pull;
		if (run->length >= ETH_HLEN)
			memcpy(&protocol, frame + ETH_HLEN - 2, sizeof(protocol));
		if (__builtin_bswap16(protocol) < 1536)
			protocol = __builtin_bswap16(4); /* ETH_P_802_2: that was a length */
		set(packet, 0, run->length - run->pull);
		set(packet, 16, protocol);
		set(packet, 40, run->ifindex);
	}
	packet->data = env.data;
	packet->data_end = env.data_end;
	packet->data_meta = env.data_meta;
	run->retval = (u32)repeat(run->prog, packet, &env, run->repeat, &run->duration);
	run->fault = env.fault;
	if (run->prog->type == ST_XDP) {
		run->offset = (u32)(env.data_meta - run->buffer);
		run->meta = (u32)(env.data - env.data_meta);
	}
	run->length = (u32)(env.data_end - (run->buffer + run->offset));
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
