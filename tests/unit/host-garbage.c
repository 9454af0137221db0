/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of /proc, damaged at random: whatever they say, a picture comes of it that is whole and
 * holds nothing but plain text. A process names its files and itself as it likes, and the root
 * under which all is read may be anybody's. Runs of one seed are the same; TARN_TEST_SEED gives
 * another one.
 */
#include "host.h"

enum { RUNS = 3000, TEXT_MAX = 2048 };

struct seed_file {
	const char *path;
	const char *text;
};

static const struct seed_file seeds[] = {
	{ "/proc/sysvipc/shm",
	  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  "
	  "cgid      atime      dtime      ctime                   rss                  swap\n"
	  "         0      32768  1600                  4096    77     1      2     0     0     0  "
	  "   "
	  "0 1795240000 0 1795240000                  4096                     0\n"
	  "-559038737      65537   600               1048576   77    77      0    33    33    33   "
	  " "
	  "33          0          0 1795240000                     0                     0\n" },
	{ "/proc/77/maps",
	  "7f0000000000-7f0000001000 rw-s 00000000 00:01 32768      /SYSV00000000 (deleted)\n"
	  "7f0000002000-7f0000004000 rw-s 00001000 00:01 9          /memfd:frames (deleted)\n"
	  "7f0000005000-7f0000006000 r--p 00000000 00:1a 12         /dev/shm/name\n"
	  "7f0000007000-7f0000008000 rw-s 00000000 00:01 13         /dev/zero (deleted)\n"
	  "7f0000009000-7f000000a000 rw-s 00000000 00:0f 14         /anon_hugepage (deleted)\n"
	  "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0          [stack]\n" },
	{ "/proc/77/smaps",
	  "7f0000000000-7f0000001000 rw-s 00000000 00:01 32768      /SYSV00000000 (deleted)\n"
	  "Size:                  4 kB\nRss:                   4 kB\nPss:                   2 kB\n"
	  "Shared_Dirty:          4 kB\nPrivate_Dirty:         0 kB\nSwap:                  0 kB\n"
	  "Locked:                4 kB\n"
	  "7f0000002000-7f0000004000 rw-s 00001000 00:01 9          /memfd:frames (deleted)\n"
	  "Pss: 18014398509481983 kB\nShared_Hugetlb: 2048 kB\n" },
	{ "/proc/77/numa_maps",
	  "7f0000000000 default file=/SYSV00000000\\040(deleted) dirty=1 N0=1 kernelpagesize_kB=4\n"
	  "7f0000002000 default file=/memfd:frames mapped=2 N0=1 N3=1 kernelpagesize_kB=4\n" },
	{ "/proc/77/stat",
	  "77 (a (b) c) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 5000 0 0\n" },
	{ "/proc/77/status", "Name:\ta\nUid:\t33\t33\t33\t33\n" },
	{ "/proc/1/mountinfo", "30 20 0:26 / /dev/shm rw,nosuid - tmpfs tmpfs rw\n"
			       "31 20 0:15 / /dev/hugepages rw - hugetlbfs none rw,pagesize=2M\n" },
	{ "/proc/meminfo", "MemTotal: 1 kB\nSwapTotal: 10 kB\nSwapFree: 10 kB\n" },
	{ "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n" },
	{ "/dev/shm/name", "TARN\r\n\x1a\n1234" },
	{ "/dev/shm/tarn.sysv.1.00000001", "TARNCTL\n" },
	{ "/dev/shm/sem.x", "12345678901234567890123456789012" },
};
enum { SEED_COUNT = sizeof(seeds) / sizeof(seeds[0]) };

static uint64_t state_of_random = 1;

static uint32_t below(uint32_t limit)
{
	/* xorshift64* (Vigna 2014) */
	state_of_random ^= state_of_random >> 12;
	state_of_random ^= state_of_random << 25;
	state_of_random ^= state_of_random >> 27;
	return (uint32_t)((state_of_random * UINT64_C(2685821657736338717)) >> 32) % limit;
}

/* Change, drop, double or overwrite a few bytes. */
static size_t damage(char *text, size_t size)
{
	static const char *const words[] = { "18446744073709551615",
					     "-1",
					     "0x",
					     " (deleted)",
					     "\n",
					     "\033[2J",
					     "/dev/shm/",
					     "/SYSV",
					     "/memfd:",
					     "\xe2\x80\xae",
					     "99999999999999999999999",
					     ")",
					     "N",
					     "=",
					     ":" };

	for (uint32_t i = below(6); i > 0 && size > 0; i--) {
		uint32_t at = below((uint32_t)size);
		const char *word = words[below(sizeof(words) / sizeof(words[0]))];
		size_t length = strlen(word);

		switch (below(4)) {
		case 0:
			text[at] = (char)below(256);
			break;
		case 1:
			size = at;
			break;
		case 2:
			memmove(text + at, text + at + 1, size - at - 1);
			size--;
			break;
		default:
			if (size + length >= TEXT_MAX)
				break;
			memmove(text + at + length, text + at, size - at);
			memcpy(text + at, word, length);
			size += length;
		}
	}
	return size;
}

static void write_file(const char *root, const char *path, const char *text, size_t size)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		fail_msg("%s: %s", full, strerror(errno));
	assert_int_equal(write(fd, text, size), size);
	close(fd);
}

static void make_folders(const char *root)
{
	char full[256];

	for (int i = 0; i < SEED_COUNT; i++) {
		snprintf(full, sizeof(full), "%s%s", root, seeds[i].path);
		for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
		     slash = strchr(slash + 1, '/')) {
			*slash = '\0';
			(void)mkdir(full, 0700);
			*slash = '/';
		}
	}
	snprintf(full, sizeof(full), "%s/proc/self", root);
	assert_int_equal(mkdir(full, 0700), 0);
}

/* --- what must hold of every picture --------------------------------------------------------- */

static const char *text_fault(const char *text)
{
	char copy[TARN__HOST_PATH + 64];

	if (text == NULL)
		return NULL;
	snprintf(copy, sizeof(copy), "%s", text);
	tarn__plain(copy);
	return strcmp(copy, text) != 0 ? "text that is not plain" : NULL;
}

static const char *segment_fault(const struct tarn_host *host, const struct tarn__seg *seg)
{
	const struct tarn_host_segment *pub = &seg->pub;
	uint32_t uses = 0;

	if (pub->kind < TARN_SEGMENT_POSIX || pub->kind > TARN_SEGMENT_ANON)
		return "a segment of no kind";
	if (pub->state < TARN_STATE_LIVE || pub->state > TARN_STATE_UNKNOWN)
		return "a segment in no state";
	if (pub->addr == NULL || pub->addr[0] == '\0')
		return "a segment without an address";
	if ((pub->proof != NULL) !=
	    (pub->state == TARN_STATE_ORPHAN || pub->state == TARN_STATE_STALE))
		return "a proof without a death, or a death without a proof";
	if (pub->state == TARN_STATE_ORPHAN && (pub->attach_count > 0 || pub->process_count > 0))
		return "an orphan in use";
	for (uint32_t i = 0; i < host->use_count; i++)
		uses += host->uses[i].segment == pub;
	if (uses != pub->process_count)
		return "a count of processes that is not theirs";
	if (pub->node_count > 0 && pub->node_bytes == NULL)
		return "nodes without bytes";
	return text_fault(pub->addr) != NULL ? text_fault(pub->addr) : text_fault(pub->label);
}

static const char *picture_fault(const struct tarn_host *host)
{
	const char *fault = NULL;

	for (uint32_t i = 0; i < host->seg_count && fault == NULL; i++)
		fault = segment_fault(host, host->segs[i]);
	for (uint32_t i = 0; i < host->proc_count && fault == NULL; i++)
		fault = text_fault(host->procs[i]->pub.command);
	for (uint32_t i = 0; i < host->map_count && fault == NULL; i++)
		if (host->maps[i].segment == NULL || host->maps[i].process == NULL)
			fault = "a mapping of nothing";
	return fault;
}

static void whatever_proc_says_a_picture_comes_of_it(void **state)
{
	char root[] = "/dev/shm/hostgarbageXXXXXX", text[TEXT_MAX], command[64];
	const char *seed = getenv("TARN_TEST_SEED");
	const struct tarn_host_opts opts = {
		.root = root, .flags = TARN_HOST_FILES | TARN_HOST_USAGE | TARN_HOST_NODES
	};
	uint64_t segments = 0;

	(void)state;
	if (seed != NULL)
		state_of_random = strtoull(seed, NULL, 0) | 1;
	assert_non_null(mkdtemp(root));
	make_folders(root);
	for (int run = 0; run < RUNS; run++) {
		struct tarn_host *host = NULL;

		for (int i = 0; i < SEED_COUNT; i++) {
			size_t size = strlen(seeds[i].text);

			if (run > 0 && below(3) != 0)
				continue; /* as the run before left it */
			memcpy(text, seeds[i].text, size);
			write_file(root, seeds[i].path, text, run == 0 ? size : damage(text, size));
		}
		assert_int_equal(tarn_host_scan(&opts, &host), 0);
		if (picture_fault(host) != NULL)
			fail_msg("run %d: %s", run, picture_fault(host));
		if (run == 0)
			assert_int_equal(host->seg_count, 9);
		segments += host->seg_count;
		tarn_host_free(host);
	}
	assert_true(segments > RUNS); /* not all of it was passed over */
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

static void the_test_sees_a_picture_that_is_wrong(void **state)
{
	int fd = memfd_create("hostgarbage", 0);
	struct tarn_host *host = picture(0);
	struct tarn__seg *seg;
	char addr[64];

	(void)state;
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), fd);
	seg = tarn__seg_of(found(host, addr));
	assert_null(picture_fault(host));
	seg->pub.state = 0;
	assert_non_null(picture_fault(host));
	seg->pub.state = TARN_STATE_ORPHAN;
	assert_non_null(picture_fault(host));
	seg->pub.state = TARN_STATE_LIVE;
	seg->pub.process_count++;
	assert_non_null(picture_fault(host));
	seg->pub.process_count--;
	((char *)(uintptr_t)seg->pub.label)[0] = '\033';
	assert_non_null(picture_fault(host));
	tarn_host_free(host);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_proc_says_a_picture_comes_of_it),
		cmocka_unit_test(the_test_sees_a_picture_that_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
