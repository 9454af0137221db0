/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sweep itself, on toy.h: nothing found in what is right, something in each mutant, and
 * images and real kills agree on both. Prints TAP.
 */
#include <stdio.h>

#include "toy.h"

static const struct kill_effort effort = {
	.every_max = 300, .real_max = 40, .violation_max = 1000, .quiet = true
};

static bool is_right(const struct toy_case *c)
{
	return !c->by_image && !c->by_double && !c->by_real;
}

/* Found by what it is to be found by; a second death may see what the first one did. */
static bool as_expected(const struct toy_case *c, const struct kill_total *t)
{
	if (t->boundaries < 4 || t->reals == 0)
		return false; /* a sweep of nothing finds nothing */
	if (is_right(c))
		return t->violations == 0;
	if (!c->by_image && t->by_double == 0)
		return c->by_real && t->by_real != 0;
	return (t->by_image != 0) == c->by_image && (t->by_real != 0) == c->by_real &&
	       (t->by_double != 0 || !c->by_double);
}

/* Recoverers that go from store to store come by the same states as those that are stepped. */
static bool same_by_steps(struct kill_world *world, const struct toy_case *c,
			  const struct kill_total *by_store)
{
	struct kill_effort how = effort;
	struct kill_total t = { 0 };

	if (c->op.recover == NULL || !is_right(c))
		return true;
	how.by_steps = true;
	how.real_max = how.every_max = 1;
	kill_sweep(&c->op, world, &how, &t);
	return t.doubles == by_store->doubles && t.states == by_store->states &&
	       t.stops > by_store->stops;
}

static bool run_case(int n, struct kill_world *world, const struct toy_case *c)
{
	struct kill_effort how = effort;
	struct kill_total t = { 0 };

	how.quiet = !is_right(c);
	if (c->op.peer != NULL && !is_right(c))
		how.violation_max = 1; /* a hang takes long to see */
	how.peer_ms = is_right(c) ? 0 : 1000;
	kill_world_init(world, "/dev/shm", 0);
	kill_sweep(&c->op, world, &how, &t);

	bool ok = as_expected(c, &t) && same_by_steps(world, c, &t);

	printf("%sok %d - %s_%s # by image %llu, double %llu, real %llu; %llu boundaries, "
	       "%llu states, %llu double, %llu real kills\n",
	       ok ? "" : "not ", n, c->op.name, is_right(c) ? "is_clean" : "is_found",
	       (unsigned long long)t.by_image, (unsigned long long)t.by_double,
	       (unsigned long long)t.by_real, (unsigned long long)t.boundaries,
	       (unsigned long long)t.states, (unsigned long long)t.doubles,
	       (unsigned long long)t.reals);
	fflush(stdout);
	return ok;
}

int main(void)
{
	static struct kill_world world;
	bool ok = true;

	if (!KILL_CAN_STEP) {
		printf("1..0 # SKIP single stepping is written for x86-64 only\n");
		return 0;
	}
	harness_pin();
	harness_isolate();
	printf("1..%d\n", toy_case_count);
	for (int i = 0; i < toy_case_count; i++)
		ok = run_case(i + 1, &world, &toy_cases[i]) && ok;
	return ok ? 0 : 1;
}
