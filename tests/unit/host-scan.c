/* SPDX-License-Identifier: BSD-2-Clause */
/* The picture of the host: every kind of segment is in it, with who uses it and its state. */
#include "host.h"

#include <tarn/region.h>

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include "region/region.h"

static char name_buf[64];

static const char *shm_name(const char *tail)
{
	snprintf(name_buf, sizeof(name_buf), "/dev/shm/hostscan%d%s", (int)getpid(), tail);
	return name_buf;
}

/* --- kinds ----------------------------------------------------------------------------------- */

static void a_posix_object_is_there_with_its_size_and_what_was_touched(void **state)
{
	const char *path = shm_name("a");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0640);
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	char addr[80];
	struct stat st;
	char *map;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(ftruncate(fd, 100000), 0);
	map = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	map[0] = map[50000] = 1;
	host = picture(0);
	snprintf(addr, sizeof(addr), "shm:%s", path + strlen("/dev/shm/"));
	seg = found(host, addr);
	assert_string_equal(seg->addr, addr);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(seg->kind, TARN_SEGMENT_POSIX);
	assert_int_equal(seg->size, 100000);
	assert_int_equal(seg->touched, (uint64_t)st.st_blocks * 512);
	assert_int_equal(seg->inode, st.st_ino);
	assert_int_equal(seg->dev, st.st_dev);
	assert_int_equal(seg->mode, 0640);
	assert_int_equal(seg->uid, geteuid());
	assert_int_equal(seg->page_size, sysconf(_SC_PAGESIZE));
	assert_int_equal(seg->state, TARN_STATE_LIVE);
	assert_int_equal(seg->process_count, 1);
	assert_int_equal(seg->attach_count, 1);
	assert_int_equal(seg->content, TARN_CONTENT_UNKNOWN);
	assert_false(seg->removed);

	struct tarn_host_use use = use_of(host, seg, getpid());

	assert_int_equal(use.mapping_count, 1);
	assert_int_equal(use.fd_count, 1);
	assert_int_equal(use.fd, fd);
	assert_int_equal(use.rights, TARN_HOST_READ | TARN_HOST_WRITE);
	tarn_host_free(host);
	munmap(map, 100000);
	close(fd);
	unlink(path);
}

static int sysv_id;

static void attach(void *arg)
{
	(void)arg;
	if (shmat(sysv_id, NULL, SHM_RDONLY) == (void *)-1)
		_exit(1);
}

static void system_v_has_what_the_kernel_keeps(void **state)
{
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	struct shmid_ds ds;
	char addr[40];
	pid_t pid;

	(void)state;
	sysv_id = shmget(0x7a000000 | (getpid() & 0xffffff), 70000, IPC_CREAT | IPC_EXCL | 0644);
	assert_true(sysv_id >= 0);
	pid = holder(attach, NULL);
	assert_int_equal(shmctl(sysv_id, IPC_STAT, &ds), 0);
	host = picture(0);
	snprintf(addr, sizeof(addr), "sysv:#%d", sysv_id);
	seg = found(host, addr);
	assert_int_equal(seg->kind, TARN_SEGMENT_SYSV);
	assert_int_equal(seg->size, 70000);
	assert_int_equal(seg->id, sysv_id);
	assert_int_equal(seg->attach_count, 1);
	assert_int_equal(seg->process_count, 1);
	assert_int_equal(seg->creator_pid, getpid());
	assert_string_equal(seg->creator, "unit-host-scan");
	assert_int_equal(seg->last_pid, pid);
	assert_int_equal(seg->mode, 0644);
	assert_int_equal(seg->attached_ns, (int64_t)ds.shm_atime * 1000000000);
	assert_int_equal(seg->state, TARN_STATE_LIVE);
	assert_int_equal(use_of(host, seg, pid).rights, TARN_HOST_READ);
	/* by key as well */
	snprintf(addr, sizeof(addr), "sysv:0x%x", 0x7a000000 | (getpid() & 0xffffff));
	assert_ptr_equal(found(host, addr), seg);
	tarn_host_free(host);
	end(pid);
	assert_int_equal(shmctl(sysv_id, IPC_RMID, NULL), 0);
}

static int make_memfd(const char *name, uint64_t size)
{
	int fd = (int)syscall(SYS_memfd_create, name, 3u);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void a_memfd_is_known_by_its_descriptor_its_label_and_its_seals(void **state)
{
	int fd = make_memfd("hostscan one", 5000), again = make_memfd("hostscan two", 1);
	int twin = make_memfd("hostscan two", 2);
	struct tarn_host *host;
	const struct tarn_host_segment *seg;
	struct tarn_diag diag;
	char addr[40];

	(void)state;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	host = picture(0);
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), fd);
	seg = found(host, addr);
	assert_string_equal(seg->addr, addr);
	assert_string_equal(seg->label, "hostscan one");
	assert_int_equal(seg->seals, F_SEAL_SHRINK | F_SEAL_GROW);
	assert_int_equal(seg->size, 5000);
	assert_int_equal(seg->attach_count, 0);
	assert_int_equal(seg->process_count, 1);
	assert_int_equal(seg->state, TARN_STATE_LIVE);
	assert_ptr_equal(found(host, "memfd:hostscan one"), seg);
	assert_int_equal(find_error(host, "memfd:hostscan two", &diag), -ENOTUNIQ);
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), twin);
	assert_non_null(strstr(diag.hint, addr));
	tarn_host_free(host);
	close(fd);
	close(again);
	close(twin);
}

static char *shared;

static void map_more(void *arg)
{
	shared[4096] = 1;
	(void)arg;
}

static void anonymous_memory_of_parent_and_child_is_one_segment(void **state)
{
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	char addr[64];
	pid_t pid;

	(void)state;
	shared = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	pid = holder(map_more, NULL);
	host = picture(TARN_HOST_USAGE | TARN_HOST_NODES);
	snprintf(addr, sizeof(addr), "map:%d:0x%" PRIxPTR, (int)pid, (uintptr_t)shared + 5000);
	seg = found(host, addr);
	assert_int_equal(seg->kind, TARN_SEGMENT_ANON);
	assert_int_equal(seg->process_count, 2);
	assert_int_equal(seg->size, 16384);
	assert_int_equal(use_of(host, seg, getpid()).mapping_count, 1);
	assert_int_equal(use_of(host, seg, pid).mapping_count, 1);
	assert_int_equal(seg->pss, 4096);
	assert_true(seg->node_count >= 1);
	snprintf(addr, sizeof(addr), "map:%d:0x%" PRIxPTR, (int)getpid(), (uintptr_t)shared);
	assert_ptr_equal(found(host, addr), seg);
	tarn_host_free(host);
	end(pid);
	munmap(shared, 16384);
}

static void a_shared_file_is_there_when_asked_for(void **state)
{
	char path[] = "/tmp/hostscanXXXXXX", addr[64];
	int fd = mkstemp(path);
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	void *map;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	host = picture(TARN_HOST_FILES);
	snprintf(addr, sizeof(addr), "file:%s", path);
	seg = found(host, addr);
	assert_int_equal(seg->kind, TARN_SEGMENT_FILE);
	assert_int_equal(use_of(host, seg, getpid()).mapping_count, 1);
	tarn_host_free(host);
	/* not asked for: it is added when it is named, without who maps it */
	host = picture(0);
	seg = found(host, path);
	assert_int_equal(seg->process_count, 0);
	assert_ptr_equal(found(host, addr), seg);
	tarn_host_free(host);
	munmap(map, 8192);
	unlink(path);
}

/* --- states ---------------------------------------------------------------------------------- */

static void a_deleted_object_that_is_mapped_is_shown_as_such(void **state)
{
	const char *path = shm_name("gone");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	char addr[64];
	void *map;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	unlink(path);
	host = picture(0);
	snprintf(addr, sizeof(addr), "map:%d:0x%" PRIxPTR, (int)getpid(), (uintptr_t)map);
	seg = found(host, addr);
	assert_int_equal(seg->kind, TARN_SEGMENT_POSIX);
	assert_int_equal(seg->state, TARN_STATE_DELETED);
	assert_true(seg->removed);
	assert_string_equal(seg->label, path);
	tarn_host_free(host);
	munmap(map, 4096);
}

static void an_object_that_nobody_has_is_idle_even_if_not_all_can_be_read(void **state)
{
	const char *path = shm_name("idle");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct tarn_host *host;

	(void)state;
	close(fd);
	host = picture(0);
	assert_int_equal(found(host, path)->state, TARN_STATE_IDLE);
	assert_int_equal(found(host, path)->size, 0);
	tarn_host_free(host);
	unlink(path);
}

static void make_and_detach(void *arg)
{
	void *data = shmat(sysv_id, NULL, 0);

	if (data == (void *)-1 || (arg != NULL && shmdt(data) != 0))
		_exit(1);
}

/* The creator must be dead, so a child creates. */
static int create_in_child(void)
{
	int pair[2], id = -1;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
		_exit(write(pair[1], &id, sizeof(id)) != sizeof(id));
	}
	assert_int_equal(read(pair[0], &id, sizeof(id)), sizeof(id));
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return id;
}

static void expect_sysv(uint32_t wanted)
{
	struct tarn_host *host = picture(0);
	const struct tarn_host_segment *seg;
	char addr[40];

	snprintf(addr, sizeof(addr), "sysv:#%d", sysv_id);
	seg = found(host, addr);
	assert_int_equal(seg->state, wanted);
	assert_true((seg->proof != NULL) == (wanted == TARN_STATE_ORPHAN));
	tarn_host_free(host);
}

static void an_orphan_was_used_has_no_user_and_no_creator(void **state)
{
	pid_t pid;

	(void)state;
	sysv_id = create_in_child();
	expect_sysv(TARN_STATE_IDLE); /* it waits for its first user */
	pid = holder(make_and_detach, NULL);
	expect_sysv(TARN_STATE_LIVE);
	end(pid);
	expect_sysv(TARN_STATE_ORPHAN);
	pid = holder(make_and_detach, NULL);
	assert_int_equal(shmctl(sysv_id, IPC_RMID, NULL), 0);
	expect_sysv(TARN_STATE_DELETED);
	end(pid);
	/* made by one that lives: idle, however often it was used */
	sysv_id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	end(holder(make_and_detach, NULL));
	expect_sysv(TARN_STATE_IDLE);
	assert_int_equal(shmctl(sysv_id, IPC_RMID, NULL), 0);
}

static void in_another_namespace(void *arg)
{
	int id;

	if (unshare(CLONE_NEWIPC) < 0)
		_exit(2);
	id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	*(void **)arg = shmat(id, NULL, 0);
}

static void a_segment_of_another_ipc_namespace_lives_and_is_named_by_its_mapping(void **state)
{
	void **at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	char addr[64];
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		puts("# skip: a new IPC namespace needs root");
		skip();
	}
	pid = holder(in_another_namespace, at);
	host = picture(0);
	snprintf(addr, sizeof(addr), "map:%d:0x%" PRIxPTR, (int)pid, (uintptr_t)*at);
	seg = found(host, addr);
	assert_string_equal(seg->addr, addr);
	assert_int_equal(seg->kind, TARN_SEGMENT_SYSV);
	assert_true(seg->elsewhere);
	assert_int_equal(seg->state, TARN_STATE_LIVE);
	assert_int_equal(seg->size, 8192);
	tarn_host_free(host);
	end(pid);
	munmap(at, 4096);
}

static uid_t control_owner;

static int chown_control(const char *name, void *arg)
{
	char path[300];

	if (strncmp(name, TARN__CONTROL_PREFIX, strlen(TARN__CONTROL_PREFIX)) != 0 ||
	    strstr(name, arg) == NULL)
		return 0;
	snprintf(path, sizeof(path), "/dev/shm/%s", name);
	return chown(path, control_owner, (gid_t)-1) == 0 ? 1 : -errno;
}

static void a_control_file_is_believed_of_its_owners_segments_alone(void **state)
{
	struct tarn_region_opts opts = { .size = 4096 };
	struct tarn_region *region = NULL;
	struct tarn_host *host;
	char addr[32], key[16];

	(void)state;
	if (geteuid() != 0) {
		puts("# skip: to give a file away needs root");
		skip();
	}
	snprintf(key, sizeof(key), "7b%06x", (unsigned)getpid() & 0xffffff);
	snprintf(addr, sizeof(addr), "sysv:0x%s", key);
	assert_int_equal(tarn_region_create(addr, &opts, &region), 0);
	host = picture(0);
	assert_int_equal(found(host, addr)->content, TARN_CONTENT_REGION);
	tarn_host_free(host);
	control_owner = 65534;
	assert_int_equal(tarn__plat_listdir("/dev/shm", chown_control, key), 1);
	host = picture(0);
	assert_int_equal(found(host, addr)->content, TARN_CONTENT_UNKNOWN);
	tarn_host_free(host);
	control_owner = geteuid();
	assert_int_equal(tarn__plat_listdir("/dev/shm", chown_control, key), 1);
	tarn_region_close(region);
	assert_int_equal(tarn_region_remove(addr, NULL), 0);
}

struct early {
	int id, ready;
};

static void *goes_on(void *arg)
{
	struct early *early = arg;

	if (write(early->ready, &early->id, sizeof(early->id)) == sizeof(early->id))
		pause();
	_exit(1);
}

/* Makes and uses a System V segment, maps a file, and ends its first thread. */
static void end_first_thread(const char *path, int ready)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	void *map = MAP_FAILED, *data;
	static struct early early;
	pthread_t thread;

	early = (struct early){ shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), ready };
	data = shmat(early.id, NULL, 0);
	if (fd >= 0 && ftruncate(fd, 4096) == 0)
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || data == (void *)-1 || shmdt(data) != 0 ||
	    pthread_create(&thread, NULL, goes_on, &early) != 0)
		_exit(1);
	pthread_exit(NULL);
}

static void wait_for_zombie(pid_t pid)
{
	char path[40], text[512] = "";
	const char *end = NULL;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (end == NULL || strncmp(end, ") Z", 3) != 0) {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		assert_non_null(fgets(text, sizeof(text), file));
		fclose(file);
		end = strrchr(text, ')');
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void a_process_lives_as_long_as_any_of_its_threads(void **state)
{
	const char *path = shm_name("thread");
	const struct tarn_host_segment *seg;
	struct tarn_host *host;
	char addr[80];
	int pair[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0)
		end_first_thread(path, pair[1]);
	assert_int_equal(read(pair[0], &sysv_id, sizeof(sysv_id)), sizeof(sysv_id));
	close(pair[0]);
	close(pair[1]);
	wait_for_zombie(pid);
	expect_sysv(TARN_STATE_IDLE);
	host = picture(0);
	snprintf(addr, sizeof(addr), "shm:%s", path + strlen("/dev/shm/"));
	seg = found(host, addr);
	assert_int_equal(seg->state, TARN_STATE_LIVE);
	assert_int_equal(use_of(host, seg, pid).rights, TARN_HOST_READ | TARN_HOST_WRITE);
	assert_int_equal(use_of(host, seg, pid).fd_count, 1);
	tarn_host_free(host);
	end(pid);
	expect_sysv(TARN_STATE_ORPHAN);
	assert_int_equal(shmctl(sysv_id, IPC_RMID, NULL), 0);
	assert_int_equal(unlink(path), 0);
}

static void regions_are_known_and_stale_when_their_members_are_dead(void **state)
{
	struct tarn_region_opts opts = { .size = 4096, .flags = TARN_REGION_EPHEMERAL };
	struct tarn_region *region = NULL;
	struct tarn_host *host;
	char name[64];
	pid_t pid;

	(void)state;
	snprintf(name, sizeof(name), "hostscan%dr", (int)getpid());
	pid = fork();
	if (pid == 0) {
		if (tarn_region_create(name, &opts, &region) != 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	host = picture(0);
	assert_string_equal(found(host, name)->addr, name);
	assert_int_equal(found(host, name)->content, TARN_CONTENT_REGION);
	assert_int_equal(found(host, name)->state, TARN_STATE_STALE);
	assert_non_null(found(host, name)->proof);
	assert_int_equal(found(host, name)->creator_pid, pid);
	tarn_host_free(host);
	assert_int_equal(tarn_region_open(name, NULL, &region), 0);
	host = picture(0);
	assert_int_equal(found(host, name)->state, TARN_STATE_LIVE);
	tarn_host_free(host);
	tarn_region_close(region); /* the last: it goes */
}

/* --- names ----------------------------------------------------------------------------------- */

static void odd_names_come_as_plain_text_and_are_found_by_it(void **state)
{
	char path[96];
	struct tarn_host *host;
	int fd, memfd = make_memfd("bad\033[31m\nname (deleted)", 1);

	(void)state;
	snprintf(path, sizeof(path), "/dev/shm/hostscan%d\n\033x (deleted)", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	host = picture(0);
	snprintf(name_buf, sizeof(name_buf), "shm:hostscan%d??x (deleted)", (int)getpid());
	assert_string_equal(found(host, name_buf)->addr, name_buf);
	assert_int_equal(found(host, name_buf)->state, TARN_STATE_LIVE);
	assert_false(found(host, name_buf)->removed);
	snprintf(name_buf, sizeof(name_buf), "memfd:%d:%d", (int)getpid(), memfd);
	assert_string_equal(found(host, name_buf)->label, "bad?[31m?name (deleted)");
	tarn_host_free(host);
	unlink(path);
	close(fd);
	close(memfd);
}

static void files_in_folders_of_dev_shm_are_shared_memory(void **state)
{
	char dir[64], path[96], addr[112];
	struct tarn_host *host;
	struct tarn__seg *seg;
	int fd, again;

	(void)state;
	snprintf(dir, sizeof(dir), "%s", shm_name("d"));
	snprintf(path, sizeof(path), "%s/cnc", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(symlink(path, shm_name("link")), 0);
	host = picture(0);
	snprintf(addr, sizeof(addr), "file:%s", path);
	assert_string_equal(found(host, addr)->addr, addr);
	assert_int_equal(found(host, addr)->kind, TARN_SEGMENT_POSIX);
	/* another file by that path is not opened for it */
	seg = tarn__seg_of(found(host, addr));
	again = tarn__seg_open(seg, O_RDONLY);
	assert_true(again >= 0);
	close(again);
	unlink(path);
	close(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
	assert_int_equal(tarn__seg_open(seg, O_RDONLY), -ENOENT);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(tarn__seg_open(seg, O_RDONLY), -ENOENT);
	tarn_host_free(host);
	close(fd);
	unlink(path);
	unlink(shm_name("link"));
	rmdir(dir);
}

static void what_is_not_there_is_said_not_to_be(void **state)
{
	struct tarn_host *host = picture(0);
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(find_error(host, "shm:hostscan-none", &diag), -ENOENT);
	assert_int_equal(find_error(host, "sysv:#2147483647", &diag), -ENOENT);
	assert_int_equal(find_error(host, "sysv:private", &diag), -ENOENT);
	assert_int_equal(find_error(host, "memfd:hostscan-none", &diag), -ENOENT);
	assert_int_equal(find_error(host, "memfd:2147483646:3", &diag), -ENOENT);
	assert_int_equal(find_error(host, "map:2147483646:0x1000", &diag), -ENOENT);
	assert_int_equal(find_error(host, "map:1", &diag), -EINVAL);
	assert_int_equal(find_error(host, "map:1:4096", &diag), -EINVAL);
	assert_int_equal(find_error(host, "map:1:0x1000x", &diag), -EINVAL);
	assert_int_equal(find_error(host, "map:0:0x1000", &diag), -EINVAL);
	assert_int_equal(find_error(host, "anon:", &diag), -EINVAL);
	assert_int_equal(find_error(host, "/dev", &diag), -EINVAL);
	assert_int_equal(find_error(host, "", &diag), -EINVAL);
	tarn_host_free(host);
	tarn_host_free(NULL);
}

/* --- options --------------------------------------------------------------------------------- */

static int scan_error(const struct tarn_host_opts *opts, struct tarn_diag *diag)
{
	struct tarn_host_opts with = *opts;
	struct tarn_host *host = NULL;
	int r;

	*diag = (struct tarn_diag){ "", "" };
	with.diag = diag;
	r = tarn_host_scan(&with, &host);
	assert_null(host);
	return r;
}

static void bad_options_are_refused_in_words(void **state)
{
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(scan_error(&(struct tarn_host_opts){ .flags = 1u << 30 }, &diag), -EINVAL);
	assert_int_equal(scan_error(&(struct tarn_host_opts){ .pid = -1 }, &diag), -EINVAL);
	assert_int_equal(scan_error(&(struct tarn_host_opts){ .reserved = { 1 } }, &diag), -EINVAL);
	assert_int_equal(scan_error(&(struct tarn_host_opts){ .pid = 2147483646 }, &diag), -ESRCH);
	assert_non_null(strstr(diag.what, "2147483646"));
	assert_int_equal(scan_error(&(struct tarn_host_opts){ .root = "/nowhere" }, &diag),
			 -ENOENT);
	assert_non_null(strstr(diag.hint, "mount -t proc"));
}

static void of_one_process_only_what_it_uses_is_shown(void **state)
{
	int fd = make_memfd("hostscan mine", 1);
	struct tarn_host *host = NULL;
	struct tarn_host_stat stat;

	(void)state;
	assert_int_equal(tarn_host_scan(&(struct tarn_host_opts){ .pid = getpid() }, &host), 0);
	tarn_host_stat(host, &stat);
	assert_int_equal(stat.process_count, 1);
	assert_int_equal(stat.seen_count, 1);
	for (uint32_t i = 0; i < host->seg_count; i++)
		assert_int_equal(host->segs[i]->pub.process_count, 1);
	assert_non_null(found(host, "memfd:hostscan mine"));
	tarn_host_free(host);
	close(fd);
}

/* --- another root ---------------------------------------------------------------------------- */

static void put_file(const char *root, const char *path, const char *text)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void garbage_in_proc_is_passed_over(void **state)
{
	char root[] = "/tmp/hostrootXXXXXX", command[64];
	struct tarn_host *host = NULL;
	struct tarn_host_stat stat;

	(void)state;
	assert_non_null(mkdtemp(root));
	put_file(root, "/proc/self/stat", "");
	put_file(root, "/proc/sysvipc/shm",
		 "       key      shmid perms\n"
		 "-1 5 666 4096 1 1 0 0 0 0 0 0 7 8 0 0\n"
		 "99999999999999999999999 6 666 4096 1 1 0 0 0 0 0 0 7 8 0 0\n"
		 "x y z\n\n0 8\n"
		 "0 9 1600 1 99999999 0 3 1 1 1 1 5 6 7\n");
	put_file(root, "/proc/77/maps",
		 "\n-\nzz-1 rw-s 0 0:1 5 /SYSV00000000 (deleted)\n"
		 "2000-1000 rw-s 0 0:1 5 /SYSV00000000 (deleted)\n"
		 "1000-2000 rw\n"
		 "1000-2000 rw-s 00000000 00:01 18446744073709551616 /dev/shm/x\n"
		 "1000-2000 rw-s 00000000 fe:01 12 /dev/shm/container\n"
		 "7000-8000 r--p 00000000 fe:01 13 /lib/x\n"
		 "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n");
	put_file(root, "/proc/77/stat", "77 (odd) (name)) S 1");
	put_file(root, "/proc/77/fd/notanumber", "");
	put_file(root, "/proc/123456789012345/maps", "1000-2000 rw-s 0 fe:1 1 /dev/shm/a\n");
	put_file(root, "/dev/shm/seen", "some");
	put_file(root, "/sys/kernel/mm/hugepages/hugepages-xkB/nr_hugepages", "");
	assert_int_equal(tarn_host_scan(&(struct tarn_host_opts){ .root = root }, &host), 0);
	tarn_host_stat(host, &stat);
	assert_int_equal(stat.seen_count, 1);
	assert_int_equal(stat.process_count, 1);
	assert_int_equal(stat.segment_count, 4);
	assert_int_equal(found(host, "sysv:#5")->key, -1);
	assert_true(found(host, "sysv:#9")->removed);
	assert_int_equal(found(host, "sysv:#9")->swap, TARN_HOST_UNKNOWN);
	assert_true(found(host, "map:77:0x1000")->elsewhere);
	assert_string_equal(found(host, "map:77:0x1000")->label, "/dev/shm/container");
	snprintf(command, sizeof(command), "file:%s/dev/shm/seen", root);
	assert_int_equal(found(host, command)->size, 4);
	tarn_host_free(host);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

/* --- lines ----------------------------------------------------------------------------------- */

static void the_name_of_a_process_may_hold_anything(void **state)
{
	struct tarn__stat_line line;

	(void)state;
	assert_true(tarn__parse_stat(
		"7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 0", &line));
	assert_string_equal(line.comm, "a) b (c)");
	assert_int_equal(line.state, 'S');
	assert_int_equal(line.flags, 6);
	assert_int_equal(line.start, 99);
	assert_int_equal(line.threads, 17);
	assert_false(tarn__stat_ended(&line));
	line.state = 'Z';
	assert_false(tarn__stat_ended(&line)); /* the first thread alone has ended */
	line.threads = 1;
	assert_true(tarn__stat_ended(&line));
	assert_true(tarn__parse_stat(
		"7 (x\n\033) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99", &line));
	assert_string_equal(line.comm, "x??");
	assert_false(tarn__parse_stat("7 (x) Z 1 2 3", &line));
	assert_false(tarn__parse_stat("7 (x", &line));
	assert_false(tarn__parse_stat("7 x) Z", &line));
	assert_false(tarn__parse_stat(")(", &line));
	assert_false(tarn__parse_stat("", &line));
}

static void text_is_made_plain_and_utf8_is_kept(void **state)
{
	const struct {
		const char *raw, *plain;
	} cases[] = {
		{ "plain", "plain" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x80\xa6 \xf0\x9f\x90\xa6",
		  "gr\xc3\xbc\xc3\x9f \xe2\x80\xa6 \xf0\x9f\x90\xa6" },
		{ "\x01\x1f\x7f", "???" },
		{ "\xc2\x9b", "??" },           /* control sequence introducer */
		{ "\xe2\x80\xae", "???" },      /* right-to-left override */
		{ "\xc0\xaf\xff\x80", "????" }, /* no UTF-8 */
		{ "\xe0\x80\xaf", "???" },      /* longer than need be */
		{ "\xed\xa0\x80", "???" },      /* a surrogate */
		{ "cut\xe2\x80", "cut??" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", cases[i].raw);
		tarn__plain(text);
		assert_string_equal(text, cases[i].plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_posix_object_is_there_with_its_size_and_what_was_touched),
		cmocka_unit_test(system_v_has_what_the_kernel_keeps),
		cmocka_unit_test(a_memfd_is_known_by_its_descriptor_its_label_and_its_seals),
		cmocka_unit_test(anonymous_memory_of_parent_and_child_is_one_segment),
		cmocka_unit_test(a_shared_file_is_there_when_asked_for),
		cmocka_unit_test(a_deleted_object_that_is_mapped_is_shown_as_such),
		cmocka_unit_test(an_object_that_nobody_has_is_idle_even_if_not_all_can_be_read),
		cmocka_unit_test(an_orphan_was_used_has_no_user_and_no_creator),
		cmocka_unit_test(
			a_segment_of_another_ipc_namespace_lives_and_is_named_by_its_mapping),
		cmocka_unit_test(a_control_file_is_believed_of_its_owners_segments_alone),
		cmocka_unit_test(a_process_lives_as_long_as_any_of_its_threads),
		cmocka_unit_test(regions_are_known_and_stale_when_their_members_are_dead),
		cmocka_unit_test(odd_names_come_as_plain_text_and_are_found_by_it),
		cmocka_unit_test(files_in_folders_of_dev_shm_are_shared_memory),
		cmocka_unit_test(what_is_not_there_is_said_not_to_be),
		cmocka_unit_test(bad_options_are_refused_in_words),
		cmocka_unit_test(of_one_process_only_what_it_uses_is_shown),
		cmocka_unit_test(garbage_in_proc_is_passed_over),
		cmocka_unit_test(the_name_of_a_process_may_hold_anything),
		cmocka_unit_test(text_is_made_plain_and_utf8_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
