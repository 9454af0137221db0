/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the main of a sweep program. See kill_main() in engine.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

void kill_world_init(struct kill_world *world, const char *dir, uint32_t n)
{
	void *shared = world->shared;

	memset(world, 0, sizeof(*world));
	world->shared = shared;
	snprintf(world->dir, sizeof(world->dir), "%s", dir);
	world->key = harness_sysv_key(n);
}

static void print_op(const struct kill_op *op, const struct kill_total *t, int64_t ns)
{
	printf("kill-op name=%s boundaries=%llu states=%llu double=%llu recoverer-boundaries=%llu "
	       "real=%llu violations=%llu ms=%lld\n",
	       op->name, (unsigned long long)t->boundaries, (unsigned long long)t->states,
	       (unsigned long long)t->doubles, (unsigned long long)t->recovered,
	       (unsigned long long)t->reals, (unsigned long long)t->violations,
	       (long long)(ns / 1000000));
	fflush(stdout);
}

static void print_sum(const struct kill_total *t)
{
	printf("kill: %llu operations, %llu instruction boundaries, %llu distinct states, "
	       "%llu double kills, %llu real kills, %llu violations\n",
	       (unsigned long long)t->operations, (unsigned long long)t->boundaries,
	       (unsigned long long)t->states, (unsigned long long)t->doubles,
	       (unsigned long long)t->reals, (unsigned long long)t->violations);
}

struct options {
	const struct kill_effort *effort;
	const char *only;
	bool list;
	bool first; /* stop at the first violation */
};

static bool parse(int argc, char **argv, struct options *o)
{
	o->effort = &kill_quick;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--full") == 0)
			o->effort = &kill_full;
		else if (strcmp(argv[i], "--first") == 0)
			o->first = true;
		else if (strcmp(argv[i], "--list") == 0)
			o->list = true;
		else if (strncmp(argv[i], "--only=", 7) == 0)
			o->only = argv[i] + 7;
		else
			return false;
	}
	return true;
}

int kill_main(int argc, char **argv, const struct kill_op *ops, int count,
	      void (*world_of)(struct kill_world *world, const struct kill_op *op))
{
	static struct kill_world world;
	struct options o = { 0 };
	struct kill_effort effort;
	struct kill_total sum = { 0 };
	int left_out = 0;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: %s [--full] [--first] [--list] [--only=TEXT]\n", argv[0]);
		return 2;
	}
	effort = *o.effort;
	if (o.first)
		effort.violation_max = 1;
	if (!KILL_CAN_STEP) {
		printf("kill: skipped: single stepping is written for x86-64 only\n");
		return 77;
	}
	harness_pin();
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run are looked at\n");
	for (int i = 0; i < count; i++) {
		struct kill_total t = { 0 };
		int64_t begin = harness_now();

		if (o.only != NULL && strstr(ops[i].name, o.only) == NULL)
			continue;
		if (o.list) {
			printf("%s\n", ops[i].name);
			continue;
		}
		if ((ops[i].flags & KILL_LONG) != 0 && o.effort == &kill_quick && o.only == NULL) {
			left_out++;
			continue;
		}
		world_of(&world, &ops[i]);
		kill_sweep(&ops[i], &world, &effort, &t);
		print_op(&ops[i], &t, harness_now() - begin);
		kill_total_add(&sum, &t);
		if (o.first && sum.violations != 0)
			break;
	}
	if (o.list)
		return 0;
	if (left_out != 0)
		printf("# %d more operations with --full\n", left_out);
	print_sum(&sum);
	return sum.violations != 0 || sum.operations == 0;
}
