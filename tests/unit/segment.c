/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments whatever their kind: options, views, growth, ranges, facts. */
#include <dirent.h>
#include <sys/shm.h>

#include "segment.h"

static const char *const kinds[] = { "shm:", "file:/tmp/", "memfd:", "anon:", "sysv:private" };
enum { KIND_COUNT = 5, FIRST_UNNAMED = 2 };

static const char *addr_of(size_t kind)
{
	return kind <= FIRST_UNNAMED ? own_name(kinds[kind], "kinds") : kinds[kind];
}

static void gone(struct tarn_segment *seg)
{
	(void)!tarn__segment_unname(seg);
	tarn_segment_close(seg);
}

static void every_kind_gives_zeroed_writable_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct tarn_segment *seg =
			created(addr_of(i), &(struct tarn_segment_opts){ .size = 10000 });
		unsigned char *data = tarn_segment_data(seg);

		assert_int_equal(tarn_segment_size(seg), 10000);
		assert_int_equal((uintptr_t)data % tarn__plat_page_size(), 0);
		for (size_t at = 0; at < 10000; at++)
			assert_int_equal(data[at], 0);
		memset(data, 0x5a, 10000);
		gone(seg);
	}
}

static void every_kind_is_reserved_at_creation_and_lazy_is_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct tarn_segment_stat stat;
		struct tarn_segment *seg =
			created(addr_of(i), &(struct tarn_segment_opts){ .size = 4 * MIB });

		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_true(stat.resident >= 4 * MIB);
		gone(seg);
		seg = created(addr_of(i), &(struct tarn_segment_opts){
						  .size = 4 * MIB, .flags = TARN_SEGMENT_LAZY });
		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_true(stat.resident < 1 * MIB);
		assert_int_equal(tarn_segment_size(seg), 4 * MIB);
		((char *)tarn_segment_data(seg))[4 * MIB - 1] = 1;
		gone(seg);
	}
}

/* The umask takes nothing off, and adds nothing. */
static void modes_are_exact_whatever_the_umask(void **state)
{
	static const uint32_t modes[] = { 0, 0600, 0640, 0666, 0400 };
	mode_t old = umask(0077);

	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++)
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			struct tarn_segment_stat stat;
			struct tarn_segment *seg =
				created(addr_of(i),
					&(struct tarn_segment_opts){ .size = 1, .mode = modes[m] });

			assert_int_equal(tarn_segment_stat(seg, &stat), 0);
			assert_int_equal(stat.mode, modes[m] != 0 ? modes[m] : 0600);
			assert_int_equal(stat.uid, geteuid());
			gone(seg);
			umask(m % 2 == 0 ? 0 : 0077);
		}
	umask(old);
}

static void bad_options_are_refused_with_the_reason(void **state)
{
	static const struct {
		struct tarn_segment_opts opts;
		const char *word;
	} rows[] = {
		{ { .size = 0 }, "0 bytes" },
		{ { .size = (UINT64_C(1) << 47) + 1 }, "128 TiB" },
		{ { .size = UINT64_MAX }, "128 TiB" },
		{ { .size = 1, .max_size = UINT64_MAX }, "128 TiB" },
		{ { .size = 2, .max_size = 1 }, "smaller than size" },
		{ { .size = 1, .flags = 1u << 31 }, "0x80000000" },
		{ { .size = 1, .flags = TARN_SEGMENT_READ_ONLY }, "read-only" },
		{ { .size = 1, .flags = TARN_SEGMENT_PRIVATE }, "copy-on-write" },
		{ { .size = 1, .flags = TARN_SEGMENT_LAZY | TARN_SEGMENT_POPULATE }, "lazy" },
		{ { .size = 1, .flags = TARN_SEGMENT_LAZY | TARN_SEGMENT_LOCK }, "lazy" },
		{ { .size = 1, .mode = 01000 }, "1000" },
		{ { .size = 1, .pages = 4 }, "pages" },
		{ { .size = 1, .numa = 4 }, "NUMA" },
		{ { .size = 1, .numa_nodes = 1 }, "without a policy" },
		{ { .size = 1, .seals = 0x40 }, "0x40" },
		{ { .size = 1, .reserved = { 0, 0, 0, 1 } }, "reserved" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t kind = 0; kind < KIND_COUNT; kind++)
			create_fails(addr_of(kind), &rows[i].opts, -EINVAL, rows[i].word);
	struct tarn_segment *seg = NULL;

	assert_int_equal(tarn_segment_create(addr_of(0), NULL, &seg), -EINVAL);
	assert_null(seg);
	assert_int_equal(access(shm_path("kinds"), F_OK), -1);
}

static void kinds_without_a_name_cannot_be_opened_or_removed(void **state)
{
	(void)state;
	open_fails("anon:", NULL, -EINVAL, "no name");
	open_fails("memfd:x", NULL, -EINVAL, "memfd:PID:FD");
	open_fails("sysv:private", NULL, -EINVAL, "no name");
	assert_int_equal(tarn_segment_remove("anon:", NULL), -EINVAL);
	assert_int_equal(tarn_segment_remove("memfd:x", NULL), -EINVAL);
	assert_int_equal(tarn_segment_remove("sysv:private", NULL), -EINVAL);
	create_fails("sysv:#1", &(struct tarn_segment_opts){ .size = 1 }, -EINVAL, "identifier");
	create_fails("memfd:1:1", &(struct tarn_segment_opts){ .size = 1 }, -EINVAL, "opened");
}

/* --- views ----------------------------------------------------------------------------------- */

static int store_at(void *arg)
{
	*(char *)arg = 1;
	return 0;
}

static void read_only_views_fault_on_stores(void **state)
{
	const char *addr = own_name("shm:", "ro");
	struct tarn_segment *writer = created(addr, &(struct tarn_segment_opts){ .size = 100 });
	struct tarn_segment *reader =
		opened(addr, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_READ_ONLY });
	struct tarn_segment_stat stat;

	(void)state;
	*(char *)tarn_segment_data(writer) = 'x';
	assert_int_equal(*(char *)tarn_segment_data(reader), 'x');
	assert_int_not_equal(in_child(store_at, tarn_segment_data(reader)), 0);
	assert_int_equal(tarn_segment_protect(reader, 0, 0, true), -EACCES);
	assert_int_equal(tarn_segment_grow(reader, 4096, NULL), -EPERM);
	assert_int_equal(tarn_segment_advise(reader, 0, 0, TARN_ADVICE_REMOVE), -EACCES);
	assert_int_equal(tarn_segment_stat(reader, &stat), 0);
	assert_true(stat.read_only);
	tarn_segment_close(reader);
	gone(writer);
}

static void private_views_keep_stores_to_themselves(void **state)
{
	const char *addr = own_name("shm:", "cow");
	struct tarn_segment *seg = created(addr, &(struct tarn_segment_opts){ .size = 2 * 4096 });
	struct tarn_segment *view =
		opened(addr, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_PRIVATE });
	char *shared = tarn_segment_data(seg), *mine = tarn_segment_data(view);

	(void)state;
	shared[0] = 'a';
	assert_int_equal(mine[0], 'a');
	mine[0] = 'b';
	assert_int_equal(shared[0], 'a');
	shared[4096] = 'c';
	assert_int_equal(mine[4096], 'c');
	assert_int_equal(tarn_segment_grow(view, 4 * 4096, NULL), -ENOMEM);
	assert_int_equal(tarn_segment_advise(view, 0, 0, TARN_ADVICE_POPULATE_READ), 0);
	tarn_segment_close(view);
	open_fails("sysv:#2147483647", NULL, -ENOENT, "sysv:#2147483647");
	gone(seg);
}

static int child_sees_and_answers(void *arg)
{
	char *data = tarn_segment_data(arg);

	if (strcmp(data, "from the parent") != 0)
		return 1;
	snprintf(data, 64, "from the child");
	return tarn_segment_grow(arg, 64 * KIB, NULL) == 0 ? 0 : 2;
}

static void anonymous_memory_is_shared_with_children(void **state)
{
	struct tarn_segment *seg =
		created("anon:", &(struct tarn_segment_opts){ .size = 4096, .max_size = 64 * KIB });
	char *data = tarn_segment_data(seg);

	(void)state;
	snprintf(data, 64, "from the parent");
	assert_int_equal(in_child(child_sees_and_answers, seg), 0);
	assert_string_equal(data, "from the child");
	assert_int_equal(tarn_segment_size(seg), 64 * KIB);
	data[64 * KIB - 1] = 1;
	tarn_segment_close(seg);
}

static void no_fork_keeps_the_mapping_from_children(void **state)
{
	struct tarn_segment *seg =
		created(own_name("memfd:", "nofork"),
			&(struct tarn_segment_opts){ .size = 4096, .flags = TARN_SEGMENT_NO_FORK });

	(void)state;
	assert_int_not_equal(in_child(store_at, tarn_segment_data(seg)), 0);
	assert_int_equal(tarn_segment_advise(seg, 0, 0, TARN_ADVICE_DOFORK), 0);
	assert_int_equal(in_child(store_at, tarn_segment_data(seg)), 0);
	tarn_segment_close(seg);
}

/* Has the mapping at @base @flag ("dd", "lo" ...) among its VmFlags? */
static bool has_vm_flag(const void *base, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	unsigned long start, end;
	bool inside = false, has = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start == (uintptr_t)base;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag) != NULL;
	fclose(f);
	return has;
}

static void mappings_stay_out_of_core_dumps_unless_asked(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct tarn_segment *seg =
			created(addr_of(i), &(struct tarn_segment_opts){ .size = 4096 });

		assert_true(has_vm_flag(tarn_segment_data(seg), " dd"));
		gone(seg);
		seg = created(addr_of(i), &(struct tarn_segment_opts){
						  .size = 4096, .flags = TARN_SEGMENT_DUMP });
		assert_false(has_vm_flag(tarn_segment_data(seg), " dd"));
		gone(seg);
	}
}

/* --- growth ---------------------------------------------------------------------------------- */

static void growth_moves_nothing_and_others_see_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *addr = addr_of(i);
		struct tarn_segment_opts opts = { .size = 4096, .max_size = 4 * MIB };
		struct tarn_segment *a = created(addr, &opts), *b = opened(addr, &opts);
		char *data = tarn_segment_data(a);
		struct tarn_segment_stat stat;

		data[4095] = 'x';
		assert_int_equal(tarn_segment_grow(a, 1 * MIB + 1, NULL), 0);
		assert_ptr_equal(tarn_segment_data(a), data);
		assert_int_equal(data[4095], 'x');
		assert_int_equal(tarn_segment_size(a), 1 * MIB + 1);
		assert_int_equal(tarn_segment_size(b), 1 * MIB + 1);
		data[1 * MIB] = 'y';
		assert_int_equal(((char *)tarn_segment_data(b))[1 * MIB], 'y');
		assert_int_equal(tarn_segment_stat(b, &stat), 0);
		assert_int_equal(stat.max_size, 4 * MIB);
		assert_true(stat.resident >= 1 * MIB);
		/* b grows from where a has left it, a has nothing to do */
		assert_int_equal(tarn_segment_grow(b, 2 * MIB, NULL), 0);
		assert_int_equal(tarn_segment_grow(a, 1536 * KIB, NULL), 0);
		assert_int_equal(tarn_segment_size(a), 2 * MIB);
		assert_int_equal(tarn_segment_grow(a, 1, NULL), 0);
		assert_int_equal(tarn_segment_size(a), 2 * MIB);
		tarn_segment_close(b);
		gone(a);
	}
}

static void growth_beyond_the_address_space_is_refused_with_both(void **state)
{
	struct tarn_segment_opts opts = { .size = 4096, .max_size = 64 * KIB };
	struct tarn_diag diag;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct tarn_segment *seg = created(addr_of(i), &opts);

		assert_int_equal(tarn_segment_grow(seg, 64 * KIB + 1, &diag), -ENOMEM);
		assert_non_null(strstr(diag.what, "64 KiB"));
		assert_int_equal(tarn_segment_grow(seg, UINT64_MAX, &diag), -ENOMEM);
		assert_int_equal(tarn_segment_size(seg), 4096);
		gone(seg);
	}
}

/* A process that mapped less than there is now is told what it can reach. */
static void size_is_what_the_mapping_reaches(void **state)
{
	const char *addr = own_name("shm:", "reach");
	struct tarn_segment_opts opts = { .size = 4096, .max_size = 1 * MIB };
	struct tarn_segment *a = created(addr, &opts), *b = opened(addr, NULL);
	struct tarn_segment_stat stat;

	(void)state;
	assert_int_equal(tarn_segment_grow(a, 64 * KIB, NULL), 0);
	assert_int_equal(tarn_segment_size(b), 4096);
	assert_int_equal(tarn_segment_stat(b, &stat), 0);
	assert_int_equal(stat.size, 64 * KIB);
	assert_int_equal(stat.max_size, 4096);
	tarn_segment_close(b);
	gone(a);
}

static void lazy_growth_is_sparse_and_never_cuts(void **state)
{
	const char *addr = own_name("shm:", "lazy");
	struct tarn_segment_opts opts = { .size = 4096,
					  .max_size = 64 * MIB,
					  .flags = TARN_SEGMENT_LAZY };
	struct tarn_segment *seg = created(addr, &opts);
	struct tarn_segment_stat stat;

	(void)state;
	assert_int_equal(tarn_segment_grow(seg, 64 * MIB, NULL), 0);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_int_equal(stat.size, 64 * MIB);
	assert_true(stat.resident < 1 * MIB);
	gone(seg);
}

static int growing_fd;

/* Another process goes further just after grow() has looked how large the file is. */
static int go_further(enum tarn_plat_call call)
{
	if (call == TARN_PLAT_FSTATFS)
		assert_int_equal(ftruncate(growing_fd, 1 * MIB), 0);
	return 0;
}

static void growth_never_cuts_what_another_has_made_meanwhile(void **state)
{
	static const uint32_t flags[] = { 0, TARN_SEGMENT_LAZY };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tarn_segment_opts opts = { .size = 4096,
						  .max_size = 1 * MIB,
						  .flags = flags[i] };
		struct tarn_segment *seg = created("anon:", &opts);

		growing_fd = tarn_segment_fd(seg);
		tarn__plat_fault = go_further;
		assert_int_equal(tarn_segment_grow(seg, 64 * KIB, NULL), 0);
		tarn__plat_fault = NULL;
		assert_int_equal(tarn_segment_size(seg), 1 * MIB);
		tarn_segment_close(seg);
	}
}

static int grow_in_steps(void *arg)
{
	for (uint64_t size = 4096; size <= 1 * MIB; size += 4096)
		if (tarn_segment_grow(arg, size, NULL) < 0 || tarn_segment_size(arg) < size)
			return 1;
	return 0;
}

static void processes_that_grow_at_once_never_shrink_each_other(void **state)
{
	struct tarn_segment_opts opts = { .size = 4096, .max_size = 1 * MIB };
	struct tarn_segment *seg = created("anon:", &opts);
	int status;

	(void)state;
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			_exit(grow_in_steps(seg));
	for (int i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(tarn_segment_size(seg), 1 * MIB);
	tarn_segment_close(seg);
}

/* --- ranges ---------------------------------------------------------------------------------- */

static void ranges_outside_the_segment_are_refused(void **state)
{
	static const uint64_t bad[][2] = {
		{ 1, 0 },
		{ 4095, 1 },
		{ 8192, 0 },
		{ 8192, 1 },
		{ 4096, 8192 },
		{ 0, UINT64_MAX },
		{ 4096, UINT64_MAX },
		{ UINT64_MAX - 4095, 4096 },
	};
	struct tarn_segment *seg =
		created(own_name("memfd:", "range"), &(struct tarn_segment_opts){ .size = 8000 });
	struct tarn_diag diag;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t off = bad[i][0], size = bad[i][1];

		assert_int_equal(tarn_segment_advise(seg, off, size, TARN_ADVICE_RANDOM), -EINVAL);
		assert_int_equal(tarn_segment_advise(seg, off, size, TARN_ADVICE_COLD), -EINVAL);
		assert_int_equal(tarn_segment_lock(seg, off, size, &diag), -EINVAL);
		assert_int_equal(tarn_segment_unlock(seg, off, size), -EINVAL);
		assert_int_equal(tarn_segment_sync(seg, off, size, TARN_SYNC_WAIT), -EINVAL);
		assert_int_equal(tarn_segment_protect(seg, off, size, false), -EINVAL);
		assert_int_equal(tarn_segment_place(seg, off, size, TARN_NUMA_BIND, 1), -EINVAL);
	}
	assert_int_equal(tarn_segment_advise(seg, 0, 0, (enum tarn_segment_advice)16), -EINVAL);
	assert_int_equal(tarn_segment_advise(seg, 0, 0, (enum tarn_segment_advice) - 1), -EINVAL);
	assert_int_equal(tarn_segment_sync(seg, 0, 0, (enum tarn_segment_sync)3), -EINVAL);
	tarn_segment_close(seg);
}

static void every_advice_is_taken_by_every_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct tarn_segment *seg =
			created(addr_of(i), &(struct tarn_segment_opts){ .size = 8 * 4096 });

		for (int advice = 0; advice <= TARN_ADVICE_PAGEOUT; advice++) {
			int r = tarn_segment_advise(seg, 4096, 4096,
						    (enum tarn_segment_advice)advice);

			/* a file system may be unable to give back the middle of a file */
			if (r < 0 && !(advice == TARN_ADVICE_REMOVE && r == -EOPNOTSUPP))
				fail_msg("kind %zu, advice %d: %d", i, advice, r);
		}
		gone(seg);
	}
}

static void removed_memory_reads_as_zero_for_everyone(void **state)
{
	const char *addr = own_name("shm:", "remove");
	struct tarn_segment *a = created(addr, &(struct tarn_segment_opts){ .size = 3 * 4096 });
	struct tarn_segment *b = opened(addr, NULL);

	(void)state;
	memset(tarn_segment_data(a), 0x7f, 3 * 4096);
	assert_int_equal(tarn_segment_advise(a, 4096, 4096, TARN_ADVICE_REMOVE), 0);
	assert_int_equal(((char *)tarn_segment_data(b))[4095], 0x7f);
	assert_int_equal(((char *)tarn_segment_data(b))[4096], 0);
	assert_int_equal(((char *)tarn_segment_data(b))[8192], 0x7f);
	/* for the mapping alone: the contents stay */
	assert_int_equal(tarn_segment_advise(a, 0, 0, TARN_ADVICE_DONTNEED), 0);
	assert_int_equal(((char *)tarn_segment_data(a))[0], 0x7f);
	tarn_segment_close(b);
	gone(a);
}

static void protection_goes_and_comes_back(void **state)
{
	struct tarn_segment *seg =
		created("anon:", &(struct tarn_segment_opts){ .size = 2 * 4096 });
	char *data = tarn_segment_data(seg);

	(void)state;
	assert_int_equal(tarn_segment_protect(seg, 4096, 0, false), 0);
	assert_int_equal(in_child(store_at, data), 0);
	assert_int_not_equal(in_child(store_at, data + 4096), 0);
	assert_int_equal(tarn_segment_protect(seg, 4096, 4096, true), 0);
	assert_int_equal(in_child(store_at, data + 4096), 0);
	tarn_segment_close(seg);
}

static void locks_are_taken_and_told(void **state)
{
	struct tarn_segment_opts opts = { .size = 2 * 4096, .flags = TARN_SEGMENT_LOCK };
	struct tarn_segment_stat stat;
	struct tarn_segment *seg;
	struct tarn_diag diag;

	(void)state;
	if (!UNSANITIZED)
		SKIP_BECAUSE("the address sanitizer makes mlock() do nothing");
	seg = created("anon:", &opts);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_true(stat.locked);
	assert_true(has_vm_flag(tarn_segment_data(seg), " lo"));
	assert_int_equal(tarn_segment_unlock(seg, 0, 0), 0);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_false(stat.locked);
	assert_false(has_vm_flag(tarn_segment_data(seg), " lo"));
	assert_int_equal(tarn_segment_lock(seg, 4096, 4096, &diag), 0);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_true(stat.locked);
	tarn_segment_close(seg);
}

/* --- facts ----------------------------------------------------------------------------------- */

static void numa_policies_are_set_and_told(void **state)
{
	static const uint32_t policies[] = { TARN_NUMA_BIND, TARN_NUMA_PREFERRED,
					     TARN_NUMA_INTERLEAVE };
	int32_t nodes[4] = { 7, 7, 7, 7 };
	struct tarn_segment *seg;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct tarn_segment_opts opts = { .size = 4 * 4096,
						  .numa = policies[i],
						  .numa_nodes = 1 };

		seg = created(own_name("memfd:", "numa"), &opts);
		tarn_segment_close(seg);
		opts.numa_nodes = UINT64_C(1) << 63;
		create_fails("anon:", &opts, -EINVAL, "node 63");
		opts.numa_nodes = 0;
		create_fails("anon:", &opts, -EINVAL, "needs nodes");
	}
	create_fails("anon:",
		     &(struct tarn_segment_opts){
			     .size = 1, .numa = TARN_NUMA_PREFERRED, .numa_nodes = 3 },
		     -EINVAL, "one NUMA node");
	seg = created("anon:", &(struct tarn_segment_opts){ .size = 4 * 4096 });
	assert_int_equal(tarn_segment_placement(seg, 0, 4, nodes), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nodes[i], -ENOENT);
	((char *)tarn_segment_data(seg))[2 * 4096] = 1;
	assert_int_equal(tarn_segment_placement(seg, 0, 4, nodes), 0);
	assert_int_equal(nodes[1], -ENOENT);
	assert_true(nodes[2] >= 0);
	assert_int_equal(tarn_segment_place(seg, 0, 0, TARN_NUMA_BIND, 1), 0);
	assert_int_equal(tarn_segment_place(seg, 0, 0, TARN_NUMA_DEFAULT, 0), 0);
	assert_int_equal(tarn_segment_place(seg, 0, 0, TARN_NUMA_DEFAULT, 1), -EINVAL);
	assert_int_equal(tarn_segment_place(seg, 0, 0, TARN_NUMA_BIND, 1ull << 63), -EINVAL);
	assert_int_equal(tarn_segment_placement(seg, 0, 5, nodes), -EINVAL);
	assert_int_equal(tarn_segment_placement(seg, 0, 0, nodes), -EINVAL);
	assert_int_equal(tarn_segment_placement(seg, 4096, UINT32_MAX, nodes), -EINVAL);
	tarn_segment_close(seg);
}

static void modes_and_owners_can_be_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct tarn_segment *seg =
			created(addr_of(i), &(struct tarn_segment_opts){ .size = 1 });
		struct tarn_segment_stat stat;

		assert_int_equal(tarn_segment_chmod(seg, 0640, UINT32_MAX, UINT32_MAX), 0);
		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_int_equal(stat.mode, 0640);
		assert_int_equal(stat.uid, geteuid());
		assert_int_equal(tarn_segment_chmod(seg, 02640, UINT32_MAX, UINT32_MAX), -EINVAL);
		if (geteuid() == 0) {
			assert_int_equal(tarn_segment_chmod(seg, 0600, 12345, 54321), 0);
			assert_int_equal(tarn_segment_stat(seg, &stat), 0);
			assert_int_equal(stat.uid, 12345);
			assert_int_equal(stat.gid, 54321);
			assert_int_equal(stat.mode, 0600);
		}
		gone(seg);
	}
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void many_handles_leave_nothing_behind(void **state)
{
	enum { COUNT = 200 };
	static struct tarn_segment *segs[COUNT];
	int before = count_fds();

	(void)state;
	for (int i = 0; i < COUNT; i++)
		segs[i] = created("anon:", &(struct tarn_segment_opts){ .size = 4096 });
	for (int i = 0; i < COUNT; i++)
		*(int *)tarn_segment_data(segs[i]) = i;
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(*(int *)tarn_segment_data(segs[i]), i);
	for (int i = 0; i < COUNT; i++)
		tarn_segment_close(segs[i]);
	tarn_segment_close(NULL);
	assert_int_equal(count_fds(), before);
}

static int with_closed_stdio(void *arg)
{
	struct tarn_segment *seg = NULL;

	(void)arg;
	close(0);
	close(1);
	close(2);
	if (tarn_segment_create("anon:", &(struct tarn_segment_opts){ .size = 4096 }, &seg) < 0)
		return 1;
	if (tarn_segment_fd(seg) < 3)
		return 2;
	tarn_segment_close(seg);
	return open("/dev/null", O_RDONLY) == 0 ? 0 : 3;
}

static void descriptors_stay_clear_of_stdio(void **state)
{
	(void)state;
	assert_int_equal(in_child(with_closed_stdio, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_gives_zeroed_writable_memory),
		cmocka_unit_test(every_kind_is_reserved_at_creation_and_lazy_is_not),
		cmocka_unit_test(modes_are_exact_whatever_the_umask),
		cmocka_unit_test(bad_options_are_refused_with_the_reason),
		cmocka_unit_test(kinds_without_a_name_cannot_be_opened_or_removed),
		cmocka_unit_test(read_only_views_fault_on_stores),
		cmocka_unit_test(private_views_keep_stores_to_themselves),
		cmocka_unit_test(anonymous_memory_is_shared_with_children),
		cmocka_unit_test(no_fork_keeps_the_mapping_from_children),
		cmocka_unit_test(mappings_stay_out_of_core_dumps_unless_asked),
		cmocka_unit_test(growth_moves_nothing_and_others_see_it),
		cmocka_unit_test(growth_beyond_the_address_space_is_refused_with_both),
		cmocka_unit_test(size_is_what_the_mapping_reaches),
		cmocka_unit_test(lazy_growth_is_sparse_and_never_cuts),
		cmocka_unit_test(growth_never_cuts_what_another_has_made_meanwhile),
		cmocka_unit_test(processes_that_grow_at_once_never_shrink_each_other),
		cmocka_unit_test(ranges_outside_the_segment_are_refused),
		cmocka_unit_test(every_advice_is_taken_by_every_kind),
		cmocka_unit_test(removed_memory_reads_as_zero_for_everyone),
		cmocka_unit_test(protection_goes_and_comes_back),
		cmocka_unit_test(locks_are_taken_and_told),
		cmocka_unit_test(numa_policies_are_set_and_told),
		cmocka_unit_test(modes_and_owners_can_be_changed),
		cmocka_unit_test(many_handles_leave_nothing_behind),
		cmocka_unit_test(descriptors_stay_clear_of_stdio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
