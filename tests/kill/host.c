/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - tarn_host_reclaim(), and the leftovers of one, killed at each instruction.
 *
 * The world: what is to be removed, and a file beside it that is not. Legal outcomes: it is there,
 * whole, under its name (0); it is whole under a passing name, which the next gc takes away (1, of
 * files); it is gone (the last). The other file is whole at every point.
 *
 * Who has a thing open or attached decides here, so the sweep does so with nothing; see world.h.
 *
 * The times of a file are part of the judgement, and an image does not keep them: a survivor makes
 * them those of a file that nobody has used since it was renamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "engine.h"

enum { SIZE = 8192, FILL = 0x5a };

static struct tarn_host *host;
static const struct tarn_host_segment *target;

static void path_of(const struct kill_world *world, const char *tail, char path[200])
{
	snprintf(path, 200, "%s/%s%s", world->dir, harness_prefix(), tail);
}

static int make_file(const struct kill_world *world, const char *tail)
{
	unsigned char bytes[SIZE];
	char path[200];
	int fd;

	path_of(world, tail, path);
	memset(bytes, FILL, SIZE);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, SIZE) != SIZE)
		return -errno;
	close(fd);
	return 0;
}

static bool whole(const struct kill_world *world, const char *tail)
{
	unsigned char bytes[SIZE];
	char path[200];
	ssize_t n;
	int fd;

	path_of(world, tail, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, bytes, SIZE, 0);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] != FILL)
			return false;
	return n == SIZE;
}

/* --- before ---------------------------------------------------------------------------------- */

static int make_both(struct kill_world *world, struct harness_report *report)
{
	int r = make_file(world, "target");

	if (r == 0)
		r = make_file(world, "beside");
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

/* By this process, which ends: an orphan. */
static int make_orphan(struct kill_world *world, struct harness_report *report)
{
	int id = shmget(world->key, SIZE, IPC_CREAT | IPC_EXCL | 0600);
	void *at = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (at == (void *)-1)
		return harness_say(report, -1, "setup: %s", strerror(errno));
	memset(at, FILL, SIZE);
	return make_file(world, "beside");
}

/* As a remover killed in the middle leaves it. */
static int make_passing(struct kill_world *world, struct harness_report *report)
{
	char from[200], to[200];

	if (make_both(world, report) != 0)
		return -1;
	path_of(world, "target", from);
	snprintf(to, sizeof(to), "%s/.tarn-gc.00000000.%starget", world->dir, harness_prefix());
	return rename(from, to) == 0 ? 0 : harness_say(report, -1, "rename: %s", strerror(errno));
}

static int take_picture(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	char addr[200];
	int r = tarn_host_scan(NULL, &host);

	snprintf(addr, sizeof(addr), "%s", world->addr);
	if (r == 0)
		r = tarn_host_find(host, addr, &target, &diag);
	return r == 0 ? 0 : harness_say(report, -1, "picture: %d %s", r, diag.what);
}

/* --- what is swept --------------------------------------------------------------------------- */

static int reclaim(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_host_reclaim(host, target, 1, 0, &diag);

	(void)world;
	return r == 0 ? 0 : harness_say(report, r, "reclaim: %d %s", r, diag.what);
}

static void name_is_passing(const char *name, void *arg)
{
	if (strncmp(name, ".tarn-gc.", 9) == 0)
		snprintf(arg, 200, "%s", name);
}

/* An image put back is of files just made. */
static void make_old(const struct kill_world *world)
{
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char name[200] = "", path[300];

	harness_names(world->dir, name_is_passing, name);
	snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	if (name[0] != '\0')
		(void)!utimensat(AT_FDCWD, path, old, 0);
}

static int old_first(struct kill_world *world, struct harness_report *report)
{
	(void)report;
	make_old(world);
	return 0;
}

static int leftovers(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_leftovers(TARN_LEFTOVER_REMOVE, NULL, NULL);

	(void)world;
	return r == 0 ? 0 : harness_say(report, r, "leftovers: %s", strerror(-r));
}

/* --- survivors ------------------------------------------------------------------------------- */

static int check_file(struct kill_world *world, struct harness_report *report)
{
	char name[200] = "", tail[512];
	bool named = whole(world, "target");
	char path[200];

	path_of(world, "target", path);
	if (!named && access(path, F_OK) == 0)
		return harness_say(report, KILL_VIOLATION, "its bytes have changed");
	if (!whole(world, "beside"))
		return harness_say(report, KILL_VIOLATION, "another file was changed");
	harness_names(world->dir, name_is_passing, name);
	if (named && name[0] != '\0')
		return harness_say(report, KILL_VIOLATION, "it has two names, one %s", name);
	make_old(world);
	if (leftovers(world, report) < 0)
		return KILL_VIOLATION;
	snprintf(tail, sizeof(tail), "%s/%s", world->dir, name);
	if (name[0] != '\0' && access(tail, F_OK) == 0)
		return harness_say(report, KILL_VIOLATION, "%s stays for ever", name);
	if (whole(world, "target") != named || !whole(world, "beside"))
		return harness_say(report, KILL_VIOLATION, "gc has changed what was not garbage");
	/* and it can be removed from where it is */
	if (named && (take_picture(world, report) != 0 || reclaim(world, report) != 0))
		return KILL_VIOLATION;
	return named ? 0 : name[0] != '\0' ? 1 : 2;
}

/* The same where it begins under its passing name. */
static int check_passing(struct kill_world *world, struct harness_report *report)
{
	int r = check_file(world, report);

	return r == 0  ? harness_say(report, KILL_VIOLATION, "it has its name again")
	       : r < 0 ? r
		       : r - 1;
}

static int check_sysv(struct kill_world *world, struct harness_report *report)
{
	int id = shmget(world->key, 0, 0);
	unsigned char *at = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);
	int r = id < 0 ? 1 : 0;

	if (!whole(world, "beside"))
		return harness_say(report, KILL_VIOLATION, "another file was changed");
	for (int i = 0; r == 0 && i < SIZE; i++)
		if (at[i] != FILL)
			return harness_say(report, KILL_VIOLATION, "its bytes have changed");
	if (r == 0)
		shmdt(at);
	if (r == 0 && (take_picture(world, report) != 0 || reclaim(world, report) != 0))
		return KILL_VIOLATION;
	return r;
}

static const struct kill_op ops[] = {
	{ .name = "host-reclaim-file",
	  .setup = make_both,
	  .prepare = take_picture,
	  .op = reclaim,
	  .ready = old_first,
	  .recover = leftovers,
	  .check = check_file,
	  .after = 2 },
	{ .name = "host-leftovers",
	  .setup = make_passing,
	  .prepare = old_first,
	  .op = leftovers,
	  .ready = old_first,
	  .recover = leftovers,
	  .check = check_passing,
	  .after = 1 },
	{ .name = "host-reclaim-sysv",
	  .setup = make_orphan,
	  .prepare = take_picture,
	  .op = reclaim,
	  .check = check_sysv,
	  .after = 1 },
};

static void world_of(struct kill_world *world, const struct kill_op *op)
{
	kill_world_init(world, "/dev/shm", 1);
	world->untouched = FILL;
	if (strstr(op->name, "sysv") != NULL)
		snprintf(world->addr, sizeof(world->addr), "sysv:0x%x", (unsigned)world->key);
	else
		snprintf(world->addr, sizeof(world->addr), "shm:%starget", harness_prefix());
}

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), world_of);
}
