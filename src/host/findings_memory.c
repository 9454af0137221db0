/* SPDX-License-Identifier: BSD-2-Clause */
/* findings_memory.c - checks of the process's limits, memory, huge pages, nodes. See findings.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "host/findings.h"

/* --- limits of the process ------------------------------------------------------------------- */

static bool memlock(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "rlimit.memlock");
	char a[24];

	if (limit == NULL)
		return judge->unknown;
	if (limit->text[0] != '\0') {
		tarn__what(judge, "memory may be locked: CAP_IPC_LOCK");
		return true;
	}
	if (tarn__judge_full(judge, limit, 100) && limit->pub.value >= 8 * TARN__MIB)
		tarn__breaks(judge, TARN_SEVERITY_WARNING, "the next mlock() fails with ENOMEM");
	else if (limit->pub.value < 8 * TARN__MIB)
		tarn__breaks(
			judge, TARN_SEVERITY_WARNING,
			"mlock() and SHM_LOCK of more than %s fail with ENOMEM, as do io_uring "
			"buffers, RDMA registrations and BPF maps",
			tarn__size_text(limit->pub.value, a));
	else
		return true;
	judge->severity = TARN_SEVERITY_WARNING; /* only who locks memory is hurt */
	tarn__fix(judge, "ulimit -l unlimited; for good: \"* - memlock unlimited\" in "
			 "/etc/security/limits.conf; of a service: LimitMEMLOCK=infinity; of a "
			 "container: docker run --ulimit memlock=-1");
	return true;
}

static bool file_size(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "rlimit.fsize");
	char a[24];

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "files of this process may have %s",
		   limit->pub.value == UINT64_MAX ? "any size"
						  : tarn__size_text(limit->pub.value, a));
	if (limit->pub.value == UINT64_MAX)
		return true;
	tarn__breaks(
		judge, TARN_SEVERITY_WARNING,
		"a larger object in /dev/shm, or a larger memfd, kills the program by SIGXFSZ");
	tarn__fix(judge, "ulimit -f unlimited");
	return true;
}

static bool descriptors(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "rlimit.nofile");

	if (limit == NULL)
		return judge->unknown;
	if (!tarn__judge_full(judge, limit, 100) && limit->pub.value >= 256)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "shm_open(), memfd_create() and passing of descriptors fail with EMFILE");
	tarn__fix(judge, "ulimit -n 4096");
	return true;
}

static bool address_space(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "rlimit.as");

	if (limit == NULL)
		return judge->unknown;
	if (!tarn__judge_full(judge, limit, 101) && limit->pub.value >= TARN__GIB)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "mmap() of more fails with ENOMEM, however much memory there is");
	tarn__fix(judge, "ulimit -v unlimited");
	return true;
}

static bool map_count(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "vm.max_map_count");

	if (limit == NULL)
		return judge->unknown;
	if (!tarn__judge_full(judge, limit, 100) && limit->pub.value >= 65530)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "mmap() fails with ENOMEM in programs with many mappings");
	tarn__fix(judge, "sysctl -w vm.max_map_count=262144");
	return true;
}

/* --- memory ---------------------------------------------------------------------------------- */

static bool memory(struct tarn__judge *judge)
{
	const struct tarn__limit *total = tarn__need(judge, "memory.total");
	const struct tarn__limit *swap = tarn__may(judge, "memory.swap");
	uint64_t left, all, swap_left = 0;
	char a[24], b[24], c[24];

	if (total == NULL || total->pub.used == TARN_HOST_UNKNOWN)
		return judge->unknown;
	if (swap != NULL && swap->pub.used != TARN_HOST_UNKNOWN &&
	    swap->pub.value >= swap->pub.used)
		swap_left = swap->pub.value - swap->pub.used;
	all = total->pub.value;
	left = all > total->pub.used ? all - total->pub.used : 0;
	tarn__what(judge, "%s of %s memory available, and %s of swap", tarn__size_text(left, a),
		   tarn__size_text(all, b), tarn__size_text(swap_left, c));
	if ((left > UINT64_MAX - swap_left ? UINT64_MAX : left + swap_left) >= all / 10)
		return true;
	judge->bytes = left + swap_left;
	tarn__breaks(judge,
		     left + swap_left < all / 50 ? TARN_SEVERITY_CRITICAL : TARN_SEVERITY_WARNING,
		     "who writes to new shared memory may be killed, or get another killed (OOM)");
	tarn__fix(judge, "see what shared memory takes: tarn ls -s -size; tarn gc; add swap: "
			 "swapon FILE");
	return true;
}

static bool commit(struct tarn__judge *judge)
{
	const struct tarn__limit *mode = tarn__need(judge, "vm.overcommit_memory");
	const struct tarn__limit *limit = tarn__may(judge, "memory.commit");

	if (mode == NULL)
		return judge->unknown;
	if (mode->pub.value != 2 || limit == NULL) {
		tarn__what(judge, "vm.overcommit_memory is %" PRIu64, mode->pub.value);
		return true;
	}
	if (!tarn__judge_full(judge, limit, 98))
		return true;
	tarn__breaks(judge, judge->severity,
		     "with vm.overcommit_memory=2 mmap(), shmget() and fork() fail with ENOMEM "
		     "while memory is free");
	tarn__fix(judge, "sysctl -w vm.overcommit_ratio=90, or vm.overcommit_memory=0, or swapon "
			 "FILE");
	return true;
}

static void one_cgroup(struct tarn__judge *judge, unsigned up)
{
	const struct tarn__limit *memory = tarn__may(judge, "cgroup.%u.memory", up);
	const struct tarn__limit *high = tarn__may(judge, "cgroup.%u.high", up);
	const struct tarn__limit *kills = tarn__may(judge, "cgroup.%u.oom_kills", up);

	if (memory != NULL && memory->pub.value != UINT64_MAX) {
		tarn__verdict_begin(judge, "cgroup-memory-%u", up);
		if (tarn__judge_full(judge, memory, 97)) {
			tarn__breaks(judge, judge->severity,
				     "the kernel kills a process of the cgroup (OOM) when shared "
				     "memory is written to; no call fails before (%s)",
				     memory->source);
			tarn__fix(judge,
				  "echo %" PRIu64 " > %s (docker run --memory, "
				  "systemd-run -p MemoryMax)",
				  memory->pub.value * 2, memory->source);
		}
		tarn__verdict_end(judge);
	}
	if (high != NULL && high->pub.value != UINT64_MAX) {
		tarn__verdict_begin(judge, "cgroup-high-%u", up);
		if (tarn__judge_full(judge, high, 101)) {
			tarn__breaks(judge, judge->severity,
				     "beyond memory.high every process of the cgroup is slowed");
			tarn__fix(judge, "echo max > %s", high->source);
		}
		tarn__verdict_end(judge);
	}
	if (kills != NULL) {
		tarn__verdict_begin(judge, "cgroup-kills-%u", up);
		tarn__what(judge,
			   "processes of the cgroup killed for want of memory: %" PRIu64 " (%s)",
			   kills->pub.value, kills->source);
		if (kills->pub.value > 0 && memory != NULL && memory->pub.value != UINT64_MAX)
			tarn__breaks(judge, TARN_SEVERITY_WARNING,
				     "what they had in shared memory may be left behind or half "
				     "written");
		if (judge->severity != TARN_SEVERITY_OK)
			tarn__fix(judge, "tarn gc; raise the limit: echo %" PRIu64 " > %s",
				  memory->pub.value * 2, memory->source);
		tarn__verdict_end(judge);
	}
}

static bool cgroups(struct tarn__judge *judge)
{
	for (unsigned up = 0; up < 64; up++)
		one_cgroup(judge, up);
	return false;
}

/* --- huge pages ------------------------------------------------------------------------------ */

static const char *const page_words[] = { "64K", "2M", "16M", "32M", "512M", "1G", "16G" };
enum { PAGE_WORDS = sizeof(page_words) / sizeof(page_words[0]) };

static void huge_pool(struct tarn__judge *judge, const char *word)
{
	const struct tarn__limit *pages = tarn__limit_find(judge->limits, "huge.%s.pages", word);
	const struct tarn__limit *reserved = tarn__may(judge, "huge.%s.reserved", word);
	const struct tarn__limit *more = tarn__may(judge, "huge.%s.overcommit", word);
	uint64_t total, left, free_pages, spare = 0;

	if (pages == NULL)
		return;
	tarn__verdict_begin(judge, "huge-pages-%s", word);
	if (tarn__need(judge, pages->name) == NULL || pages->pub.used == TARN_HOST_UNKNOWN) {
		if (!judge->unknown)
			tarn__what(judge, "%s makes no sense", pages->source);
		judge->severity = TARN_SEVERITY_UNKNOWN;
		tarn__verdict_end(judge);
		return;
	}
	total = pages->pub.value;
	free_pages = total - pages->pub.used;
	left = reserved == NULL || reserved->pub.value > free_pages
		       ? 0
		       : free_pages - reserved->pub.value;
	if (more != NULL && more->pub.value > more->pub.used)
		spare = more->pub.value - more->pub.used;
	tarn__what(judge,
		   "huge pages of %s: %" PRIu64 ", free and not promised %" PRIu64 ", %" PRIu64
		   " more on demand",
		   word, total, left, spare);
	if (total == 0 && spare == 0)
		tarn__fix(judge, "for programs that want them: echo 64 > %s", pages->source);
	else if (left == 0 && spare == 0) {
		tarn__breaks(judge, TARN_SEVERITY_WARNING,
			     "the next mmap(MAP_HUGETLB), shmget(SHM_HUGETLB) or file in hugetlbfs "
			     "fails with ENOMEM");
		tarn__fix(judge, "echo %" PRIu64 " > %s", total + 64, pages->source);
	}
	tarn__verdict_end(judge);
}

static void huge_asked(struct tarn__judge *judge, const char *word)
{
	const struct tarn__limit *pages = tarn__may(judge, "huge.%s.pages", word);
	const struct tarn__limit *asked = tarn__may(judge, "huge.%s.asked", word);

	if (pages == NULL || asked == NULL)
		return;
	tarn__verdict_begin(judge, "huge-asked-%s", word);
	tarn__what(judge, "%" PRIu64 " huge pages of %s asked for by %s, %" PRIu64 " there",
		   asked->pub.value, word, asked->source, pages->pub.value);
	if (pages->pub.value < asked->pub.value) {
		judge->bytes = asked->pub.value - pages->pub.value;
		tarn__breaks(judge, TARN_SEVERITY_WARNING,
			     "memory was too fragmented to make them all: programs that count on "
			     "them fail with ENOMEM");
		tarn__fix(judge,
			  "echo 1 > /proc/sys/vm/compact_memory; echo %" PRIu64
			  " > %s; or ask at boot: hugepages=%" PRIu64,
			  asked->pub.value, pages->source, asked->pub.value);
	}
	tarn__verdict_end(judge);
}

/* Pages of one size that lie on some nodes only. */
static void huge_nodes(struct tarn__judge *judge, const char *word)
{
	uint64_t least = UINT64_MAX, most = 0;
	unsigned count = 0, empty = 0;

	for (unsigned node = 0; node < 64; node++) {
		const struct tarn__limit *pages = tarn__may(judge, "huge.%s.node%u", word, node);

		if (pages == NULL)
			continue;
		count++;
		empty = pages->pub.value == 0 ? node : empty;
		least = pages->pub.value < least ? pages->pub.value : least;
		most = pages->pub.value > most ? pages->pub.value : most;
	}
	if (count < 2 || most == 0)
		return;
	tarn__verdict_begin(judge, "huge-nodes-%s", word);
	tarn__what(judge, "huge pages of %s on %u NUMA nodes: %" PRIu64 " to %" PRIu64 " each",
		   word, count, least, most);
	if (least == 0) {
		tarn__breaks(judge, TARN_SEVERITY_WARNING,
			     "a program bound to node %u gets none: ENOMEM or SIGBUS", empty);
		tarn__fix(judge, "echo %" PRIu64 " > %s", most,
			  tarn__may(judge, "huge.%s.node%u", word, empty)->source);
	}
	tarn__verdict_end(judge);
}

static bool huge_pages(struct tarn__judge *judge)
{
	for (size_t i = 0; i < PAGE_WORDS; i++) {
		huge_pool(judge, page_words[i]);
		huge_asked(judge, page_words[i]);
		huge_nodes(judge, page_words[i]);
	}
	return false;
}

static bool huge_mount(struct tarn__judge *judge)
{
	uint64_t pages = 0;
	bool mounted = false;

	for (uint32_t i = 0; i < judge->limits->count; i++)
		mounted |= strncmp(judge->limits->rows[i]->name, "hugetlbfs.", 10) == 0;
	for (size_t i = 0; i < PAGE_WORDS; i++) {
		const struct tarn__limit *pool = tarn__may(judge, "huge.%s.pages", page_words[i]);

		pages += pool != NULL && pool->pub.value != 0;
	}
	if (pages == 0)
		return false;
	tarn__what(judge, "huge pages are set aside, and hugetlbfs is %smounted",
		   mounted ? "" : "not ");
	if (mounted)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "programs that share them by name find no directory (huge: addresses, DPDK, "
		     "QEMU)");
	tarn__fix(judge, "mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages");
	return true;
}

static bool huge_cgroup(struct tarn__judge *judge)
{
	for (unsigned up = 0; up < 64; up++)
		for (size_t i = 0; i < PAGE_WORDS; i++) {
			const struct tarn__limit *limit =
				tarn__may(judge, "cgroup.%u.huge.%s", up, page_words[i]);
			const struct tarn__limit *pool =
				tarn__may(judge, "huge.%s.pages", page_words[i]);

			if (limit == NULL || limit->pub.value == UINT64_MAX || pool == NULL ||
			    pool->pub.value == 0)
				continue;
			tarn__verdict_begin(judge, "cgroup-huge-%u-%s", up, page_words[i]);
			if (tarn__judge_full(judge, limit, 101)) {
				tarn__breaks(judge, judge->severity,
					     "huge pages are free, and the cgroup may have no more "
					     "of them: SIGBUS at the first store");
				tarn__fix(judge, "echo max > %s", limit->source);
			}
			tarn__verdict_end(judge);
		}
	return false;
}

static bool fragmented(struct tarn__judge *judge)
{
	const struct tarn__limit *rest = tarn__may(judge, "memory.free");
	uint64_t large;
	char a[24], b[24];

	if (rest == NULL)
		return false;
	large = rest->pub.value - rest->pub.used;
	tarn__what(judge, "%s of %s free memory lie in blocks of 2 MiB and more",
		   tarn__size_text(large, a), tarn__size_text(rest->pub.value, b));
	if (rest->pub.value < TARN__GIB || large >= rest->pub.value / 20)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "few huge pages can be made now: a larger pool is not granted, transparent "
		     "ones are rare");
	tarn__fix(judge, "echo 1 > /proc/sys/vm/compact_memory; ask for the pool at boot: "
			 "hugepages=N");
	return true;
}

static bool thp_shmem(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "thp.shmem");

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "transparent huge pages of shared memory: %s", limit->text);
	if (strcmp(limit->text, "deny") == 0)
		tarn__breaks(judge, TARN_SEVERITY_WARNING,
			     "no shared memory has them, not even where a mount or a program asks");
	else if (strcmp(limit->text, "force") == 0)
		tarn__breaks(judge, TARN_SEVERITY_WARNING,
			     "each touched page takes 2 MiB: small objects in /dev/shm take up to "
			     "512 times their size");
	if (judge->severity != TARN_SEVERITY_OK || strcmp(limit->text, "never") == 0)
		tarn__fix(judge, "echo advise > %s", limit->source);
	return true;
}

/* --- NUMA ------------------------------------------------------------------------------------ */

static bool numa(struct tarn__judge *judge)
{
	unsigned count = 0, lean = 0;
	bool starved = false, plenty = false;
	char a[24];
	uint64_t left = 0;

	for (unsigned node = 0; node < 64; node++) {
		const struct tarn__limit *memory = tarn__may(judge, "numa.node%u.memory", node);

		/* a node may have processors alone */
		if (memory == NULL || memory->pub.value == 0)
			continue;
		count++;
		plenty |= tarn__percent(memory) < 75;
		if (tarn__percent(memory) >= 97) {
			starved = true;
			lean = node;
			left = memory->pub.value - memory->pub.used;
		}
	}
	if (count < 2)
		return false;
	tarn__what(judge, "%u NUMA nodes", count);
	if (!starved || !plenty)
		return true;
	tarn__what(judge, "NUMA node %u has %s free, another more than a quarter of its memory",
		   lean, tarn__size_text(left, a));
	tarn__breaks(
		judge, TARN_SEVERITY_WARNING,
		"shared memory bound to that node swaps or fails; what is not bound comes from "
		"afar, at twice the delay");
	tarn__fix(judge, "numactl --interleave=all PROGRAM");
	return true;
}

const struct tarn__check tarn__checks_memory[] = {
	{ "memlock", memlock },
	{ "rlimit-fsize", file_size },
	{ "descriptors", descriptors },
	{ "address-space", address_space },
	{ "map-count", map_count },
	{ "memory", memory },
	{ "commit", commit },
	{ "cgroup", cgroups },
	{ "huge-pages", huge_pages },
	{ "huge-mount", huge_mount },
	{ "cgroup-huge", huge_cgroup },
	{ "huge-fragmented", fragmented },
	{ "thp-shmem", thp_shmem },
	{ "numa", numa },
	{ NULL, NULL },
};
