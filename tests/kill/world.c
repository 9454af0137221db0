/* SPDX-License-Identifier: BSD-2-Clause */
/* world.c - names and bytes: copied, compared, put back. See world.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "world.h"
#include "view.h"

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void *must_alloc(size_t size)
{
	void *p = calloc(1, size != 0 ? size : 1);

	if (p == NULL)
		die("kill: calloc");
	return p;
}

/* --- images -------------------------------------------------------------------------------- */

void kill_image_free(struct kill_image *image)
{
	if (image == NULL)
		return;
	for (int i = 0; i < image->count; i++)
		free(image->items[i].data);
	free(image);
}

static bool same_item(const struct kill_item *a, const struct kill_item *b)
{
	return strcmp(a->name, b->name) == 0 && a->key == b->key && a->mode == b->mode &&
	       a->size == b->size;
}

bool kill_image_equal(const struct kill_image *a, const struct kill_image *b)
{
	if (a->hash != b->hash || a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++)
		if (!same_item(&a->items[i], &b->items[i]) ||
		    memcmp(a->items[i].data, b->items[i].data, a->items[i].size) != 0)
			return false;
	return true;
}

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (; size >= 8; size -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; size > 0; size--, p++)
		h = (h ^ *p) * 0x100000001b3u;
	return h;
}

void kill_image_hash(struct kill_image *image)
{
	uint64_t h = (uint64_t)image->count;

	for (int i = 0; i < image->count; i++) {
		const struct kill_item *item = &image->items[i];

		h = mix(h, item->name, strlen(item->name));
		h = mix(h, &item->key, sizeof(item->key));
		h = mix(h, &item->mode, sizeof(item->mode));
		h = mix(h, item->data, item->size);
	}
	image->hash = h;
}

/* --- putting back -------------------------------------------------------------------------- */

static void write_all(int fd, const unsigned char *data, size_t size, const char *path)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, data + done, size - done);

		if (n <= 0)
			die(path);
		done += (size_t)n;
	}
}

static void put_file(const struct kill_world *world, const struct kill_item *item)
{
	char path[sizeof(world->dir) + WORLD_NAME + 1];

	snprintf(path, sizeof(path), "%s/%s", world->dir, item->name);

	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || fchmod(fd, item->mode) < 0)
		die(path);
	write_all(fd, item->data, item->size, path);
	close(fd);
}

/* A child with process id @pid, which is dead: the kernel lets the privileged choose. 0 in the
 * child; any id, or -1, elsewhere. */
static pid_t fork_as(pid_t pid)
{
	pid_t wanted = pid;
	struct clone_args args = { .exit_signal = SIGCHLD };

	args.set_tid = (uintptr_t)&wanted;
	args.set_tid_size = 1;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void make_segment(const struct kill_item *item)
{
	int id = shmget(item->key, item->size, IPC_CREAT | IPC_EXCL | (int)item->mode);
	void *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (p == (void *)-1)
		die("kill: shmget");
	memcpy(p, item->data, item->size);
	_exit(0);
}

/* By a child, so that the creator of the segment is a dead process, as it would be; the same. */
static bool put_segment(const struct kill_item *item)
{
	enum { TRIES = 400 };
	pid_t pid = -1;
	int status = 1;

	/* somebody else may have that process id for a while */
	for (int i = 0; i < TRIES && item->creator > 0; i++) {
		pid = fork_as(item->creator);
		if (pid >= 0 || errno != EEXIST)
			break;
		harness_sleep_us(5000);
	}
	if (pid < 0)
		pid = fork();
	if (pid == 0)
		make_segment(item);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		die("kill: segment");
	return item->creator == 0 || pid == item->creator;
}

void kill_world_clear(const struct kill_world *world)
{
	harness_sweep_away(world->dir, world->key);
}

bool kill_world_put(const struct kill_world *world, const struct kill_image *image)
{
	bool same = true;

	kill_world_clear(world);
	for (int i = 0; i < image->count; i++) {
		if (image->items[i].name[0] != '\0')
			put_file(world, &image->items[i]);
		else
			same = put_segment(&image->items[i]) && same;
	}
	return same;
}

struct kill_image *kill_world_take(const struct kill_world *world)
{
	struct kill_view *view = kill_view_open(world);
	struct kill_image *image = kill_view_copy(view);

	kill_view_close(view);
	return image;
}

/* --- the living world ---------------------------------------------------------------------- */

static void drop_item(struct view_item *item)
{
	if (item->made_up)
		free(item->map);
	else if (item->map != NULL && item->segment)
		shmdt(item->map);
	else if (item->map != NULL)
		munmap(item->map, item->file.size);
	memset(item, 0, sizeof(*item));
}

static struct view_item *next_item(struct kill_view *view)
{
	if (view->count == WORLD_ITEMS) {
		fprintf(stderr, "kill: more than %d files in the world\n", WORLD_ITEMS);
		exit(2);
	}
	return &view->items[view->count];
}

static void make_up(const struct kill_view *view, struct view_item *item)
{
	item->made_up = true;
	item->map = must_alloc(item->file.size);
	memset(item->map, view->world->untouched, item->file.size);
}

static void see_closed(struct kill_view *view, struct view_item *item, const char *name,
		       const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	snprintf(item->file.name, WORLD_NAME, "%s", name);
	item->file.mode = st.st_mode & 07777;
	item->file.size = (size_t)st.st_size;
	item->inode = st.st_ino;
	make_up(view, item);
	view->count++;
}

static void see_file(const char *name, void *arg)
{
	struct kill_view *view = arg;
	struct view_item *item = next_item(view);
	char path[sizeof(view->world->dir) + WORLD_NAME + 1];
	struct stat st;

	if (strlen(name) >= WORLD_NAME)
		return;
	snprintf(path, sizeof(path), "%s/%s", view->world->dir, name);
	if (view->world->untouched != 0) {
		see_closed(view, item, name, path);
		return;
	}

	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		snprintf(item->file.name, WORLD_NAME, "%s", name);
		item->file.mode = st.st_mode & 07777;
		item->file.size = (size_t)st.st_size;
		item->inode = st.st_ino;
		if (st.st_size > 0)
			item->map = mmap(NULL, item->file.size, PROT_READ, MAP_SHARED, fd, 0);
		if (item->map == MAP_FAILED)
			die(path);
		view->count++;
	}
	close(fd);
}

static void see_segment(struct kill_view *view, int id)
{
	struct view_item *item = next_item(view);
	struct shmid_ds ds;

	if (shmctl(id, IPC_STAT, &ds) < 0)
		return;
	item->file.key = (int32_t)ds.shm_perm.__key;
	item->file.creator = ds.shm_cpid;
	item->file.mode = ds.shm_perm.mode & 0777;
	item->file.size = ds.shm_segsz;
	item->inode = (uint64_t)id;
	item->segment = true;
	if (view->world->untouched != 0) {
		make_up(view, item);
		view->count++;
		return;
	}
	/* Attached from one system call of the process being stepped to the next: it may see an
	 * attach count that is one too high. Nothing in the library decides by it. */
	item->map = shmat(id, NULL, SHM_RDONLY);
	if (item->map == (void *)-1)
		item->map = NULL;
	else
		view->count++;
}

void kill_view_rescan(struct kill_view *view)
{
	int ids[WORLD_ITEMS];

	for (int i = 0; i < view->count; i++)
		drop_item(&view->items[i]);
	view->count = 0;
	harness_names(view->world->dir, see_file, view);

	int n = harness_sysv_ids(view->world->key, ids, WORLD_ITEMS);

	for (int i = 0; i < n; i++)
		see_segment(view, ids[i]);
}

struct kill_view *kill_view_open(const struct kill_world *world)
{
	struct kill_view *view = must_alloc(sizeof(*view));

	view->world = world;
	kill_view_rescan(view);
	return view;
}

void kill_view_close(struct kill_view *view)
{
	if (view == NULL)
		return;
	for (int i = 0; i < view->count; i++)
		drop_item(&view->items[i]);
	free(view);
}

bool kill_view_matches(struct kill_view *view, const struct kill_image *image)
{
	if (image == NULL || image->count != view->count)
		return false;
	for (int i = 0; i < view->count; i++)
		if (!same_item(&view->items[i].file, &image->items[i]))
			return false;
	for (int i = 0; i < view->count; i++) {
		const struct kill_item *old = &image->items[i];

		if (old->size != 0 && memcmp(view->items[i].map, old->data, old->size) != 0)
			return false;
	}
	return true;
}

struct kill_image *kill_view_copy(struct kill_view *view)
{
	struct kill_image *image = must_alloc(sizeof(*image));

	image->count = view->count;
	for (int i = 0; i < view->count; i++) {
		struct kill_item *item = &image->items[i];

		*item = view->items[i].file;
		item->data = must_alloc(item->size);
		if (item->size != 0)
			memcpy(item->data, view->items[i].map, item->size);
	}
	kill_image_hash(image);
	return image;
}
