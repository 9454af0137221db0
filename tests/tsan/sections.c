/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections used by two threads: changed, aborted, read without entering, looked at. */
#include "duet.h"

enum { ROUNDS = 5000, WORDS = 8 };

static struct tarn_section *first, *second;
static uint64_t *words; /* under both: 0 to 3 first, 4 to 7 second */

static struct tarn_tx *enter(struct tarn_section *section)
{
	struct tarn_tx *tx;

	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	return tx;
}

/* One more here, one less there. */
static void shift(struct tarn_tx *tx, uint64_t *pair)
{
	uint64_t sum = pair[0] + pair[1];

	expect("sum", sum == 0);
	tarn_tx_set64(tx, &pair[0], pair[0] + 1);
	tarn_tx_set64(tx, &pair[1], pair[1] - 1);
}

static void *change(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		shift(enter(first), words);
		must("leave", tarn_section_leave(first));
	}
	return arg;
}

/* By a handle of its own. */
static void *change_by_another(void *arg)
{
	struct tarn_section *mine;

	must("open", tarn_section_open(region, "first", NULL, &mine));
	for (int i = 0; i < ROUNDS; i++) {
		shift(enter(mine), words);
		must("leave", tarn_section_leave(mine));
	}
	tarn_section_close(mine);
	return arg;
}

static void *change_both(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct tarn_tx *tx = enter(first);

		shift(tx, words);
		expect("one tx", enter(second) == tx);
		shift(tx, words + 4);
		must("leave", tarn_section_leave(second));
		must("leave", tarn_section_leave(first));
	}
	return arg;
}

static void *change_second(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		shift(enter(second), words + 4);
		must("leave", tarn_section_leave(second));
	}
	return arg;
}

static void *change_and_abort(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct tarn_tx *tx = enter(first);
		uint64_t before = words[0];

		shift(tx, words);
		must("write", tarn_tx_write(tx, &words[1], "01234567", 8));
		must("abort", tarn_section_abort(first));
		if (i % 2 == 0)
			continue;
		shift(enter(first), words);
		expect("mine", words[0] > before);
		must("leave", tarn_section_leave(first));
	}
	return arg;
}

static void *look(void *arg)
{
	uint64_t pair[2], last = 0;
	uint32_t version;

	for (int i = 0; i < ROUNDS; i++) {
		must("read", tarn_section_read(first, pair, words, sizeof(pair), TARN_FOREVER));
		expect("whole", pair[0] + pair[1] == 0 && pair[0] >= last);
		last = pair[0];
		if (tarn_section_read_begin(first, &version) != 0)
			continue;
		must("load", tarn_section_load(first, &pair[0], &words[0], 8));
		must("load", tarn_section_load(first, &pair[1], &words[1], 8));
		if (tarn_section_read_valid(first, version))
			expect("whole", pair[0] + pair[1] == 0);
	}
	return arg;
}

static void *inspect(void *arg)
{
	struct tarn_section_stat stat;

	for (int i = 0; i < ROUNDS / 20; i++) {
		must("stat", tarn_section_stat(first, &stat));
		must("check", tarn_region_check(region, NULL, NULL));
	}
	return arg;
}

/* Ends inside, again and again. */
static void *end_inside(void *arg)
{
	shift(enter(first), words);
	return arg;
}

static void *short_lives(void *arg)
{
	for (int i = 0; i < ROUNDS / 50; i++) {
		pthread_t thread;

		must("thread", pthread_create(&thread, NULL, end_inside, NULL));
		pthread_join(thread, NULL);
	}
	return arg;
}

static const struct duet cases[] = {
	{ "two that change", change, change },
	{ "two that change, by two handles", change, change_by_another },
	{ "one and two sections", change_both, change_second },
	{ "two sections each", change_both, change_both },
	{ "aborts", change_and_abort, change },
	{ "readers that do not enter", change, look },
	{ "readers beside aborts", change_and_abort, look },
	{ "facts and checks", change_both, inspect },
	{ "threads that end inside", short_lives, change },
};

int main(int argc, char **argv)
{
	const struct tarn_section_opts opts = { .journal_size = 256 };
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
	void *data;

	must("first", tarn_section_open(region, "first", &opts, &first));
	must("second", tarn_section_open(region, "second", &opts, &second));
	must("words", tarn_object_create(region, "words", WORDS * 8, &data, NULL));
	words = data;
	duet_run(&cases[i]);
	expect("sums", words[0] + words[1] == 0 && words[4] + words[5] == 0);
	tarn_section_close(first);
	tarn_section_close(second);
	duet_end();
	return 0;
}
