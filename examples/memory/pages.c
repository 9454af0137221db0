/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages - the same work on pages of 4 KB and of 2 MB.
 *
 *     pages [MIB]             of shared memory; 64 if not said
 *
 * prints, here on a busy virtual machine where all three could be had:
 *
 *     pages        got          made, touched  faults  a random read
 *     4 KB            4 KB         0.217 s      16384      881.5 ns
 *     2 MB (THP)      4 KB, THP    0.646 s         32      432.2 ns
 *     2 MB         2048 KB         0.045 s         32      394.1 ns
 *
 * and where one could not be had says so, and how it could:
 *
 *     2 MB         none: 32 huge pages of 2048 KiB wanted, 0 free and unreserved ...
 *       hint: sysctl -w vm.nr_hugepages=32
 *
 * An entry of the processor's translation cache (TLB) covers one page: 512 times more memory with
 * large ones; and a fault brings as much. There are those that the administrator sets aside
 * (vm.nr_hugepages, MAP_HUGETLB), and transparent ones (THP), which the kernel makes when it can,
 * if transparent_hugepage/shmem_enabled lets it. Tarn says which it got, and takes less only when
 * that was allowed. This program changes no setting of the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <tarn/tarn.h>

enum { READS = 2000000 };

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static void measure(const char *what, struct tarn_segment *seg, uint64_t size, int64_t began)
{
	struct tarn_segment_stat stat = { 0 };
	unsigned char *at = tarn_segment_data(seg);
	uint64_t random = 1, last = 0;
	long before = faults();

	for (uint64_t i = 0; i < size; i += 4096)
		at[i] = 1;
	int64_t touched = tarn_now();
	long count = faults() - before;

	for (int i = 0; i < READS; i++) { /* each address depends on what was read before */
		random = random * 6364136223846793005u + 1442695040888963407u + last;
		last = at[(random >> 20) % size];
	}
	at[0] = (unsigned char)last; /* so that the compiler keeps the reads */
	int64_t read = tarn_now() - touched;

	if (tarn_segment_stat(seg, &stat) < 0)
		return;
	printf("%-12s %4u KB%-5s %8.3f s %10ld %10.1f ns\n", what, stat.page_size / 1024,
	       stat.thp ? ", THP" : "", (double)(touched - began) / 1e9, count,
	       (double)read / READS);
}

static int row(const char *what, uint64_t size, uint32_t pages, uint32_t flags)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_segment_opts opts = {
		.size = size,
		.pages = pages,
		.flags = flags | TARN_SEGMENT_PAGES_MUST,
		.diag = &diag,
	};
	struct tarn_segment *seg = NULL;
	int64_t began = tarn_now();
	int r = tarn_segment_create("anon:", &opts, &seg);

	if (r < 0) {
		printf("%-12s none: %s\n  hint: %s\n", what, diag.what, diag.hint);
		return r;
	}
	measure(what, seg, size, began);
	tarn_segment_close(seg);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 64;

	printf("pages        got          made, touched  faults  a random read\n");
	int r = row("4 KB", mib << 20, TARN_PAGES_DEFAULT, TARN_SEGMENT_LAZY);

	row("2 MB (THP)", mib << 20, TARN_PAGES_THP, TARN_SEGMENT_LAZY);
	row("2 MB", mib << 20, TARN_PAGES_2M, 0);
	return r < 0;
}
