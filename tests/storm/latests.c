/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latest values in a storm: processes of two threads each write, read and hold two of them, and are
 * killed at random; every value is whole, and numbers never go back.
 *
 * "books" is copied. A thread reads the newest, adds one to its own book in it, and writes that if
 * nothing newer is there. So in every value, whoever wrote it and whoever died, all books together
 * are its number; and at the end no book lacks a change that was confirmed, or has one that was
 * never begun. "frames" is filled in place, all of it with one word, and held for a while.
 *
 * Outside of the region stands the largest number that anybody has seen or written of each: who
 * looks after that sees that one, or a later one.
 */
#include <errno.h>

#include <tarn/latest.h>

#include "crowd.h"

enum { FRAME = 512, PLACES = 2 };

enum mutant { NO_MUTANT, LOST, AFTERWARDS, LET_GO };
static const char *const mutant_names[] = { "none", "lost", "afterwards", "let-go", NULL };

struct books {
	uint64_t changes[BOOKS];
};

static struct tarn_region *region;
static _Atomic uint64_t *floors;                    /* PLACES of them */
static __thread struct tarn_latest *books, *frames; /* a handle is one thread's */

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 1 << 18 };
	const struct tarn_latest_opts copied = { .size = sizeof(struct books), .holders = BOOKS };
	const struct tarn_latest_opts filled = { .size = FRAME * sizeof(uint64_t),
						 .holders = BOOKS,
						 .flags = TARN_LATEST_IN_PLACE };
	const struct books none = { .changes = { 1 } };

	floors = harness_shared(PLACES * sizeof(*floors));
	crowd_must("create", tarn_region_create(crowd->addr, &opts, &region));
	crowd_must("books", tarn_latest_open(region, "books", &copied, &books));
	crowd_must("frames", tarn_latest_open(region, "frames", &filled, &frames));
	/* the first thread's, so that there is one to begin with */
	crowd_begun(0);
	crowd_must("write", tarn_latest_write(books, &none, sizeof(none), TARN_FOREVER, NULL));
	crowd_final(0);
	tarn_latest_close(books);
	tarn_latest_close(frames);
	tarn_region_close(region);
	books = frames = NULL;
}

static void join(void)
{
	crowd_must("open", tarn_region_open(crowd->addr, NULL, &region));
}

/* --- what is true of every value ------------------------------------------------------------ */

static void raise_floor(int place, uint64_t number)
{
	uint64_t floor = atomic_load(&floors[place]);

	while (floor < number && !atomic_compare_exchange_weak(&floors[place], &floor, number))
		;
}

static void check_number(int place, uint64_t floor, uint64_t number)
{
	if (number < floor)
		crowd_violation("a number goes back", (int64_t)number, (int64_t)floor);
	raise_floor(place, number);
	atomic_fetch_add(&crowd->counted, 1);
}

static void check_books(const struct books *value, size_t size, uint64_t number)
{
	uint64_t sum = 0;

	for (int n = 0; n < BOOKS; n++)
		sum += value->changes[n];
	if (size != sizeof(*value) || sum != number)
		crowd_violation("the books are not their number", (int64_t)sum, (int64_t)number);
}

static void check_frame(const uint64_t *words, size_t size)
{
	for (size_t i = 1; i < size / sizeof(*words); i++)
		if (words[i] != words[0]) {
			crowd_violation("a torn frame", (int64_t)words[i], (int64_t)words[0]);
			return;
		}
}

/* --- acts ------------------------------------------------------------------------------------ */

static uint64_t read_books(struct books *value)
{
	uint64_t floor = atomic_load(&floors[0]), number = 0;
	size_t size = 0;

	crowd_must("read", tarn_latest_read(books, value, sizeof(*value), &size, &number));
	check_books(value, size, number);
	check_number(0, floor, number);
	return number;
}

static void change_books(int n)
{
	struct books value;
	uint64_t number = read_books(&value);
	int r;

	value.changes[n]++;
	crowd_begun(n);
	if (crowd->mutant == LOST)
		r = tarn_latest_write(books, &value, sizeof(value), TARN_FOREVER, NULL);
	else
		r = tarn_latest_write_if(books, &value, sizeof(value), number, TARN_FOREVER, NULL);
	if (r == -EAGAIN)
		return; /* begun and not made, as if killed before */
	crowd_must("write", r);
	crowd_final(n);
	raise_floor(0, number + 1);
}

static void hold_books(uint64_t *seed)
{
	uint64_t floor = atomic_load(&floors[0]), number = 0;
	const void *data;
	size_t size;

	crowd_must("hold", tarn_latest_hold(books, &data, &size, &number, NULL));
	check_number(0, floor, number);
	if (storm_random(seed) % 4 == 0)
		harness_sleep_us((int64_t)(storm_random(seed) % 100));
	check_books(data, size, number);
	tarn_latest_release(books);
}

static void fill_frame(uint64_t *seed)
{
	uint64_t *words, word = storm_random(seed);
	void *data;

	crowd_must("loan", tarn_latest_loan(frames, TARN_FOREVER, &data, NULL));
	words = data;
	for (int i = 0; i < FRAME; i++)
		words[i] = word;
	if (word % 8 == 0) {
		tarn_latest_abort(frames);
		return;
	}
	crowd_must("publish", tarn_latest_publish(frames, FRAME * sizeof(*words)));
	if (crowd->mutant == AFTERWARDS)
		words[FRAME - 1] = ~word;
}

static void show_frame(uint64_t *seed)
{
	uint64_t floor = atomic_load(&floors[1]), number = 0;
	const void *data;
	size_t size;
	int r = tarn_latest_hold(frames, &data, &size, &number, NULL);

	if (r == -ENODATA)
		return;
	crowd_must("hold", r);
	check_number(1, floor, number);
	if (crowd->mutant == LET_GO)
		tarn_latest_release(frames);
	check_frame(data, size);
	harness_sleep_us((int64_t)(storm_random(seed) % 200));
	check_frame(data, size);
	tarn_latest_release(frames);
}

static void copy_frame(void)
{
	uint64_t words[FRAME], floor = atomic_load(&floors[1]), number = 0;
	size_t size = 0;
	int r = tarn_latest_read(frames, words, sizeof(words), &size, &number);

	if (r == -ENODATA)
		return;
	crowd_must("read", r);
	check_frame(words, size);
	check_number(1, floor, number);
}

static void act(int n, uint64_t *seed)
{
	struct books value;

	if (books == NULL)
		crowd_must("books", tarn_latest_open(region, "books", NULL, &books));
	if (frames == NULL)
		crowd_must("frames", tarn_latest_open(region, "frames", NULL, &frames));
	switch (storm_random(seed) % 8) {
	case 0:
	case 1:
	case 2:
		change_books(n);
		break;
	case 3:
		(void)read_books(&value);
		break;
	case 4:
		hold_books(seed);
		break;
	case 5:
		fill_frame(seed);
		break;
	case 6:
		show_frame(seed);
		break;
	default:
		copy_frame();
		break;
	}
}

/* --- account --------------------------------------------------------------------------------- */

static uint64_t settle(void)
{
	struct books value;
	uint64_t number;

	join();
	crowd_must("books", tarn_latest_open(region, "books", NULL, &books));
	number = read_books(&value);
	for (int n = 0; n < BOOKS; n++)
		crowd_book(n, value.changes[n]);
	tarn_latest_close(books);
	crowd_check(region);
	tarn_region_close(region);
	return number;
}

static const struct crowd_plan the_plan = {
	.name = "latests",
	.mutants = mutant_names,
	.counts = "looks",
	.make = make,
	.join = join,
	.act = act,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
