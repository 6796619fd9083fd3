/* What libbpf says of an object, with maps pinned in the directory of the environment's PINS: `load_object verdict FILE`; of each of its programs by itself: `load_object programs
 * FILE`; how long it takes to load: `load_object time FILE COUNT`. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char last[4096];

static int keep(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[4096];
	vsnprintf(line, sizeof(line), format, args);
	if (level == LIBBPF_WARN && !last[0])
		strcpy(last, line);
	return 0;
}

static struct bpf_object *open_object(const char *path)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .pin_root_path = getenv("PINS"));
	return bpf_object__open_file(path, &options);
}

static int load(const char *path)
{
	struct bpf_object *object = open_object(path);
	if (!object)
		return -errno;
	int error = bpf_object__load(object);
	bpf_object__close(object);
	return error;
}

/* Maps whose size the application sets before the load. */
static void set_sizes(struct bpf_object *object)
{
	struct bpf_map *map;
	bpf_object__for_each_map(map, object) {
		switch (bpf_map__type(map)) {
		case BPF_MAP_TYPE_HASH:
		case BPF_MAP_TYPE_ARRAY:
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_PERCPU_ARRAY:
		case BPF_MAP_TYPE_LRU_HASH:
		case BPF_MAP_TYPE_STACK_TRACE:
			if (bpf_map__max_entries(map) == 0)
				bpf_map__set_max_entries(map, 1024);
			if (bpf_map__type(map) == BPF_MAP_TYPE_STACK_TRACE && bpf_map__value_size(map) == 0)
				bpf_map__set_value_size(map, 127 * 8);
		default:
			break;
		}
	}
}

static bool loads_together(const char *path)
{
	struct bpf_object *object = open_object(path);
	if (!object)
		return false;
	set_sizes(object);
	int error = bpf_object__load(object);
	bpf_object__close(object);
	return !error;
}

/* A line "NAME<tab>verdict" for each program, loaded without the others; what loads with them is not tried again. */
static int programs(const char *path)
{
	bool together = loads_together(path);
	for (int wanted = 0;; wanted++) {
		struct bpf_object *object = open_object(path);
		struct bpf_program *program;
		char name[256] = "";
		bool known = false;
		int at = 0;
		if (!object) {
			printf("\t%s: %s", strerror(errno), last[0] ? last : "\n");
			return 0;
		}
		last[0] = 0;
		bpf_object__for_each_program(program, object) {
			if (at == wanted) {
				known = together && bpf_program__autoload(program);
				snprintf(name, sizeof(name), "%s", bpf_program__name(program));
			}
			bpf_program__set_autoload(program, at++ == wanted);
		}
		if (wanted >= at) {
			bpf_object__close(object);
			return 0;
		}
		set_sizes(object);
		int error = known ? 0 : bpf_object__load(object);
		printf("%s\t", name);
		if (error)
			printf("%s: %s", strerror(-error), last[0] ? last : "\n");
		else
			puts("ok");
		bpf_object__close(object);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	libbpf_set_print(keep);
	if (argc == 3 && !strcmp(argv[1], "verdict")) {
		int error = load(argv[2]);
		if (!error)
			puts("ok");
		else
			printf("%s: %s", strerror(-error), last[0] ? last : "\n");
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "programs"))
		return programs(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "time")) {
		for (int i = 0; i < atoi(argv[3]); i++) {
			double start = now();
			int error = load(argv[2]);
			if (error) {
				fprintf(stderr, "%s: %s", strerror(-error), last);
				return 1;
			}
			printf("%.9f\n", now() - start);
		}
		return 0;
	}
	fprintf(stderr, "usage: load_object verdict FILE | programs FILE | time FILE COUNT\n");
	return 2;
}
