/* libbpf's ring_buffer__consume() in C: `drain_ring OBJECT COUNT ROUNDS` fills a ring buffer and drains it, ROUNDS
 * times; prints the seconds of each and peak KiB. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct record {
	unsigned long long number, time, bytes;
	unsigned int pid, cpu;
	char comm[16];
};

static unsigned long long seen, total;

static int on_record(void *context, void *data, size_t size)
{
	const struct record *record = data;
	seen++;
	total += record->number;
	return 0;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	int pair[2];
	if (argc != 4)
		return 2;
	unsigned long long count = strtoull(argv[2], NULL, 10), all = 0;
	int rounds = atoi(argv[3]);
	libbpf_set_print(quiet);
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object)) {
		perror("load");
		return 1;
	}
	int program = bpf_program__fd(bpf_object__find_program_by_name(object, "fill"));
	int map = bpf_object__find_map_fd_by_name(object, "events");
	struct ring_buffer *ring = ring_buffer__new(map, on_record, NULL, NULL);
	if (!ring || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) ||
	    setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program))) {
		perror("attach");
		return 1;
	}
	for (int round = 0; round < rounds; round++) {
		for (unsigned long long i = 0; i < count / 4000; i++)
			if (write(pair[1], "x", 1) != 1)
				return 1;
		double begin = now();
		ring_buffer__consume(ring);
		printf("%.6f ", now() - begin);
		all += count;
		if (seen != all || total != all * (all - 1) / 2) {
			fprintf(stderr, "%llu of %llu records came\n", seen, all);
			return 1;
		}
	}
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld\n", usage.ru_maxrss);
	ring_buffer__free(ring);
	bpf_object__close(object);
	return 0;
}
