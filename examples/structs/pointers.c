/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pointers - why no pointer stands in shared memory, and what stands in its place.
 *
 *     pointers
 *
 * prints, with other addresses:
 *
 *     one memory, at 0x7f2c4a400000 here and at 0x7f2c4a200000 there
 *     a pointer stored here: 0x7f2c4a448080, there outside of the memory
 *     a ref stored here: 295040, there "Hello from a list"
 *
 * Each process has the memory where its kernel put it; here one process has it twice, which is the
 * same for this purpose. What must not have a fixed length, and so would be a char *, is a block
 * of an arena, and a ref leads to it: an offset, the same everywhere. tarn_arena_at() makes an
 * address of it, and NULL of one that does not lie in the arena, so a wrong ref is an error and no
 * crash. A text of a fixed length can stand in the struct itself: TEXT of tarn/type.h (sensor.c).
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

struct message {
	uint64_t pointer; /* wrong: an address of the process that stored it */
	tarn_ref ref;     /* right */
};

static const char text[] = "Hello from a list";

static int store(struct tarn_section *section, struct tarn_arena *arena, struct message *message)
{
	struct tarn_tx *tx;
	tarn_ref ref = 0;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	if (r < 0)
		return r;
	if (tarn_arena_alloc(arena, tx, sizeof(text), 0, 0, &ref) == 0) {
		char *at = tarn_arena_at(arena, ref, sizeof(text));

		memcpy(at, text, sizeof(text)); /* a new block needs no log */
		tarn_tx_set64(tx, &message->pointer, (uintptr_t)at);
		tarn_tx_set64(tx, &message->ref, ref);
	}
	return tarn_section_leave(section); /* says so if the alloc failed */
}

int main(void)
{
	struct tarn_region *here = NULL, *there = NULL;
	struct tarn_section *section = NULL;
	struct tarn_arena *arena = NULL, *arena_there = NULL;
	struct tarn_arena_opts opts = { 0 };
	void *message = NULL, *same = NULL;

	if (tarn_region_create("memfd:pointers", NULL, &here) < 0 ||
	    tarn_section_open(here, NULL, &(struct tarn_section_opts){ 0 }, &section) < 0)
		return 1;
	opts.section = section;
	if (tarn_arena_open(here, "texts", &opts, &arena) < 0 ||
	    tarn_object_create(here, "message", sizeof(struct message), &message, NULL) < 0 ||
	    store(section, arena, message) < 0 ||
	    tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(here)), NULL, &there) < 0 ||
	    tarn_arena_open(there, "texts", NULL, &arena_there) < 0 ||
	    tarn_object_open(there, "message", &same, NULL) < 0)
		return 1;

	const struct message *m = same;
	struct tarn_segment *seg = tarn_region_segment(there);
	uintptr_t start = (uintptr_t)tarn_segment_data(seg);
	bool outside = m->pointer - start >= tarn_segment_size(seg);
	const char *found = tarn_arena_at(arena_there, m->ref, sizeof(text));

	printf("one memory, at %p here and at %p there\n",
	       tarn_segment_data(tarn_region_segment(here)), (void *)start);
	printf("a pointer stored here: 0x%llx, there %s of the memory\n",
	       (unsigned long long)m->pointer, outside ? "outside" : "inside");
	printf("a ref stored here: %llu, there \"%s\"\n", (unsigned long long)m->ref,
	       found != NULL ? found : "nothing");
	return !outside || found == NULL || strcmp(found, text) != 0;
}
