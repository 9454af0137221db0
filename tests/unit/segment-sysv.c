/* SPDX-License-Identifier: BSD-2-Clause */
/* System V segments: keys and identifiers, owners and modes, what they cannot do, their limits. */
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>

#include "segment.h"

/* sysv:0x... with a key that this process alone uses. */
static const char *key_addr(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "sysv:0x7a%06x", (unsigned)getpid() & 0xffffff);
	return text;
}

static int key_of(const char *addr)
{
	return (int)strtoul(addr + strlen("sysv:"), NULL, 16);
}

static const struct tarn_segment_opts small = { .size = 10000 };

static void remove_it(const char *addr)
{
	assert_int_equal(tarn_segment_remove(addr, NULL), 0);
}

static void keys_lead_to_the_same_bytes(void **state)
{
	const char *addr = key_addr();
	struct tarn_segment *a = created(addr, &small), *b = opened(addr, &small);
	char by_id[32];
	struct tarn_segment_stat stat;

	(void)state;
	snprintf(tarn_segment_data(a), 16, "shared");
	assert_string_equal(tarn_segment_data(b), "shared");
	assert_int_equal(tarn_segment_stat(a, &stat), 0);
	snprintf(by_id, sizeof(by_id), "sysv:#%d", stat.id);
	tarn_segment_close(b);
	b = opened(by_id, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_READ_ONLY });
	assert_string_equal(tarn_segment_data(b), "shared");
	assert_int_equal(tarn_segment_protect(b, 0, 0, true), -EACCES);
	tarn_segment_close(b);
	tarn_segment_close(a);
	remove_it(addr);
}

static void ftok_keys_lead_to_the_same_bytes(void **state)
{
	const char *path = own_name("/tmp/", "ftok");
	char addr[300];
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct tarn_segment *seg;
	int id;

	(void)state;
	close(fd);
	snprintf(addr, sizeof(addr), "sysv:%s,9", path);
	seg = created(addr, &small);
	id = shmget(ftok(path, 9), 0, 0);
	assert_int_equal(id, seg->shmid);
	tarn_segment_close(seg);
	remove_it(addr);
	unlink(path);
}

static void existing_keys_are_not_touched_by_create(void **state)
{
	const char *addr = key_addr();
	struct tarn_segment *seg = created(addr, &small);

	(void)state;
	memset(tarn_segment_data(seg), 'x', 10000);
	create_fails(addr, &small, -EEXIST, "not touched");
	create_fails(addr, &(struct tarn_segment_opts){ .size = 1 }, -EEXIST, addr);
	assert_int_equal(((char *)tarn_segment_data(seg))[9999], 'x');
	tarn_segment_close(seg);
	remove_it(addr);
	assert_int_equal(tarn_segment_remove(addr, NULL), -ENOENT);
	open_fails(addr, NULL, -ENOENT, addr);
}

static void facts_are_the_kernels(void **state)
{
	const char *addr = key_addr();
	struct tarn_segment *seg =
		created(addr, &(struct tarn_segment_opts){ .size = 10000, .mode = 0640 });
	struct tarn_segment_stat stat;
	struct shmid_ds ds;

	(void)state;
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_int_equal(shmctl(stat.id, IPC_STAT, &ds), 0);
	assert_int_equal(stat.kind, TARN_SEGMENT_SYSV);
	assert_int_equal(stat.size, 10000);
	assert_int_equal(stat.max_size, 3 * 4096);
	assert_int_equal(stat.resident, 3 * 4096);
	assert_int_equal(stat.key, key_of(addr));
	assert_int_equal(stat.inode, stat.id);
	assert_int_equal(stat.mode, 0640);
	assert_int_equal(stat.attach_count, 1);
	assert_int_equal(stat.creator_pid, getpid());
	assert_int_equal(stat.last_pid, getpid());
	assert_int_equal(stat.ctime, ds.shm_ctime);
	assert_int_equal(stat.atime, ds.shm_atime);
	assert_int_equal(stat.dtime, 0);
	assert_int_equal(stat.cuid, geteuid());
	assert_false(stat.removed);
	assert_int_equal(tarn_segment_fd(seg), -1);
	assert_int_equal(tarn__segment_unname(seg), 0);
	assert_int_equal(tarn__segment_unname(seg), -ENOENT);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_true(stat.removed);
	tarn_segment_close(seg);
}

static void what_system_v_cannot_do_is_said(void **state)
{
	const char *addr = key_addr();
	struct tarn_segment_opts opts = { .size = 4096, .max_size = 8192 };
	struct tarn_segment *seg;
	int pair[2];

	(void)state;
	create_fails(addr, &opts, -EOPNOTSUPP, "cannot grow");
	assert_int_equal(shmget(key_of(addr), 0, 0), -1);
	create_fails(addr, &(struct tarn_segment_opts){ .size = 1, .seals = 1 }, -EINVAL, "memfd");
	seg = created(addr, &(struct tarn_segment_opts){ .size = 4096 });
	open_fails(addr, &(struct tarn_segment_opts){ .max_size = 8192 }, -EOPNOTSUPP, "8 KiB");
	open_fails(addr, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_PRIVATE }, -EOPNOTSUPP,
		   "copy-on-write");
	open_fails(addr, &(struct tarn_segment_opts){ .size = 4097 }, -EMSGSIZE, "4 KiB");
	open_fails(addr, &(struct tarn_segment_opts){ .seals = F_SEAL_SHRINK }, -EPERM, "seals");
	assert_int_equal(tarn_segment_grow(seg, 8192, NULL), -EOPNOTSUPP);
	assert_int_equal(tarn_segment_seal(seg, F_SEAL_GROW), -EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(tarn_segment_send(pair[0], seg, false), -EOPNOTSUPP);
	close(pair[0]);
	close(pair[1]);
	tarn_segment_close(seg);
	remove_it(addr);
}

static void strangers_and_wide_modes_are_refused(void **state)
{
	const char *addr = key_addr();
	struct tarn_segment *seg =
		created(addr, &(struct tarn_segment_opts){ .size = 1, .mode = 0666 });
	struct tarn_segment_opts named = { .flags = TARN_SEGMENT_OWNER | TARN_SEGMENT_ANY_MODE,
					   .owner = 12345 };

	(void)state;
	open_fails(addr, NULL, -EPERM, "0666");
	assert_int_equal(tarn_segment_remove(addr, NULL), -EPERM);
	tarn_segment_close(
		opened(addr, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_ANY_MODE }));
	assert_int_equal(tarn_segment_chmod(seg, 0600, UINT32_MAX, UINT32_MAX), 0);
	tarn_segment_close(opened(addr, NULL));
	if (geteuid() == 0) {
		assert_int_equal(tarn_segment_chmod(seg, 0600, 12345, 12345), 0);
		open_fails(addr, NULL, -EPERM, "user 12345");
		tarn_segment_close(opened(addr, &named));
		assert_int_equal(tarn_segment_remove(addr, NULL), -EPERM);
	} else {
		named.flags = 0;
	}
	assert_int_equal(tarn_segment_remove(addr, &named), 0);
	tarn_segment_close(seg);
}

static void unpublished_segments_are_removed_by_close(void **state)
{
	const char *addr = key_addr();
	struct tarn_segment *seg = NULL;

	(void)state;
	assert_int_equal(tarn__segment_prepare(addr, &small, &seg), 0);
	assert_true(shmget(key_of(addr), 0, 0) >= 0);
	tarn_segment_close(seg);
	assert_int_equal(shmget(key_of(addr), 0, 0), -1);
	assert_int_equal(errno, ENOENT);
}

static void private_segments_are_found_by_identifier_alone(void **state)
{
	struct tarn_segment *a = created("sysv:private", &small);
	struct tarn_segment *b = created("sysv:private", &small);
	char addr[32];

	(void)state;
	assert_int_not_equal(a->shmid, b->shmid);
	snprintf(addr, sizeof(addr), "sysv:#%d", a->shmid);
	tarn_segment_close(opened(addr, &small));
	remove_it(addr);
	tarn_segment_close(a);
	open_fails(addr, NULL, -ENOENT, addr);
	assert_int_equal(tarn__segment_unname(b), 0);
	tarn_segment_close(b);
}

/* --- limits ---------------------------------------------------------------------------------- */

/* Write @text to kernel.@name and return what was there; NULL where that is not permitted. */
static const char *set_limit(const char *name, const char *text)
{
	static char old[64];
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	n = tarn__plat_read_text(path, old, sizeof(old));
	fd = open(path, O_WRONLY);
	if (n < 0 || fd < 0 || write(fd, text, strlen(text)) < 0) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	close(fd);
	return old;
}

/* The limits are of this process's IPC namespace: one of its own keeps the host's as they are. */
static int with_limit(const char *name, const char *value, uint64_t size, const char *word)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_segment_opts opts = { .size = size, .diag = &diag };
	struct tarn_segment *seg = NULL;
	int r;

	if (unshare(CLONE_NEWIPC) < 0 || set_limit(name, value) == NULL)
		return 77;
	r = tarn_segment_create("sysv:private", &opts, &seg);
	if (r != -ENOSPC || strstr(diag.what, name) == NULL || strstr(diag.hint, word) == NULL) {
		fprintf(stderr, "%s=%s: %d, %s (%s)\n", name, value, r, diag.what, diag.hint);
		return 1;
	}
	return 0;
}

static int beyond_shmmax(void *arg)
{
	(void)arg;
	return with_limit("shmmax", "65536", 65537, "kernel.shmmax=65537");
}

static int beyond_shmall(void *arg)
{
	(void)arg;
	return with_limit("shmall", "16", 17 * 4096, "kernel.shmall=17");
}

static int beyond_shmmni(void *arg)
{
	(void)arg;
	return with_limit("shmmni", "0", 1, "kernel.shmmni=1");
}

static void limits_are_named_with_the_command_that_raises_them(void **state)
{
	static int (*const bodies[])(void *) = { beyond_shmmax, beyond_shmall, beyond_shmmni };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int r = in_child(bodies[i], NULL);

		if (r == 77)
			SKIP_BECAUSE("an IPC namespace with limits of its own is not permitted");
		assert_int_equal(r, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_lead_to_the_same_bytes),
		cmocka_unit_test(ftok_keys_lead_to_the_same_bytes),
		cmocka_unit_test(existing_keys_are_not_touched_by_create),
		cmocka_unit_test(facts_are_the_kernels),
		cmocka_unit_test(what_system_v_cannot_do_is_said),
		cmocka_unit_test(strangers_and_wide_modes_are_refused),
		cmocka_unit_test(unpublished_segments_are_removed_by_close),
		cmocka_unit_test(private_segments_are_found_by_identifier_alone),
		cmocka_unit_test(limits_are_named_with_the_command_that_raises_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
