/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the main of a sweep program. See kill_main() in engine.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairs.h"

void kill_world_init(struct kill_world *world, const char *dir, uint32_t n)
{
	void *shared = world->shared;

	memset(world, 0, sizeof(*world));
	world->shared = shared;
	snprintf(world->dir, sizeof(world->dir), "%s", dir);
	world->key = harness_sysv_key(n);
}

static void print_op(const char *kind, const char *name, const struct kill_total *t, int64_t ns)
{
	printf("%s name=%s boundaries=%llu states=%llu double=%llu stops=%llu "
	       "real=%llu pairs=%llu violations=%llu ms=%lld\n",
	       kind, name, (unsigned long long)t->boundaries, (unsigned long long)t->states,
	       (unsigned long long)t->doubles, (unsigned long long)t->stops,
	       (unsigned long long)t->reals, (unsigned long long)t->pairs,
	       (unsigned long long)t->violations, (long long)(ns / 1000000));
	fflush(stdout);
}

static void print_sum(const struct kill_total *t)
{
	printf("kill: %llu operations, %llu instruction boundaries, %llu distinct states, "
	       "%llu double kills, %llu real kills, %llu pairs, %llu violations\n",
	       (unsigned long long)t->operations, (unsigned long long)t->boundaries,
	       (unsigned long long)t->states, (unsigned long long)t->doubles,
	       (unsigned long long)t->reals, (unsigned long long)t->pairs,
	       (unsigned long long)t->violations);
}

struct options {
	const struct kill_effort *effort;
	const char *only;
	bool list;
	bool first; /* stop at the first violation */
	bool by_steps;
	unsigned start;
};

static bool parse(int argc, char **argv, struct options *o)
{
	o->effort = &kill_sample;
	o->start = (unsigned)(harness_now() / 1000 % 1000);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			o->effort = &kill_quick;
		else if (strcmp(argv[i], "--full") == 0)
			o->effort = &kill_full;
		else if (strcmp(argv[i], "--first") == 0)
			o->first = true;
		else if (strcmp(argv[i], "--by-steps") == 0)
			o->by_steps = true;
		else if (strcmp(argv[i], "--list") == 0)
			o->list = true;
		else if (strncmp(argv[i], "--only=", 7) == 0)
			o->only = argv[i] + 7;
		else if (strncmp(argv[i], "--start=", 8) == 0)
			o->start = (unsigned)strtoul(argv[i] + 8, NULL, 10);
		else
			return false;
	}
	return true;
}

/* What a program sweeps: operations, or pairs of them. */
struct table {
	const char *kind;
	int count;
	const struct kill_op *ops;
	void (*world_of)(struct kill_world *world, const struct kill_op *op);
	const struct kill_pair *pairs;
	void (*world_named)(struct kill_world *world, const char *name);
};

static void sweep_one(const struct table *table, int i, const struct kill_effort *effort,
		      struct kill_total *sum)
{
	static struct kill_world world;
	const char *name = table->ops != NULL ? table->ops[i].name : table->pairs[i].name;
	struct kill_total t = { 0 };
	int64_t begin = harness_now();

	if (table->ops != NULL) {
		table->world_of(&world, &table->ops[i]);
		kill_sweep(&table->ops[i], &world, effort, &t);
	} else {
		table->world_named(&world, name);
		kill_pair_sweep(&table->pairs[i], &world, effort, &t);
	}
	print_op(table->kind, name, &t, harness_now() - begin);
	kill_total_add(sum, &t);
}

/* "=" and the whole name, or a part of it. */
static bool is_asked_for(const char *only, const char *name)
{
	if (only == NULL)
		return true;
	return only[0] == '=' ? strcmp(name, only + 1) == 0 : strstr(name, only) != NULL;
}

static int sweep_all(const struct table *table, const struct options *o)
{
	struct kill_effort effort = *o->effort;
	struct kill_total sum = { 0 };
	int left_out = 0;

	if (o->first)
		effort.violation_max = 1;
	effort.by_steps = o->by_steps;
	if (o->effort != &kill_quick) /* which has the same ones each time */
		effort.start = o->start;
	for (int i = 0; i < table->count; i++) {
		const char *name = table->ops != NULL ? table->ops[i].name : table->pairs[i].name;
		unsigned flags = table->ops != NULL ? table->ops[i].flags : table->pairs[i].flags;

		if (!is_asked_for(o->only, name))
			continue;
		if (o->list)
			printf("%s\n", name);
		else if ((flags & KILL_LONG) != 0 && o->effort != &kill_full && o->only == NULL)
			left_out++;
		else
			sweep_one(table, i, &effort, &sum);
		if (o->first && sum.violations != 0)
			break;
	}
	if (o->list)
		return 0;
	if (left_out != 0)
		printf("# %d more operations with --full\n", left_out);
	print_sum(&sum);
	return sum.violations != 0 || sum.operations == 0;
}

static int table_main(int argc, char **argv, const struct table *table)
{
	struct options o = { 0 };

	if (!parse(argc, argv, &o)) {
		fprintf(stderr,
			"usage: %s [--quick] [--full] [--first] [--list] [--only=TEXT, =NAME] "
			"[--start=N]\n",
			argv[0]);
		return 2;
	}
	if (!KILL_CAN_STEP) {
		printf("kill: skipped: single stepping is written for x86-64 only\n");
		return 77;
	}
	harness_pin();
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run are looked at\n");
	if (o.effort == &kill_sample && !o.list)
		printf("# some of the states: again with --start=%u\n", o.start);
	return sweep_all(table, &o);
}

int kill_main(int argc, char **argv, const struct kill_op *ops, int count,
	      void (*world_of)(struct kill_world *world, const struct kill_op *op))
{
	const struct table table = {
		.kind = "kill-op", .count = count, .ops = ops, .world_of = world_of
	};

	return table_main(argc, argv, &table);
}

int kill_pair_main(int argc, char **argv, const struct kill_pair *pairs, int count,
		   void (*world_of)(struct kill_world *world, const char *name))
{
	const struct table table = {
		.kind = "kill-pair", .count = count, .pairs = pairs, .world_named = world_of
	};

	return table_main(argc, argv, &table);
}
