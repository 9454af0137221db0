/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paging - pages that come when they are touched, against pages that are there before.
 *
 *     paging [MIB]            of shared memory; 16 if not said
 *
 * prints, here on a busy virtual machine:
 *
 *     4096            faults when made   when touched   ns a page when touched
 *     lazy                           7           4097                    23790
 *     reserved                       4           4096                     8579
 *     populated                   4096              0                       31
 *
 * lazy (TARN_SEGMENT_LAZY) is what ftruncate() and mmap() give: the first touch of each page is a
 * fault that finds memory for it, or SIGBUS when there is none any more. reserved, Tarn's default:
 * the memory is there before the name is, and a fault only enters it in the page table. populated
 * (TARN_SEGMENT_POPULATE, MAP_POPULATE): nor that; for whoever must not be late the first time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <tarn/tarn.h>

enum { PAGE = 4096 };

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* One row; @ret_touched: faults when each page is touched. */
static int row(const char *what, uint64_t size, uint32_t flags, long *ret_touched)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_segment_opts opts = { .size = size, .flags = flags, .diag = &diag };
	struct tarn_segment *seg = NULL;
	long before = faults();
	int r = tarn_segment_create("memfd:paging", &opts, &seg);

	if (r < 0) {
		fprintf(stderr, "paging: %s\nhint: %s\n", diag.what, diag.hint);
		return r;
	}
	long made = faults();
	char *at = tarn_segment_data(seg);
	int64_t began = tarn_now();

	for (uint64_t i = 0; i < size; i += PAGE)
		at[i] = 1;
	int64_t took = tarn_now() - began;

	*ret_touched = faults() - made;
	printf("%-15s %16ld %14ld %24ld\n", what, made - before, *ret_touched,
	       (long)(took / (int64_t)(size / PAGE)));
	tarn_segment_close(seg);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 16, size = mib << 20;
	long lazy, reserved, populated;

	if (mib == 0 || mib > 1 << 20)
		return 2;
	printf("%-15d faults when made   when touched   ns a page when touched\n",
	       (int)(size / PAGE));
	if (row("lazy", size, TARN_SEGMENT_LAZY, &lazy) < 0 ||
	    row("reserved", size, 0, &reserved) < 0 ||
	    row("populated", size, TARN_SEGMENT_POPULATE, &populated) < 0)
		return 1;
	return populated >= lazy || populated >= reserved;
}
