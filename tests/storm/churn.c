/* SPDX-License-Identifier: BSD-2-Clause */
/* churn.c - those who come and go: regions, objects, gc, the checker. See storm.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

enum { NAMES = 6, SIZE_LIMIT = 3000 };

struct churner {
	struct storm *storm;
	int worker;
	uint64_t rng;
};

static uint32_t pick(struct churner *c, uint32_t below)
{
	return (uint32_t)(storm_random(&c->rng) % below);
}

static void name_of(char name[24], uint32_t n)
{
	snprintf(name, 24, "churn-%u", n);
}

static void surprise(struct churner *c, const char *what, int r, const struct tarn_diag *diag)
{
	storm_violation(c->storm, "%s: %s: %s", what, strerror(-r), diag != NULL ? diag->what : "");
}

/* A new object is zero from end to end. */
static void make(struct churner *c, struct tarn_region *region)
{
	struct tarn_diag diag = { .what = "" };
	uint64_t size = 1 + pick(c, SIZE_LIMIT);
	char name[24];
	void *data;
	int r;

	name_of(name, pick(c, NAMES));
	r = tarn_object_create(region, name, size, &data, &diag);
	if (r == 0) {
		for (uint64_t i = 0; i < size; i++)
			if (((unsigned char *)data)[i] != 0) {
				storm_violation(c->storm, "object %s: byte %llu is not zero", name,
						(unsigned long long)i);
				break;
			}
		memset(data, 0xa5, size);
		tarn_object_close(region, data);
	} else if (r != -EEXIST && r != -ENOSPC) {
		surprise(c, "object create", r, &diag);
	}
}

/* What is held stays what it is, whoever removes it meanwhile. */
static void hold(struct churner *c, struct tarn_region *region)
{
	unsigned char *bytes;
	uint64_t size;
	char name[24];
	void *data;
	int r;

	name_of(name, pick(c, NAMES));
	r = tarn_object_open(region, name, &data, &size);
	if (r == -ENOENT)
		return;
	if (r < 0) {
		surprise(c, "object open", r, NULL);
		return;
	}
	bytes = data;
	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != 0 && bytes[i] != 0xa5) {
			storm_violation(c->storm, "object %s: another's bytes", name);
			break;
		}
	if (pick(c, 4) == 0)
		harness_sleep_us(300);
	tarn_object_close(region, data);
}

static void drop(struct churner *c, struct tarn_region *region)
{
	char name[24];
	int r;

	name_of(name, pick(c, NAMES));
	r = tarn_object_remove(region, name);
	if (r < 0 && r != -ENOENT)
		surprise(c, "object remove", r, NULL);
}

static void take_finding(const struct tarn_finding *finding, void *arg)
{
	storm_violation(arg, "check: %s: %s %s, found %llu, expected %llu", finding->where,
			finding->field, finding->rule, (unsigned long long)finding->found,
			(unsigned long long)finding->expected);
}

static void look(struct churner *c, struct tarn_region *region)
{
	struct tarn_region_stat st;
	int r;

	if (tarn_region_check(region, take_finding, c->storm) < 0)
		return;
	r = tarn_region_stat(region, &st);
	if (r < 0)
		surprise(c, "stat", r, NULL);
	else if (st.member_count < 1 || st.used > st.size)
		storm_violation(c->storm, "stat: %u members, %llu of %llu bytes", st.member_count,
				(unsigned long long)st.used, (unsigned long long)st.size);
}

/* A region that its last member removes: made and left again and again, by several at once. */
static void side(struct churner *c, const char *addr)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = {
		.size = 4096,
		.flags = TARN_REGION_CREATE | TARN_REGION_EPHEMERAL,
		.member_max = 16,
		.object_max = 32,
		.diag = &diag,
	};
	struct tarn_region *region;
	int r = tarn_region_open(addr, &opts, &region);

	if (r < 0) {
		surprise(c, addr, r, &diag);
		return;
	}
	tarn_region_close(region);
}

static void leak(struct churner *c, struct tarn_region *region)
{
	void *data;

	if (tarn_object_create(region, "forgotten", 64, &data, NULL) == 0)
		tarn_object_close(region, data);
	(void)c;
}

static void one_thing(struct churner *c, struct tarn_region *region)
{
	switch (pick(c, 8)) {
	case 0:
	case 1:
		make(c, region);
		break;
	case 2:
		hold(c, region);
		break;
	case 3:
		drop(c, region);
		break;
	case 4:
		look(c, region);
		break;
	case 5:
		if (tarn_region_gc(region, NULL) < 0)
			storm_violation(c->storm, "gc");
		break;
	case 6:
		side(c, c->storm->side_posix);
		break;
	default:
		side(c, c->storm->side_sysv);
		break;
	}
	if (c->storm->mutant == MUTANT_LEAK_OBJECT)
		leak(c, region);
}

void storm_churn(struct storm *storm, int worker, uint64_t seed)
{
	struct churner c = { .storm = storm, .worker = worker, .rng = seed };

	while (storm->stop == 0) {
		struct tarn_region *region = storm_join(storm);

		for (uint32_t i = 1 + pick(&c, 12); i > 0 && storm->stop == 0; i--) {
			one_thing(&c, region);
			storm->rounds++;
		}
		tarn_region_close(region);
	}
}
