/* SPDX-License-Identifier: BSD-2-Clause */
/* limits_memory.c - limits of the process, memory, huge pages, NUMA nodes. See limits.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "host/limits.h"
#include "plat/lines.h"
#include "plat/plat.h"

/* --- this process ---------------------------------------------------------------------------- */

static uint64_t status_bytes(const struct tarn__limits *limits, const char *key)
{
	tarn__path path;
	uint64_t kib;

	if (tarn__read_field(tarn__under(limits, path, "/proc/self/status"), key, &kib) < 0)
		return TARN_HOST_UNKNOWN;
	return kib > UINT64_MAX >> 10 ? UINT64_MAX - 1 : kib << 10;
}

static struct tarn__limit *process_limit(struct tarn__limits *limits, enum tarn_host_unit unit,
					 int resource, const char *name, const char *what,
					 const char *raise)
{
	struct tarn__limit *limit = tarn__limit_add(limits, unit, what, "%s", name);

	limit->error = tarn__plat_rlimit(resource, &limit->pub.value);
	tarn__limit_source(limit, "getrlimit");
	tarn__limit_raise(limit, "%s", raise);
	return limit;
}

static int count_name(const char *name, void *arg)
{
	(void)name;
	++*(uint64_t *)arg;
	return 0;
}

void tarn__limits_of_process(struct tarn__limits *limits)
{
	struct tarn__limit *limit;
	tarn__path path;
	uint64_t count = 0;

	limit = process_limit(limits, TARN_UNIT_BYTES, RLIMIT_MEMLOCK, "rlimit.memlock",
			      "memory that this process may lock",
			      "ulimit -l KIB, or systemd-run -p LimitMEMLOCK=SIZE");
	limit->pub.used = status_bytes(limits, "VmLck:");
	if (tarn__capable(limits, TARN__CAP_IPC_LOCK))
		tarn__limit_text(limit, "not heeded: this process has CAP_IPC_LOCK");
	(void)process_limit(limits, TARN_UNIT_BYTES, RLIMIT_MSGQUEUE, "rlimit.msgqueue",
			    "POSIX message queues of this user", "ulimit -q BYTES");
	(void)process_limit(limits, TARN_UNIT_BYTES, RLIMIT_FSIZE, "rlimit.fsize",
			    "a file of this process, in /dev/shm too", "ulimit -f KIB");
	limit = process_limit(limits, TARN_UNIT_COUNT, RLIMIT_NOFILE, "rlimit.nofile",
			      "descriptors of this process", "ulimit -n N");
	/* one is the listing's own */
	if (tarn__plat_listdir(tarn__under(limits, path, "/proc/self/fd"), count_name, &count) == 0)
		limit->pub.used = count > 0 ? count - 1 : 0;
	limit = process_limit(limits, TARN_UNIT_BYTES, RLIMIT_AS, "rlimit.as",
			      "address space of this process", "ulimit -v KIB");
	limit->pub.used = status_bytes(limits, "VmSize:");
	limit = tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "vm.max_map_count", "vm/max_map_count",
				   "mappings of one process");
	if (limit != NULL &&
	    tarn__count_lines(tarn__under(limits, path, "/proc/self/maps"), &count) == 0)
		limit->pub.used = count;
}

/* --- memory ---------------------------------------------------------------------------------- */

static int meminfo(const struct tarn__limits *limits, const char *key, uint64_t *ret_bytes)
{
	tarn__path path;
	uint64_t kib;
	int r = tarn__read_field(tarn__under(limits, path, "/proc/meminfo"), key, &kib);

	if (r == 0)
		*ret_bytes = kib > UINT64_MAX >> 10 ? UINT64_MAX - 1 : kib << 10;
	return r;
}

/* @total of which @rest is not used. */
static struct tarn__limit *memory_row(struct tarn__limits *limits, const char *name,
				      const char *what, const char *total, const char *rest,
				      bool rest_is_used)
{
	struct tarn__limit *limit = tarn__limit_add(limits, TARN_UNIT_BYTES, what, "%s", name);
	uint64_t left;

	limit->error = meminfo(limits, total, &limit->pub.value);
	if (limit->error == 0 && meminfo(limits, rest, &left) == 0)
		limit->pub.used = rest_is_used              ? left
				  : left < limit->pub.value ? limit->pub.value - left
							    : 0;
	tarn__limit_source(limit, "/proc/meminfo");
	return limit;
}

/* What a word in brackets chooses: "always [never]". */
static bool chosen(const char *text, char *word, size_t size)
{
	const char *open = strchr(text, '[');
	const char *close = open != NULL ? strchr(open, ']') : NULL;

	if (close == NULL)
		return false;
	snprintf(word, size, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

static void transparent(struct tarn__limits *limits, const char *name, const char *file,
			const char *what)
{
	struct tarn__limit *limit;
	tarn__path path;
	char text[128], word[32] = "";
	int r = tarn__first_line(
		tarn__under(limits, path, "/sys/kernel/mm/transparent_hugepage/%s", file), text,
		sizeof(text));

	if (r == -ENOENT)
		return; /* a kernel without */
	limit = tarn__limit_add(limits, TARN_UNIT_WORD, what, "%s", name);
	if (r == 0 && !chosen(text, word, sizeof(word)))
		r = -EINVAL;
	limit->error = r;
	tarn__limit_text(limit, "%s", word);
	tarn__limit_source(limit, "/sys/kernel/mm/transparent_hugepage/%s", file);
	tarn__limit_raise(limit, "echo advise > /sys/kernel/mm/transparent_hugepage/%s", file);
}

static void overcommit(struct tarn__limits *limits)
{
	static const char *const words[] = { "guess: obvious excess is refused",
					     "always: nothing is refused",
					     "never: no more than CommitLimit is promised" };
	struct tarn__limit *limit =
		memory_row(limits, "memory.commit", "memory the kernel promises, if it counts",
			   "CommitLimit:", "Committed_AS:", true);

	tarn__limit_raise(limit, "sysctl -w vm.overcommit_ratio=PERCENT, or add swap: swapon");
	limit = tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "vm.overcommit_memory",
				   "vm/overcommit_memory", "how the kernel promises memory");
	if (limit != NULL && limit->error == 0 && limit->pub.value < 3)
		tarn__limit_text(limit, "%s", words[limit->pub.value]);
	(void)tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "vm.overcommit_ratio",
				 "vm/overcommit_ratio", "percent of memory that may be promised");
}

/* Free memory that lies in blocks of 2 MiB and more, which a new huge page is made of. */
static int add_blocks(char *line, void *arg)
{
	uint64_t *bytes = arg, n;
	char *at = strstr(line, "zone");
	unsigned order = 0;

	if (at == NULL)
		return 0;
	at += strcspn(at, " "); /* behind "zone" */
	at += strspn(at, " ");  /* its name */
	at += strcspn(at, " "); /* behind that */
	for (;; order++) {
		char *end;

		n = strtoull(at, &end, 10);
		if (end == at)
			return 0;
		at = end;
		if (order < 32 && (uint64_t)tarn__plat_page_size() << order >= 2u << 20 &&
		    n < UINT64_C(1) << 24)
			*bytes += n * ((uint64_t)tarn__plat_page_size() << order);
	}
}

void tarn__limits_of_memory(struct tarn__limits *limits)
{
	struct tarn__limit *limit;
	tarn__path path;
	uint64_t blocks = 0, free_bytes = 0;

	(void)memory_row(limits, "memory.total", "memory of the host",
			 "MemTotal:", "MemAvailable:", false);
	limit = memory_row(limits, "memory.swap", "swap of the host",
			   "SwapTotal:", "SwapFree:", false);
	tarn__limit_raise(limit, "swapon FILE");
	overcommit(limits);
	if (tarn__each_line(tarn__under(limits, path, "/proc/buddyinfo"), add_blocks, &blocks) ==
		    0 &&
	    meminfo(limits, "MemFree:", &free_bytes) == 0) {
		limit = tarn__limit_add(limits, TARN_UNIT_BYTES,
					"free memory; used: of it, in blocks under 2 MiB",
					"memory.free");
		limit->pub.value = free_bytes;
		limit->pub.used = blocks < free_bytes ? free_bytes - blocks : 0;
		tarn__limit_source(limit, "/proc/buddyinfo");
		tarn__limit_raise(limit, "echo 1 > /proc/sys/vm/compact_memory");
	}
	transparent(limits, "thp.enabled", "enabled", "transparent huge pages, private memory");
	transparent(limits, "thp.shmem", "shmem_enabled", "transparent huge pages, shared memory");
}

/* --- huge pages ------------------------------------------------------------------------------ */

#define POOLS "/sys/kernel/mm/hugepages"

struct pools {
	struct tarn__limits *limits;
	uint64_t asked_size;    /* default page size */
	uint64_t asked_default; /* pages asked for at boot or by sysctl; UNKNOWN = none asked */
	char asked_by[96];
};

static uint64_t pool_number(const struct tarn__limits *limits, const char *dir, const char *file,
			    int *error)
{
	tarn__path path;
	uint64_t n = 0;
	int r = tarn__read_number(tarn__under(limits, path, "%s/%s", dir, file), &n);

	if (r < 0 && *error == 0)
		*error = r;
	return n;
}

static struct tarn__limit *pool_row(struct tarn__limits *limits, const char *dir, const char *name,
				    const char *word, const char *what, const char *file)
{
	struct tarn__limit *limit =
		tarn__limit_add(limits, TARN_UNIT_COUNT, what, "huge.%s.%s", word, name);

	limit->pub.value = pool_number(limits, dir, file, &limit->error);
	tarn__limit_source(limit, "%s/%s", dir, file);
	return limit;
}

/* The directory of one page size: "hugepages-2048kB". */
static int one_pool(const char *entry, void *arg)
{
	struct pools *pools = arg;
	struct tarn__limits *limits = pools->limits;
	struct tarn__limit *limit;
	uint64_t kib;
	char dir[128], word[24];
	int error = 0;

	if (sscanf(entry, "hugepages-%" SCNu64 "kB", &kib) != 1 || kib == 0 || kib > UINT32_MAX ||
	    strlen(entry) > 40)
		return 0;
	snprintf(dir, sizeof(dir), POOLS "/%s", entry);
	tarn__page_word(kib << 10, word);
	limit = pool_row(limits, dir, "pages", word, "huge pages of that size set aside",
			 "nr_hugepages");
	limit->pub.used = limit->pub.value - pool_number(limits, dir, "free_hugepages", &error);
	if (error != 0 || limit->pub.used > limit->pub.value)
		limit->pub.used = TARN_HOST_UNKNOWN;
	tarn__limit_raise(limit, "echo N > %s/nr_hugepages", dir);
	(void)pool_row(limits, dir, "reserved", word, "of the free ones, promised already",
		       "resv_hugepages");
	limit = pool_row(limits, dir, "overcommit", word, "beyond these, made when asked for",
			 "nr_overcommit_hugepages");
	limit->pub.used = pool_number(limits, dir, "surplus_hugepages", &error);
	tarn__limit_raise(limit, "echo N > %s/nr_overcommit_hugepages", dir);
	if (pools->asked_default != TARN_HOST_UNKNOWN && pools->asked_size == kib << 10) {
		limit = tarn__limit_add(limits, TARN_UNIT_COUNT,
					"huge pages asked for at boot or by sysctl",
					"huge.%s.asked", word);
		limit->pub.value = pools->asked_default;
		tarn__limit_source(limit, "%s", pools->asked_by);
	}
	return 0;
}

/* "vm.nr_hugepages = 512" */
static int match_sysctl(char *line, void *arg)
{
	struct pools *pools = arg;
	uint64_t n;

	if (sscanf(line, " vm.nr_hugepages = %" SCNu64, &n) == 1 ||
	    sscanf(line, " vm/nr_hugepages = %" SCNu64, &n) == 1)
		pools->asked_default = n;
	return 0;
}

static int match_sysctl_file(const char *name, void *arg)
{
	struct pools *pools = arg;
	size_t size = strlen(name);
	uint64_t before = pools->asked_default;
	tarn__path path;

	if (size < 6 || size > 200 || strcmp(name + size - 5, ".conf") != 0)
		return 0;
	(void)tarn__each_line(tarn__under(pools->limits, path, "/etc/sysctl.d/%s", name),
			      match_sysctl, pools);
	if (pools->asked_default != before)
		snprintf(pools->asked_by, sizeof(pools->asked_by), "/etc/sysctl.d/%.70s", name);
	return 0;
}

/* hugepages=N on the command line of the kernel, of the default size. */
static void asked_at_boot(struct pools *pools)
{
	tarn__path path;
	char line[4096];
	bool other = false;

	if (tarn__first_line(tarn__under(pools->limits, path, "/proc/cmdline"), line,
			     sizeof(line)) < 0)
		return;
	for (char *word = line; *word != '\0';) {
		size_t size = strcspn(word, " ");
		char unit = '\0';
		uint64_t n;

		if (sscanf(word, "hugepagesz=%" SCNu64 "%c", &n, &unit) == 2)
			other = n << (unit == 'G'   ? 30
				      : unit == 'M' ? 20
						    : 10) !=
				pools->asked_size;
		else if (!other && sscanf(word, "hugepages=%" SCNu64, &n) == 1) {
			pools->asked_default = n;
			snprintf(pools->asked_by, sizeof(pools->asked_by), "/proc/cmdline");
		}
		word += size + strspn(word + size, " ");
	}
}

static void asked(struct pools *pools)
{
	uint64_t before;
	tarn__path path;

	if (meminfo(pools->limits, "Hugepagesize:", &pools->asked_size) < 0)
		return;
	asked_at_boot(pools);
	(void)tarn__plat_listdir(tarn__under(pools->limits, path, "/etc/sysctl.d"),
				 match_sysctl_file, pools);
	before = pools->asked_default;
	(void)tarn__each_line(tarn__under(pools->limits, path, "/etc/sysctl.conf"), match_sysctl,
			      pools);
	if (pools->asked_default != before)
		snprintf(pools->asked_by, sizeof(pools->asked_by), "/etc/sysctl.conf");
}

/* "36 35 98:0 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M" */
static int huge_mount(char *line, void *arg)
{
	struct tarn__limits *limits = arg;
	const char *tail = strstr(line, " - hugetlbfs ");
	const char *size = tail != NULL ? strstr(tail, "pagesize=") : NULL;
	struct tarn__limit *limit;
	char dir[300], word[16] = "default";

	if (tail == NULL || tarn__line_field(line, 4, dir, sizeof(dir)) < 0)
		return 0;
	if (size != NULL)
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(size + 9, ",") & 15, size + 9);
	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "where huge pages are mounted",
				"hugetlbfs.%s", word);
	tarn__limit_source(limit, "/proc/self/mountinfo");
	tarn__limit_text(limit, "%.150s", dir);
	return 0;
}

void tarn__limits_of_huge_pages(struct tarn__limits *limits)
{
	struct pools pools = { .limits = limits, .asked_default = TARN_HOST_UNKNOWN };
	tarn__path path;

	asked(&pools);
	(void)tarn__plat_listdir(tarn__under(limits, path, POOLS), one_pool, &pools);
	(void)tarn__each_line(tarn__under(limits, path, "/proc/self/mountinfo"), huge_mount,
			      limits);
}

/* --- NUMA nodes ------------------------------------------------------------------------------ */

#define NODES "/sys/devices/system/node"

struct node {
	struct tarn__limits *limits;
	unsigned number;
	unsigned count; /* seen so far */
	uint64_t total, free_bytes;
	bool told; /* its total */
};

/* "Node 0 MemTotal:       24684092 kB" */
static int match_node_line(char *line, void *arg)
{
	struct node *node = arg;
	uint64_t kib;

	if (sscanf(line, "Node %*u MemTotal: %" SCNu64, &kib) == 1) {
		node->total = kib << 10;
		node->told = true;
	}
	if (sscanf(line, "Node %*u MemFree: %" SCNu64, &kib) == 1)
		node->free_bytes = kib << 10;
	return 0;
}

static int node_pool(const char *entry, void *arg)
{
	const struct node *node = arg;
	struct tarn__limit *limit;
	uint64_t kib;
	char dir[160], word[24], name[24];
	int error = 0;

	if (sscanf(entry, "hugepages-%" SCNu64 "kB", &kib) != 1 || kib == 0 || kib > UINT32_MAX ||
	    strlen(entry) > 40)
		return 0;
	snprintf(dir, sizeof(dir), NODES "/node%u/hugepages/%s", node->number, entry);
	snprintf(name, sizeof(name), "node%u", node->number);
	limit = pool_row(node->limits, dir, name, tarn__page_word(kib << 10, word),
			 "huge pages on one NUMA node", "nr_hugepages");
	limit->pub.used =
		limit->pub.value - pool_number(node->limits, dir, "free_hugepages", &error);
	if (error != 0 || limit->pub.used > limit->pub.value)
		limit->pub.used = TARN_HOST_UNKNOWN;
	tarn__limit_raise(limit, "echo N > %s/nr_hugepages", dir);
	return 0;
}

static int count_node(const char *entry, void *arg)
{
	struct node *node = arg;
	unsigned number;

	node->count += sscanf(entry, "node%u", &number) == 1;
	return 0;
}

static int one_node(const char *entry, void *arg)
{
	struct node *node = arg;
	struct tarn__limits *limits = node->limits;
	struct tarn__limit *limit;
	tarn__path path;

	if (sscanf(entry, "node%u", &node->number) != 1)
		return 0;
	node->total = node->free_bytes = 0;
	node->told = false;
	limit = tarn__limit_add(limits, TARN_UNIT_BYTES, "memory of one NUMA node",
				"numa.node%u.memory", node->number);
	limit->error =
		tarn__each_line(tarn__under(limits, path, NODES "/node%u/meminfo", node->number),
				match_node_line, node);
	if (limit->error == 0 && !node->told)
		limit->error = -EINVAL;
	limit->pub.value = node->total;
	limit->pub.used = node->total > node->free_bytes ? node->total - node->free_bytes : 0;
	tarn__limit_source(limit, NODES "/node%u/meminfo", node->number);
	if (node->count > 1)
		(void)tarn__plat_listdir(
			tarn__under(limits, path, NODES "/node%u/hugepages", node->number),
			node_pool, node);
	return 0;
}

void tarn__limits_of_nodes(struct tarn__limits *limits)
{
	struct node node = { .limits = limits };
	tarn__path path;

	(void)tarn__plat_listdir(tarn__under(limits, path, NODES), count_node, &node);
	(void)tarn__plat_listdir(tarn__under(limits, path, NODES), one_node, &node);
	(void)tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "numa.balancing", "kernel/numa_balancing",
				 "1: the kernel moves pages to those who use them");
}
