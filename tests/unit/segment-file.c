/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments with a name: complete before it appears, never anybody else's, nothing else touched.
 *
 * What stands in the way of a name (links, fifos, strangers' files) is put into /dev/shm itself,
 * under names of this process.
 */
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "segment.h"

static const struct tarn_segment_opts small = { .size = 10000 };

struct listing {
	const char *prefix;
	int count;
};

static int count_named(const char *name, void *arg)
{
	struct listing *listing = arg;

	if (strncmp(name, listing->prefix, strlen(listing->prefix)) == 0)
		listing->count++;
	return 0;
}

/* How many names in @dir begin with @prefix? */
static int files_like(const char *dir, const char *prefix)
{
	struct listing listing = { .prefix = prefix };

	assert_int_equal(tarn__plat_listdir(dir, count_named, &listing), 0);
	return listing.count;
}

static void remove_it(const char *addr)
{
	assert_int_equal(tarn_segment_remove(addr, NULL), 0);
}

/* --- names ----------------------------------------------------------------------------------- */

static void names_appear_when_what_they_name_is_complete(void **state)
{
	const char *addr = own_name("shm:", "publish");
	struct tarn_segment *seg = NULL, *other;
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(tarn__segment_prepare(addr, &small, &seg), 0);
	assert_int_equal(access(shm_path("publish"), F_OK), -1);
	memset(tarn_segment_data(seg), 'x', 10000);
	assert_int_equal(tarn__segment_publish(seg, &diag), 0);
	other = opened(addr, &small);
	assert_int_equal(((char *)tarn_segment_data(other))[9999], 'x');
	tarn_segment_close(other);
	assert_int_equal(tarn__segment_unname(seg), 0);
	assert_int_equal(tarn__segment_unname(seg), -ENOENT);
	tarn_segment_close(seg);
}

static void the_loser_of_a_race_touches_nothing_and_stays_whole(void **state)
{
	const char *addr = own_name("shm:", "race");
	struct tarn_segment *first = NULL, *second = NULL;
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(tarn__segment_prepare(addr, &small, &first), 0);
	assert_int_equal(tarn__segment_prepare(addr, &small, &second), 0);
	memset(tarn_segment_data(first), '1', 10000);
	memset(tarn_segment_data(second), '2', 10000);
	assert_int_equal(tarn__segment_publish(first, &diag), 0);
	assert_int_equal(tarn__segment_publish(second, &diag), -EEXIST);
	assert_non_null(strstr(diag.what, "race"));
	assert_int_equal(((char *)tarn_segment_data(second))[9999], '2');
	assert_int_equal(tarn__segment_unname(second), -ENOENT);
	tarn_segment_close(second);
	second = opened(addr, NULL);
	assert_int_equal(((char *)tarn_segment_data(second))[9999], '1');
	tarn_segment_close(second);
	tarn_segment_close(first);
	remove_it(addr);
}

static void unpublished_segments_leave_nothing(void **state)
{
	struct tarn_segment *seg = NULL;

	(void)state;
	assert_int_equal(tarn__segment_prepare(own_name("shm:", "dropped"), &small, &seg), 0);
	tarn_segment_close(seg);
	assert_int_equal(access(shm_path("dropped"), F_OK), -1);
}

static void what_exists_is_not_touched_by_create(void **state)
{
	const char *path = shm_path("there");
	struct stat before, after;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0640);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "bytes", 5), 5);
	assert_int_equal(fstat(fd, &before), 0);
	create_fails(own_name("shm:", "there"), &small, -EEXIST, "not touched");
	assert_int_equal(fstat(fd, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	close(fd);
	unlink(path);
}

static void unname_leaves_a_successor_alone(void **state)
{
	const char *addr = own_name("shm:", "successor");
	struct tarn_segment *old = created(addr, &small), *new;

	(void)state;
	remove_it(addr);
	new = created(addr, &small);
	assert_int_equal(tarn__segment_unname(old), -ENOENT);
	tarn_segment_close(old);
	assert_int_equal(access(shm_path("successor"), F_OK), 0);
	assert_int_equal(tarn__segment_unname(new), 0);
	tarn_segment_close(new);
}

static void removed_segments_live_on_for_those_who_have_them(void **state)
{
	const char *addr = own_name("shm:", "removed");
	struct tarn_segment *seg = created(addr, &small);
	struct tarn_segment_stat stat;

	(void)state;
	remove_it(addr);
	assert_int_equal(tarn_segment_remove(addr, NULL), -ENOENT);
	open_fails(addr, NULL, -ENOENT, "removed");
	memset(tarn_segment_data(seg), 1, 10000);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_true(stat.removed);
	tarn_segment_close(seg);
}

static int create_or_open(const char *addr, int *ret_created)
{
	struct tarn_segment *seg = NULL;
	int r = tarn_segment_create(addr, &small, &seg);

	*ret_created = r == 0;
	if (r == -EEXIST)
		r = tarn_segment_open(addr, &small, &seg);
	if (r == 0)
		tarn_segment_close(seg);
	return r;
}

static void one_of_many_creators_wins(void **state)
{
	enum { COUNT = 40 };
	const char *addr = own_name("shm:", "many");
	int go[2], winners = 0;

	(void)state;
	assert_int_equal(pipe(go), 0);
	for (int i = 0; i < COUNT; i++)
		if (fork() == 0) {
			char byte;
			int won = 0;

			close(go[1]);
			(void)!read(go[0], &byte, 1); /* until the parent closes */
			_exit(create_or_open(addr, &won) < 0 ? 99 : won);
		}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < COUNT; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		winners += WEXITSTATUS(status);
	}
	assert_int_equal(winners, 1);
	remove_it(addr);
}

/* --- what may stand in the way --------------------------------------------------------------- */

static void all_refuse(const char *tag, const char *word)
{
	const char *addr = own_name("shm:", tag);
	struct tarn_diag diag = { "", "" };

	open_fails(addr, NULL, -EINVAL, word);
	open_fails(addr, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_READ_ONLY }, -EINVAL,
		   word);
	create_fails(addr, &small, -EEXIST, "exists");
	assert_int_equal(tarn_segment_remove(addr, &(struct tarn_segment_opts){ .diag = &diag }),
			 -EINVAL);
	assert_non_null(strstr(diag.what, word));
	assert_int_equal(faccessat(AT_FDCWD, shm_path(tag), F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

static void symbolic_links_are_not_followed(void **state)
{
	const char *target = own_name("/tmp/", "target");
	struct stat st;
	int fd = open(target, O_RDWR | O_CREAT | O_EXCL, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 10000), 0);
	close(fd);
	assert_int_equal(symlink(target, shm_path("link")), 0);
	all_refuse("link", "symbolic link");
	unlink(shm_path("link"));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 10000);
	unlink(target);
	/* one that leads nowhere makes nothing there */
	assert_int_equal(symlink(target, shm_path("link")), 0);
	all_refuse("link", "symbolic link");
	unlink(shm_path("link"));
	assert_int_equal(access(target, F_OK), -1);
}

static void directories_fifos_sockets_and_devices_are_refused(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(mkdir(shm_path("odd"), 0700), 0);
	all_refuse("odd", "a directory");
	rmdir(shm_path("odd"));
	assert_int_equal(mkfifo(shm_path("odd"), 0600), 0);
	all_refuse("odd", "a fifo"); /* and does not wait for its other end */
	unlink(shm_path("odd"));
	snprintf(name.sun_path, sizeof(name.sun_path), "%.100s", shm_path("odd"));
	assert_int_equal(bind(sock, (struct sockaddr *)&name, sizeof(name)), 0);
	all_refuse("odd", "a socket");
	close(sock);
	unlink(shm_path("odd"));
	if (mknod(shm_path("odd"), S_IFCHR | 0600, makedev(1, 5)) == 0) {
		all_refuse("odd", "a device");
		unlink(shm_path("odd"));
	}
}

static void empty_and_small_objects_are_refused_with_both_sizes(void **state)
{
	const char *addr = own_name("shm:", "tiny");
	int fd = open(shm_path("tiny"), O_RDWR | O_CREAT | O_EXCL, 0600);

	(void)state;
	open_fails(addr, NULL, -EMSGSIZE, "empty");
	assert_int_equal(ftruncate(fd, 1536), 0);
	open_fails(addr, &(struct tarn_segment_opts){ .size = 4096 }, -EMSGSIZE, "1.5 KiB");
	open_fails(addr, &(struct tarn_segment_opts){ .size = 4096 }, -EMSGSIZE, "4 KiB");
	tarn_segment_close(opened(addr, &(struct tarn_segment_opts){ .size = 1536 }));
	close(fd);
	remove_it(addr);
}

static void wider_modes_are_refused_unless_accepted(void **state)
{
	const char *addr = own_name("shm:", "mode");
	struct tarn_diag diag;

	(void)state;
	tarn_segment_close(created(addr, &(struct tarn_segment_opts){ .size = 1, .mode = 0664 }));
	open_fails(addr, NULL, -EPERM, "0664");
	open_fails(addr, NULL, -EPERM, "0600");
	open_fails(addr, &(struct tarn_segment_opts){ .mode = 0660 }, -EPERM, "0660");
	tarn_segment_close(opened(addr, &(struct tarn_segment_opts){ .mode = 0666 }));
	tarn_segment_close(
		opened(addr, &(struct tarn_segment_opts){ .flags = TARN_SEGMENT_ANY_MODE }));
	assert_int_equal(tarn_segment_remove(addr, &(struct tarn_segment_opts){ .diag = &diag }),
			 -EPERM);
	assert_non_null(strstr(diag.what, "0664"));
	assert_int_equal(tarn_segment_remove(addr, &(struct tarn_segment_opts){ .mode = 0664 }), 0);
}

static void other_users_objects_are_refused_unless_named(void **state)
{
	struct tarn_segment_opts named = { .flags = TARN_SEGMENT_OWNER, .owner = 12345 };
	const char *addr = own_name("shm:", "owner");

	(void)state;
	if (geteuid() != 0)
		SKIP_BECAUSE("only root can give a file away");
	tarn_segment_close(created(addr, &small));
	assert_int_equal(chown(shm_path("owner"), 12345, 12345), 0);
	open_fails(addr, NULL, -EPERM, "user 12345");
	open_fails(addr, NULL, -EPERM, "user 0 was expected");
	named.owner = 777;
	open_fails(addr, &named, -EPERM, "user 777 was expected");
	assert_int_equal(tarn_segment_remove(addr, NULL), -EPERM);
	named.owner = 12345;
	tarn_segment_close(opened(addr, &named));
	assert_int_equal(tarn_segment_remove(addr, &named), 0);
}

static int open_as_nobody(void *arg)
{
	struct tarn_segment_opts opts = { .flags = TARN_SEGMENT_OWNER | TARN_SEGMENT_READ_ONLY,
					  .owner = 0 };
	struct tarn_segment *seg = NULL;
	int r;

	if (setresuid(65534, 65534, 65534) < 0)
		return 100;
	if (tarn_segment_open(arg, NULL, &seg) != -EPERM)
		return 101;
	r = tarn_segment_open(arg, &opts, &seg);
	return -r;
}

static void strangers_get_in_only_where_the_mode_lets_them(void **state)
{
	const char *addr = own_name("shm:", "stranger");

	(void)state;
	if (geteuid() != 0)
		SKIP_BECAUSE("only root can become another user");
	tarn_segment_close(created(addr, &small));
	assert_int_equal(in_child(open_as_nobody, (void *)(uintptr_t)addr), EACCES);
	remove_it(addr);
}

/* --- files on disk --------------------------------------------------------------------------- */

static void files_persist_what_was_synced(void **state)
{
	const char *addr = own_name("file:/tmp/", "disk");
	struct tarn_segment *seg = created(addr, &small);
	char buf[16];
	int fd;

	(void)state;
	snprintf(tarn_segment_data(seg), 16, "kept");
	assert_int_equal(tarn_segment_sync(seg, 0, 0, TARN_SYNC_ASYNC), 0);
	assert_int_equal(tarn_segment_sync(seg, 0, 0, TARN_SYNC_WAIT), 0);
	assert_int_equal(tarn_segment_sync(seg, 4096, 4096, TARN_SYNC_INVALIDATE), 0);
	tarn_segment_close(seg);
	fd = open(addr + strlen("file:"), O_RDONLY);
	assert_int_equal(read(fd, buf, sizeof(buf)), sizeof(buf));
	assert_string_equal(buf, "kept");
	close(fd);
	seg = opened(addr, &small);
	assert_string_equal(tarn_segment_data(seg), "kept");
	assert_int_equal(tarn__segment_unname(seg), 0);
	tarn_segment_close(seg);
}

static void directories_are_never_made(void **state)
{
	const char *addr = own_name("file:/tmp/", "absent/x");

	(void)state;
	create_fails(addr, &small, -ENOENT, "absent");
	open_fails(addr, NULL, -ENOENT, "absent");
	assert_int_equal(access(own_name("/tmp/", "absent"), F_OK), -1);
	create_fails("file:/etc/passwd/x", &small, -ENOTDIR, "no directory");
	create_fails("file:/tmp", &small, -EEXIST, "exists");
}

static void relative_paths_and_long_names_work(void **state)
{
	char addr[300];
	int home = open(".", O_RDONLY);

	(void)state;
	assert_int_equal(chdir("/tmp"), 0);
	snprintf(addr, sizeof(addr), "file:%s", own_name("", "relative"));
	tarn_segment_close(created(addr, &small));
	remove_it(addr);
	snprintf(addr, sizeof(addr), "%s", own_name("", "long"));
	memset(addr + strlen(addr), 'n', 255 - strlen(addr));
	addr[255] = '\0';
	tarn_segment_close(created(addr, &small));
	remove_it(addr);
	assert_int_equal(fchdir(home), 0);
	close(home);
}

/* --- without O_TMPFILE ----------------------------------------------------------------------- */

static int fail_open_with, fail_rename_with;

/* The first open of a creation is that with O_TMPFILE. */
static int without_tmpfile(enum tarn_plat_call call)
{
	int error = call == TARN_PLAT_OPEN     ? fail_open_with
		    : call == TARN_PLAT_RENAME ? fail_rename_with
					       : 0;

	if (call == TARN_PLAT_OPEN)
		fail_open_with = 0;
	return error;
}

static struct tarn_segment *prepared_without_tmpfile(const char *addr, int error)
{
	struct tarn_segment *seg = NULL;

	fail_open_with = error;
	tarn__plat_fault = without_tmpfile;
	assert_int_equal(tarn__segment_prepare(addr, &small, &seg), 0);
	return seg;
}

static void passing_names_serve_where_there_is_no_tmpfile(void **state)
{
	static const int errors[] = { EOPNOTSUPP, EISDIR, EINVAL };
	const char *dir = own_name("/tmp/", "passing");
	const char *addr = own_name("file:/tmp/", "passing/x");
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	for (size_t i = 0; i < 3; i++)
		for (int rename_error = 0; rename_error <= EINVAL; rename_error += EINVAL) {
			struct tarn_segment *seg = prepared_without_tmpfile(addr, errors[i]);

			fail_rename_with = rename_error;
			assert_int_equal(files_like(dir, ".tarn-tmp."), 1);
			assert_int_equal(access(addr + strlen("file:"), F_OK), -1);
			assert_int_equal(tarn__segment_publish(seg, &diag), 0);
			tarn__plat_fault = NULL;
			assert_int_equal(files_like(dir, ".tarn-tmp."), 0);
			assert_int_equal(tarn__segment_unname(seg), 0);
			tarn_segment_close(seg);
		}
	fail_rename_with = 0;
	assert_int_equal(rmdir(dir), 0);
}

static void passing_names_go_with_their_segment(void **state)
{
	const char *dir = own_name("/tmp/", "passing");
	const char *addr = own_name("file:/tmp/", "passing/x");
	struct tarn_segment *seg;
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	seg = prepared_without_tmpfile(addr, EOPNOTSUPP);
	tarn__plat_fault = NULL;
	tarn_segment_close(seg);
	assert_int_equal(files_like(dir, ".tarn-tmp."), 0);
	for (int rename_error = 0; rename_error <= EINVAL; rename_error += EINVAL) {
		struct tarn_segment *winner;

		seg = prepared_without_tmpfile(addr, EOPNOTSUPP);
		tarn__plat_fault = NULL;
		winner = created(addr, &small);
		fail_rename_with = rename_error;
		tarn__plat_fault = without_tmpfile;
		assert_int_equal(tarn__segment_publish(seg, &diag), -EEXIST);
		tarn__plat_fault = NULL;
		assert_int_equal(files_like(dir, ".tarn-tmp."), 1);
		tarn_segment_close(seg);
		assert_int_equal(files_like(dir, ".tarn-tmp."), 0);
		assert_int_equal(tarn__segment_unname(winner), 0);
		tarn_segment_close(winner);
	}
	fail_rename_with = 0;
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_appear_when_what_they_name_is_complete),
		cmocka_unit_test(the_loser_of_a_race_touches_nothing_and_stays_whole),
		cmocka_unit_test(unpublished_segments_leave_nothing),
		cmocka_unit_test(what_exists_is_not_touched_by_create),
		cmocka_unit_test(unname_leaves_a_successor_alone),
		cmocka_unit_test(removed_segments_live_on_for_those_who_have_them),
		cmocka_unit_test(one_of_many_creators_wins),
		cmocka_unit_test(symbolic_links_are_not_followed),
		cmocka_unit_test(directories_fifos_sockets_and_devices_are_refused),
		cmocka_unit_test(empty_and_small_objects_are_refused_with_both_sizes),
		cmocka_unit_test(wider_modes_are_refused_unless_accepted),
		cmocka_unit_test(other_users_objects_are_refused_unless_named),
		cmocka_unit_test(strangers_get_in_only_where_the_mode_lets_them),
		cmocka_unit_test(files_persist_what_was_synced),
		cmocka_unit_test(directories_are_never_made),
		cmocka_unit_test(relative_paths_and_long_names_work),
		cmocka_unit_test(passing_names_serve_where_there_is_no_tmpfile),
		cmocka_unit_test(passing_names_go_with_their_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
