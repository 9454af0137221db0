/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters: the contract of counters.h line by line; who dies, forks, leaves; damage. Histograms
 * and samples are the business of counters-sample.c. */
#include <stdio.h>

#include <tarn/counters.h>

#include "prim.h"

#include "flow/counters.h"

enum { REQUESTS, BUSY, BYTES, METRICS, SLOTS = 4 };

static const struct tarn_metric metrics[METRICS] = {
	[REQUESTS] = { "requests_total", "", "requests answered", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "requests being answered", TARN_METRIC_GAUGE, 0, 0 },
	[BYTES] = { "bytes_total", "bytes", "sent", TARN_METRIC_COUNTER, 0, 0 },
};
static const struct tarn_counters_opts wanted = { .metrics = metrics,
						  .count = METRICS,
						  .slots = SLOTS };

static struct tarn_counters *web, *look;

static int make_counters(void **state)
{
	const struct tarn_counters_opts reads = { .flags = TARN_COUNTERS_READ };

	if (make_region(state) < 0 || tarn_counters_open(region, "web", &wanted, &web) < 0 ||
	    tarn_counters_open(region, "web", &reads, &look) < 0)
		return -1;
	return 0;
}

static int drop_counters(void **state)
{
	tarn_counters_close(web);
	tarn_counters_close(look);
	return drop_region(state);
}

static uint64_t value(uint32_t metric)
{
	uint64_t values[METRICS];

	assert_int_equal(tarn_counters_read(look, values, METRICS), 0);
	return values[metric];
}

static struct tarn_counters_stat stat_of(struct tarn_counters *counters)
{
	struct tarn_counters_stat stat;

	assert_int_equal(tarn_counters_stat(counters, &stat), 0);
	return stat;
}

static struct tarn_counters *another(void)
{
	struct tarn_counters *counters = NULL;

	assert_int_equal(tarn_counters_open(region, "web", NULL, &counters), 0);
	return counters;
}

static void what_is_added_is_read(void **state)
{
	uint64_t values[METRICS + 2] = { 7, 7, 7, 7, 7 };
	struct tarn_counters *two = another();

	(void)state;
	for (uint64_t n = 1; n <= 100; n++) {
		tarn_counter_add(web, REQUESTS, 1);
		tarn_counter_add(two, BYTES, n);
		assert_int_equal(value(REQUESTS), n);
		assert_int_equal(value(BYTES), n * (n + 1) / 2);
	}
	tarn_counter_add(two, REQUESTS, 11);
	assert_int_equal(tarn_counters_read(look, values, 1), 0);
	assert_int_equal(values[0], 111);
	assert_int_equal(values[1], 7);
	assert_int_equal(tarn_counters_read(look, values, METRICS + 2), 0);
	assert_int_equal(values[METRICS], 0);
	assert_int_equal(values[METRICS + 1], 0);
	assert_int_equal(tarn_counters_read(web, values, METRICS), 0);
	assert_int_equal(values[REQUESTS], 111);
	tarn_counters_close(two);
}

static void a_gauge_is_the_sum_of_those_there(void **state)
{
	struct tarn_counters *two = another();

	(void)state;
	tarn_gauge_set(web, BUSY, 5);
	tarn_gauge_set(two, BUSY, -8);
	assert_int_equal((int64_t)value(BUSY), -3);
	tarn_gauge_add(web, BUSY, 2);
	tarn_gauge_add(two, BUSY, -1);
	assert_int_equal((int64_t)value(BUSY), -2);
	tarn_counters_close(two);
	assert_int_equal((int64_t)value(BUSY), 7);
	tarn_gauge_set(web, BUSY, 0);
	assert_int_equal(value(BUSY), 0);
}

static void who_leaves_leaves_its_sums(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 3 * SLOTS; n++) {
		struct tarn_counters *two = another();

		tarn_counter_add(two, REQUESTS, 2);
		tarn_counter_add(two, BYTES, n);
		tarn_counters_close(two);
		assert_int_equal(value(REQUESTS), 2 * n);
		assert_int_equal(value(BYTES), n * (n + 1) / 2);
		assert_int_equal(stat_of(look).folds, n);
	}
	assert_int_equal(stat_of(look).used, 1);
	assert_int_equal(stat_of(look).left, 0);
}

static void metrics_say_what_they_are(void **state)
{
	const struct tarn_metric *busy = tarn_counters_describe(look, BUSY);

	(void)state;
	assert_int_equal(tarn_counters_count(look), METRICS);
	assert_string_equal(busy->name, "busy");
	assert_string_equal(busy->unit, "");
	assert_string_equal(busy->help, "requests being answered");
	assert_int_equal(busy->kind, TARN_METRIC_GAUGE);
	assert_string_equal(tarn_counters_describe(look, BYTES)->unit, "bytes");
	assert_null(tarn_counters_describe(look, METRICS));
	assert_int_equal(tarn_counters_find(look, "bytes_total"), BYTES);
	assert_int_equal(tarn_counters_find(look, "bytes"), -ENOENT);
	assert_int_equal(stat_of(look).metrics, METRICS);
	assert_int_equal(stat_of(look).cells, METRICS);
	assert_int_equal(stat_of(look).slots, SLOTS);
}

/* What opening with these says. */
static int open_with(const struct tarn_metric *list, uint32_t count, const char *says)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_counters_opts opts = { .metrics = list, .count = count, .diag = &diag };
	struct tarn_counters *counters = NULL;
	int r = tarn_counters_open(region, "web", &opts, &counters);

	if (r == 0)
		tarn_counters_close(counters);
	else if (strstr(diag.what, says) == NULL)
		assert_string_equal(diag.what, says);
	return r;
}

static void other_metrics_are_refused_by_name(void **state)
{
	struct tarn_metric other[METRICS + 1];

	(void)state;
	memcpy(other, metrics, sizeof(metrics));
	other[METRICS] = (struct tarn_metric){ "errors_total", "", "", TARN_METRIC_COUNTER, 0, 0 };
	assert_int_equal(open_with(other, METRICS, ""), 0);
	assert_int_equal(open_with(other, METRICS - 1, ""), 0);
	assert_int_equal(open_with(other, METRICS + 1, "have no metric 3, counter errors_total"),
			 -EEXIST);
	other[BUSY].help = "other words for it";
	assert_int_equal(open_with(other, METRICS, ""), 0);
	other[BYTES].unit = "KiB";
	assert_int_equal(open_with(other, METRICS,
				   "counters web: metric 2 is counter bytes_total of bytes; wanted "
				   "was counter bytes_total of KiB"),
			 -EEXIST);
	other[BUSY].kind = TARN_METRIC_COUNTER;
	assert_int_equal(
		open_with(other, METRICS, "metric 1 is gauge busy; wanted was counter busy"),
		-EEXIST);
	other[REQUESTS].name = "answers";
	assert_int_equal(open_with(other, METRICS,
				   "metric 0 is counter requests_total; wanted was "
				   "counter answers"),
			 -EEXIST);
}

static void what_cannot_be_a_metric_is_said(void **state)
{
	static const struct {
		struct tarn_metric metric;
		const char *says;
	} bad[] = {
		{ { "", "", "", TARN_METRIC_COUNTER, 0, 0 }, "its name is wanted" },
		{ { NULL, "", "", TARN_METRIC_COUNTER, 0, 0 }, "its name is wanted" },
		{ { "2nd", "", "", TARN_METRIC_COUNTER, 0, 0 }, "its name is wanted" },
		{ { "a b", "", "", TARN_METRIC_COUNTER, 0, 0 }, "its name is wanted" },
		{ { "a23456789_123456789_123456789_123456789_123456789_123456789_1234", "", "",
		    TARN_METRIC_COUNTER, 0, 0 },
		  "its name is wanted" },
		{ { "a", "k/s", "", TARN_METRIC_COUNTER, 0, 0 }, "its unit is wanted" },
		{ { "a", "", "two\nlines", TARN_METRIC_COUNTER, 0, 0 }, "its help is wanted" },
		{ { "a", "", "", 0, 0, 0 }, "its kind is none" },
		{ { "a", "", "", 4, 0, 0 }, "its kind is none" },
		{ { "a", "", "", TARN_METRIC_COUNTER, 1, 0 }, "of histograms alone" },
		{ { "a", "", "", TARN_METRIC_GAUGE, 0, 1 }, "of histograms alone" },
		{ { "a", "", "", TARN_METRIC_HISTOGRAM, 8, 0 }, "its bits are wanted as 1 to 7" },
		{ { "other", "", "", TARN_METRIC_COUNTER, 0, 0 },
		  "two metrics have the name other" },
	};
	struct tarn_metric pair[2] = { { "other", "", "", TARN_METRIC_COUNTER, 0, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pair[1] = bad[i].metric;
		assert_int_equal(open_with(pair, 2, bad[i].says), -EINVAL);
	}
	assert_int_equal(open_with(metrics, 0, "0 metrics: 1 to 4096"), -EINVAL);
	assert_int_equal(open_with(metrics, 5000, "5000 metrics: 1 to 4096"), -EINVAL);
	assert_int_equal(open_with(NULL, 3, "3 metrics, and none is said"), -EINVAL);
}

static void options_are_told_apart(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_counters_opts opts = wanted;
	struct tarn_counters *counters = NULL;

	(void)state;
	opts.diag = &diag;
	opts.slots = SLOTS + 1;
	assert_int_equal(tarn_counters_open(region, "web", &opts, &counters), -EEXIST);
	assert_non_null(strstr(diag.what, "room for 4 handles that add; asked was 5"));
	opts.slots = TARN_COUNTERS_SLOTS_MAX + 1;
	assert_int_equal(tarn_counters_open(region, "web", &opts, &counters), -EINVAL);
	opts.slots = 0;
	opts.flags = 2;
	assert_int_equal(tarn_counters_open(region, "web", &opts, &counters), -EINVAL);
	assert_int_equal(tarn_counters_open(region, "flags", NULL, &counters), -EPROTO);
	assert_int_equal(tarn_counters_open(region, "none", NULL, &counters), -ENOENT);
	assert_null(counters);
	tarn_counters_close(NULL);
}

/* --- slots --------------------------------------------------------------------------------- */

static void there_are_as_many_slots_as_were_asked_for(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_counters_opts opts = { .diag = &diag };
	const struct tarn_counters_opts reads = { .diag = &diag, .flags = TARN_COUNTERS_READ };
	struct tarn_counters *others[SLOTS - 1], *more = NULL;

	(void)state;
	for (int i = 0; i < SLOTS - 1; i++)
		others[i] = another();
	assert_int_equal(tarn_counters_open(region, "web", &opts, &more), -EUSERS);
	assert_non_null(strstr(diag.what, "all of their 4 slots are taken, one by process"));
	assert_null(more);
	assert_int_equal(tarn_counters_open(region, "web", &reads, &more), 0);
	assert_int_equal(tarn_counters_join(more, &diag), -EPERM);
	tarn_counters_close(more);
	assert_int_equal(count_role("web", TARN_LOCK_SITS), SLOTS);
	tarn_counters_close(others[0]);
	others[0] = another();
	for (int i = 0; i < SLOTS - 1; i++)
		tarn_counters_close(others[i]);
	assert_int_equal(count_role("web", TARN_LOCK_SITS), 1);
}

static int add_and_die(void *arg)
{
	struct tarn_counters *counters = arg;

	tarn_counter_add(counters, REQUESTS, 3);
	tarn_counter_add(counters, BYTES, 100);
	tarn_gauge_set(counters, BUSY, 9);
	return 0;
}

static void what_the_dead_have_added_stays(void **state)
{
	uint32_t count = 7;

	(void)state;
	tarn_gauge_set(web, BUSY, 1);
	for (uint64_t n = 1; n <= 3 * SLOTS; n++) {
		run_dead(add_and_die, web); /* fork: the child has a slot of its own */
		assert_int_equal(value(REQUESTS), 3 * n);
		assert_int_equal(value(BYTES), 100 * n);
		assert_int_equal(value(BUSY), 1);
	}
	assert_true(stat_of(look).left > 0);
	count = 7;
	assert_int_equal(tarn_counters_fold(web, &count, NULL), 0);
	assert_true(count > 0);
	assert_int_equal(stat_of(look).left, 0);
	assert_int_equal(stat_of(look).folds, 3 * SLOTS);
	assert_int_equal(tarn_counters_fold(look, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_int_equal(value(REQUESTS), 9 * SLOTS);
	assert_int_equal(value(BUSY), 1);
}

static int add_without_room(void *arg)
{
	struct tarn_diag diag;

	tarn_counter_add(arg, REQUESTS, 1);
	tarn_counter_add(arg, REQUESTS, 1);
	tarn_gauge_set(arg, BUSY, 1);
	if (stat_of(arg).dropped != 3 || tarn_counters_join(arg, &diag) != -EUSERS)
		return 1;
	atomic_store(&flags[0], 1);
	await_flag(1);
	tarn_counter_add(arg, REQUESTS, 1);
	return stat_of(arg).dropped == 3 && tarn_counters_join(arg, &diag) == 0 ? 0 : 2;
}

static void a_child_without_a_slot_says_what_it_dropped(void **state)
{
	struct tarn_counters *others[SLOTS - 1];
	pid_t pid;

	(void)state;
	for (int i = 0; i < SLOTS - 1; i++)
		others[i] = another();
	tarn_counter_add(web, REQUESTS, 10);
	pid = start(add_without_room, web);
	await_flag(0);
	assert_int_equal(value(REQUESTS), 10);
	tarn_counters_close(others[0]);
	atomic_store(&flags[1], 1);
	await_death(pid);
	assert_int_equal(value(REQUESTS), 11);
	for (int i = 1; i < SLOTS - 1; i++)
		tarn_counters_close(others[i]);
}

static int close_in_child(void *arg)
{
	tarn_counters_close(arg);
	return 0;
}

static void a_child_that_closes_leaves_its_parents_slot(void **state)
{
	(void)state;
	tarn_gauge_set(web, BUSY, 4);
	run_dead(close_in_child, web);
	assert_int_equal(value(BUSY), 4);
	assert_int_equal(stat_of(look).used, 1);
	tarn_counter_add(web, REQUESTS, 1);
	assert_int_equal(value(REQUESTS), 1);
}

/* --- folding ------------------------------------------------------------------------------- */

/* As far as the steps of counters.h up to @arg, of the slot of this process's own; then it dies. */
static int fold_in_part(void *arg)
{
	struct counters *c = counters_of(web);
	int steps = *(int *)arg;
	uint64_t which;

	tarn_counter_add(web, REQUESTS, 5);
	tarn_counter_add(web, BYTES, 50);
	tarn_gauge_set(web, BUSY, 5);
	if (tarn_counters_fold(web, NULL, NULL) < 0 || /* what the last one left */
	    tarn__prim_lock(&c->prim, TARN_FOREVER, true, NULL) < 0)
		return 1;
	which = atomic_load(&c->shm->flip) & 1;
	for (uint32_t i = 0; i < c->of.cells; i++)
		atomic_store(&departed_at(c, which ^ 1)[i],
			     i == BUSY ? 0
				       : atomic_load(&departed_at(c, which)[i]) +
						 atomic_load(&slot_at(c, c->slot)[i]));
	if (steps > 1)
		atomic_store(&c->shm->flip,
			     ((atomic_load(&c->shm->flip) >> FLIP_COUNT) + 1) << FLIP_COUNT |
				     (uint64_t)(c->slot + 1) << FLIP_SLOT | (which ^ 1));
	if (steps > 2)
		for (uint32_t i = 0; i < c->of.cells; i++)
			atomic_store(&slot_at(c, c->slot)[i], 0);
	if (steps > 3)
		atomic_store(&c->shm->flip,
			     (((atomic_load(&c->shm->flip) >> FLIP_COUNT) + 1) << FLIP_COUNT) |
				     (which ^ 1));
	return 0;
}

static void who_folds_may_die_anywhere(void **state)
{
	uint64_t sum = 0;

	(void)state;
	for (int turn = 0; turn < 20; turn++) {
		int steps = turn % 5;

		run_dead(fold_in_part, &steps);
		sum += 5;
		assert_int_equal(value(REQUESTS), sum);
		assert_int_equal(value(BYTES), 10 * sum);
		assert_int_equal(value(BUSY), 0);
		if (turn % 3 == 0)
			assert_int_equal(tarn_counters_fold(web, NULL, NULL), 0);
		assert_int_equal(value(REQUESTS), sum);
		assert_int_equal(value(BYTES), 10 * sum);
		assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	}
}

static int lock_and_wait(void *arg)
{
	if (tarn__prim_lock(&counters_of(arg)->prim, TARN_FOREVER, true, NULL) < 0)
		return 1;
	atomic_store(&flags[0], 1);
	for (int64_t end = tarn_deadline_after(5000000000); atomic_load(&flags[1]) == 0;) {
		if (tarn_deadline_after(0) > end)
			return 0; /* they wait for us, which they should not */
		pause_us(200);
	}
	return 0;
}

static void nobody_waits_for_who_folds(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_counters *two = another(), *three;
	pid_t pid;

	(void)state;
	tarn_counter_add(two, REQUESTS, 6);
	tarn_gauge_set(two, BUSY, 3);
	pid = start(lock_and_wait, web);
	await_flag(0);
	tarn_counters_close(two);
	assert_int_equal(value(REQUESTS), 6);
	assert_int_equal(value(BUSY), 0);
	assert_int_equal(stat_of(look).left, 1);
	assert_int_equal(tarn_counters_fold(web, NULL, &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "is held by process"));
	three = another(); /* there is another slot */
	tarn_counter_add(three, REQUESTS, 1);
	assert_int_equal(value(REQUESTS), 7);
	atomic_store(&flags[1], 1);
	await_death(pid);
	assert_int_equal(tarn_counters_fold(web, NULL, NULL), 0);
	assert_int_equal(value(REQUESTS), 7);
	tarn_counters_close(three);
}

static _Atomic uint32_t stop;
static _Atomic uint64_t backwards;

static void *read_all_the_time(void *arg)
{
	uint64_t before[METRICS] = { 0 }, now[METRICS];

	while (atomic_load(&stop) == 0) {
		int r = tarn_counters_read(arg, now, METRICS);

		if (r < 0 || now[REQUESTS] < before[REQUESTS] || now[BYTES] < before[BYTES])
			atomic_fetch_add(&backwards, 1);
		memcpy(before, now, sizeof(now));
	}
	return NULL;
}

static void sums_never_go_backwards(void **state)
{
	pthread_t reader;

	(void)state;
	atomic_store(&stop, 0);
	atomic_store(&backwards, 0);
	assert_int_equal(pthread_create(&reader, NULL, read_all_the_time, look), 0);
	for (int n = 0; n < 2000; n++) {
		struct tarn_counters *two = another();

		tarn_counter_add(two, REQUESTS, 1);
		tarn_counter_add(web, BYTES, 1);
		tarn_counter_add(two, BYTES, 2);
		tarn_counters_close(two);
	}
	atomic_store(&stop, 1);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(atomic_load(&backwards), 0);
	assert_int_equal(value(REQUESTS), 2000);
	assert_int_equal(value(BYTES), 6000);
}

/* --- damage, and looking on ---------------------------------------------------------------- */

static void damage_is_told(void **state)
{
	struct counters *c = counters_of(web);
	struct tarn_counters *two = NULL;
	uint64_t values[METRICS];
	uint32_t cells = c->shm->cells, count = c->shm->count;
	char first = c->shm->metrics[0].name[0];

	(void)state;
	c->shm->cells = 1u << 19;
	assert_int_equal(tarn_counters_open(region, "web", NULL, &two), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	c->shm->cells = cells;
	c->shm->count = 0;
	assert_int_equal(tarn_counters_open(region, "web", NULL, &two), -EUCLEAN);
	c->shm->count = count;
	c->shm->metrics[0].name[0] = 'R';
	assert_int_equal(tarn_counters_open(region, "web", NULL, &two), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	c->shm->metrics[0].name[0] = first;
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	atomic_store(&c->shm->flip, (uint64_t)(SLOTS + 1) << FLIP_SLOT);
	assert_int_equal(tarn_counters_read(look, values, METRICS), -EUCLEAN);
	assert_int_equal(tarn_counters_fold(web, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&c->shm->flip, 0);
	atomic_store(&slot_at(c, (c->slot + 1) % SLOTS)[1], 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&slot_at(c, (c->slot + 1) % SLOTS)[1], 0);
	atomic_store(&departed_at(c, 0)[BUSY], 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&departed_at(c, 0)[BUSY], 0);
}

static int look_on(void *arg)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_OBSERVE };
	struct tarn_counters *counters = NULL;
	uint64_t values[METRICS];
	struct tarn_region *on;

	(void)arg;
	if (tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(region)), &opts, &on) < 0 ||
	    tarn_counters_open(on, "none", &wanted, &counters) != -ENOENT ||
	    tarn_counters_open(on, "web", &wanted, &counters) < 0 ||
	    tarn_counters_read(counters, values, METRICS) < 0)
		return 1;
	if (values[REQUESTS] != 3 || values[BUSY] != 4 ||
	    tarn_counters_join(counters, NULL) != -EPERM ||
	    tarn_counters_fold(counters, NULL, NULL) != -EPERM)
		return 2;
	tarn_counters_close(counters);
	tarn_region_close(on);
	return 0;
}

static void who_looks_on_reads_and_writes_nothing(void **state)
{
	struct tarn_counters_stat before;

	(void)state;
	tarn_gauge_set(web, BUSY, 4);
	run_dead(add_and_die, web);
	before = stat_of(look);
	run_dead(look_on, NULL);
	assert_int_equal(stat_of(look).left, before.left);
	assert_int_equal(stat_of(look).folds, before.folds);
}

static void a_thousand_metrics(void **state)
{
	static struct tarn_metric many[1000];
	static char names[1000][16];
	static uint64_t values[1000];
	const struct tarn_counters_opts opts = { .metrics = many, .count = 1000, .slots = 8 };
	struct tarn_counters *counters = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof(names[i]), "m%d", i);
		many[i] = (struct tarn_metric){ names[i], "", "", TARN_METRIC_COUNTER, 0, 0 };
	}
	assert_int_equal(tarn_counters_open(region, "many", &opts, &counters), 0);
	for (uint32_t i = 0; i < 1000; i++)
		tarn_counter_add(counters, i, i);
	assert_int_equal(tarn_counters_read(counters, values, 1000), 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(values[i], i);
	assert_int_equal(tarn_counters_find(counters, "m999"), 999);
	tarn_counters_close(counters);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_counters, drop_counters)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_added_is_read),
		TEST(a_gauge_is_the_sum_of_those_there),
		TEST(who_leaves_leaves_its_sums),
		TEST(metrics_say_what_they_are),
		TEST(other_metrics_are_refused_by_name),
		TEST(what_cannot_be_a_metric_is_said),
		TEST(options_are_told_apart),
		TEST(there_are_as_many_slots_as_were_asked_for),
		TEST(what_the_dead_have_added_stays),
		TEST(a_child_without_a_slot_says_what_it_dropped),
		TEST(a_child_that_closes_leaves_its_parents_slot),
		TEST(who_folds_may_die_anywhere),
		TEST(nobody_waits_for_who_folds),
		TEST(sums_never_go_backwards),
		TEST(damage_is_told),
		TEST(who_looks_on_reads_and_writes_nothing),
		TEST(a_thousand_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
