/* SPDX-License-Identifier: BSD-2-Clause */
/* A latest value that one thread writes and another reads, holds, or writes too: each by its own
 * handle, as handles are. */
#include <errno.h>

#include "duet.h"

enum { ROUNDS = 5000, WORDS = 16 };

/* Of the first and of the second thread. */
static struct tarn_latest *copied[2], *filled[2];

static void check(const uint64_t *words, size_t size)
{
	expect("its size", size == WORDS * sizeof(*words));
	for (int i = 1; i < WORDS; i++)
		expect("whole", words[i] == words[0]);
}

static void *write_copies(void *arg)
{
	uint64_t words[WORDS];

	for (uint64_t n = 0; n < ROUNDS; n++) {
		for (int i = 0; i < WORDS; i++)
			words[i] = n;
		must("write",
		     tarn_latest_write(copied[0], words, sizeof(words), TARN_FOREVER, NULL));
	}
	return arg;
}

static void *read_copies(void *arg)
{
	uint64_t words[WORDS], number = 0, last;
	size_t size = 0;

	for (int n = 0; n < ROUNDS; n++) {
		last = number;
		must("read", tarn_latest_read(copied[1], words, sizeof(words), &size, &number));
		expect("none older", number >= last);
		check(words, size);
	}
	return arg;
}

/* What is held is read by plain loads. */
static void hold(struct tarn_latest *latest)
{
	const void *data = NULL;
	size_t size = 0;

	must("hold", tarn_latest_hold(latest, &data, &size, NULL, NULL));
	check(data, size);
	tarn_latest_release(latest);
}

static void *hold_copies(void *arg)
{
	for (int n = 0; n < ROUNDS; n++)
		hold(copied[1]);
	return arg;
}

/* What is lent is written by plain stores. */
static void fill(struct tarn_latest *latest, uint64_t n)
{
	uint64_t *words;
	void *data;

	must("loan", tarn_latest_loan(latest, TARN_FOREVER, &data, NULL));
	words = data;
	for (int i = 0; i < WORDS; i++)
		words[i] = n;
	if (n % 16 == 15)
		tarn_latest_abort(latest);
	else
		must("publish", tarn_latest_publish(latest, WORDS * sizeof(*words)));
}

static void *fill_first(void *arg)
{
	for (uint64_t n = 0; n < ROUNDS; n++)
		fill(filled[0], n);
	return arg;
}

static void *fill_second(void *arg)
{
	for (uint64_t n = 0; n < ROUNDS; n++)
		fill(filled[1], n);
	return arg;
}

static void *hold_filled(void *arg)
{
	for (int n = 0; n < ROUNDS; n++)
		hold(filled[1]);
	return arg;
}

static void *read_filled(void *arg)
{
	uint64_t words[WORDS];
	size_t size = 0;

	for (int n = 0; n < ROUNDS; n++) {
		must("read", tarn_latest_read(filled[1], words, sizeof(words), &size, NULL));
		check(words, size);
	}
	return arg;
}

static const struct duet cases[] = {
	{ "latest value, copied", write_copies, read_copies },
	{ "latest value, held", write_copies, hold_copies },
	{ "latest value, filled in place and held", fill_first, hold_filled },
	{ "latest value, filled in place and read", fill_first, read_filled },
	{ "latest value, filled in place by two", fill_first, fill_second },
};

int main(int argc, char **argv)
{
	const struct tarn_latest_opts copies = { .size = WORDS * sizeof(uint64_t), .holders = 2 };
	const struct tarn_latest_opts in_place = { .size = WORDS * sizeof(uint64_t),
						   .holders = 2,
						   .flags = TARN_LATEST_IN_PLACE };
	const uint64_t words[WORDS] = { 0 };
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));

	for (int t = 0; t < 2; t++) {
		must("open", tarn_latest_open(region, "copied", &copies, &copied[t]));
		must("open", tarn_latest_open(region, "filled", &in_place, &filled[t]));
	}
	must("write", tarn_latest_write(copied[0], words, sizeof(words), TARN_FOREVER, NULL));
	fill(filled[0], 0);
	duet_run(&cases[i]);
	for (int t = 0; t < 2; t++) {
		tarn_latest_close(copied[t]);
		tarn_latest_close(filled[t]);
	}
	duet_end();
	return 0;
}
