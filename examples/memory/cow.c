/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cow - a copy-on-write view: read what all share, store for oneself alone.
 *
 *     cow
 *
 * prints
 *
 *     both see: 7 7
 *     after a store in the view: shared 7, view 42
 *     after a store to the shared memory: shared 8, view 42
 *     pages of its own: 1 of 256
 *
 * The first store to a page copies it; the others stay shared, and cost no memory. What the shared
 * memory becomes later shows on the pages that were not copied: a view is no snapshot. fork() does
 * the same with all private memory of a process: so a server writes a snapshot of its data from a
 * child while the parent goes on.
 */
#include <stdio.h>
#include <sys/resource.h>

#include <tarn/tarn.h>

enum { PAGE = 4096, PAGES = 256 };

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

int main(void)
{
	const struct tarn_segment_opts opts = { .size = PAGES * PAGE };
	const struct tarn_segment_opts as_view = { .flags = TARN_SEGMENT_PRIVATE };
	struct tarn_segment *shared_seg = NULL, *view_seg = NULL;
	int sum = 0;

	if (tarn_segment_create("memfd:cow", &opts, &shared_seg) < 0 ||
	    tarn_segment_open_fd(tarn_segment_fd(shared_seg), &as_view, &view_seg) < 0)
		return 1;
	unsigned char *shared = tarn_segment_data(shared_seg), *view = tarn_segment_data(view_seg);

	shared[0] = 7;
	printf("both see: %d %d\n", shared[0], view[0]);
	for (size_t i = 0; i < PAGES; i++)
		sum += view[i * PAGE]; /* every page is mapped, and none copied */
	long before = faults();

	view[0] = 42; /* a fault, which copies the page */
	long copied = faults() - before;

	printf("after a store in the view: shared %d, view %d\n", shared[0], view[0]);
	int kept = shared[0] == 7 && view[0] == 42;

	shared[0] = 8;
	printf("after a store to the shared memory: shared %d, view %d\n", shared[0], view[0]);
	printf("pages of its own: %ld of %d\n", copied, PAGES);
	tarn_segment_close(view_seg);
	tarn_segment_close(shared_seg);
	return sum != 7 || copied != 1 || !kept;
}
