/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - the picture of the host, and removal by it, with each call of plat failing in turn. See
 * fault.h.
 *
 * Of a removal that fails the thing is there, whole: under its name, or, where the failure was to
 * give that back, under a passing one, which the next gc takes. What is beside it is never touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "fault.h"

enum { SIZE = 8192, FILL = 0x5a };

static struct tarn_host *const untouched = (struct tarn_host *)(uintptr_t)16;
static struct tarn_host *host;

static const char *path_of(const char *tail)
{
	static char path[2][120];
	static unsigned turn;

	snprintf(path[++turn % 2], sizeof(path[0]), "/dev/shm/%s%s", harness_prefix(), tail);
	return path[turn % 2];
}

static bool whole(const char *path)
{
	unsigned char bytes[SIZE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, bytes, SIZE, 0);

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] != FILL)
			return false;
	return n == SIZE;
}

static void make_file(const char *path)
{
	unsigned char bytes[SIZE];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(bytes, FILL, SIZE);
	if (fd < 0 || write(fd, bytes, SIZE) != SIZE)
		abort();
	close(fd);
}

/* --- the picture ----------------------------------------------------------------------------- */

static int see(const struct tarn_host_segment *segment, void *arg)
{
	(void)arg;
	return segment->addr == NULL || segment->state == 0 ? FAULT_BROKEN : 0;
}

static int scan(struct harness_report *report)
{
	const struct tarn_host_opts opts = { .pid = (int32_t)getpid(), .flags = TARN_HOST_USAGE };
	struct tarn_host *got = untouched;
	int r = tarn_host_scan(&opts, &got);

	if (r < 0 && got != untouched)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	if (r < 0)
		return r;
	tarn__plat_fault = NULL;
	if (tarn_host_segments(got, see, NULL) != 0)
		r = harness_say(report, FAULT_BROKEN, "a segment without address or state");
	tarn_host_free(got);
	return r;
}

static int names(struct harness_report *report)
{
	make_file(path_of("beside"));
	return harness_say(report, 0, "made");
}

/* --- removal --------------------------------------------------------------------------------- */

static const struct tarn_host_segment *picture_of(const char *addr)
{
	const struct tarn_host_segment *segment = NULL;

	if (tarn_host_scan(NULL, &host) < 0 || tarn_host_find(host, addr, &segment, NULL) < 0)
		abort();
	return segment;
}

static void passing_name(const char *name, void *arg)
{
	if (strncmp(name, ".tarn-gc.", 9) == 0)
		snprintf(arg, 300, "/dev/shm/%s", name);
}

/* What is true whatever failed. */
static int settle(struct harness_report *report, int r, const struct tarn_diag *diag, bool named)
{
	char passing[300] = "";

	harness_names("/dev/shm", passing_name, passing);
	if (!whole(path_of("beside")))
		return harness_say(report, FAULT_BROKEN, "another file was changed");
	if (r != 0 && diag->what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "result %d without a word", r);
	if (r < 0 && r != -ENOENT && !named && !whole(passing))
		return harness_say(report, FAULT_BROKEN, "result %d, and it is gone", r);
	if (r >= 0 && named)
		return harness_say(report, FAULT_BROKEN, "result %d, and it is there", r);
	return r > 0 ? -EBUSY : r; /* removed, as told, with somebody else */
}

static int reclaim_file(struct harness_report *report)
{
	int (*armed)(enum tarn_plat_call) = tarn__plat_fault;
	struct tarn_diag diag = { .what = "" };
	const struct tarn_host_segment *segment;
	char addr[120];
	int r;

	tarn__plat_fault = NULL;
	make_file(path_of("target"));
	snprintf(addr, sizeof(addr), "shm:%starget", harness_prefix());
	segment = picture_of(addr);
	tarn__plat_fault = armed;
	r = tarn_host_reclaim(host, segment, 1, 0, &diag);
	tarn__plat_fault = NULL;
	r = settle(report, r, &diag, whole(path_of("target")));
	tarn_host_free(host);
	unlink(path_of("target"));
	return r;
}

static void make_orphan(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int id = shmget(fault_key(), SIZE, IPC_CREAT | 0600);
		void *at = shmat(id, NULL, 0);

		_exit(at == (void *)-1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		abort();
}

static int reclaim_sysv(struct harness_report *report)
{
	int (*armed)(enum tarn_plat_call) = tarn__plat_fault;
	struct tarn_diag diag = { .what = "" };
	const struct tarn_host_segment *segment;
	char addr[40];
	int id, r;

	tarn__plat_fault = NULL;
	make_orphan();
	snprintf(addr, sizeof(addr), "sysv:0x%x", (unsigned)fault_key());
	segment = picture_of(addr);
	tarn__plat_fault = armed;
	r = tarn_host_reclaim(host, segment, 0, 0, &diag);
	tarn__plat_fault = NULL;
	id = shmget(fault_key(), 0, 0);
	/* a call that is told that it is gone cannot know better */
	if (r != -ENOENT)
		r = settle(report, r, &diag, id >= 0);
	tarn_host_free(host);
	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	return r;
}

static int count(const struct tarn_leftover *leftover, void *arg)
{
	(void)leftover;
	++*(int *)arg;
	return 0;
}

static int leftovers(struct harness_report *report)
{
	int (*armed)(enum tarn_plat_call) = tarn__plat_fault;
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char passing[200];
	int r, found = 0;
	bool there;

	tarn__plat_fault = NULL;
	make_file(path_of("target"));
	snprintf(passing, sizeof(passing), "/dev/shm/.tarn-gc.00000000.%starget", harness_prefix());
	if (rename(path_of("target"), passing) < 0 || utimensat(AT_FDCWD, passing, old, 0) < 0)
		abort();
	tarn__plat_fault = armed;
	r = tarn_leftovers(TARN_LEFTOVER_REMOVE, count, &found);
	tarn__plat_fault = NULL;
	there = whole(passing) || whole(path_of("target"));
	if (!whole(path_of("beside")))
		r = harness_say(report, FAULT_BROKEN, "another file was changed");
	else if (there != (found == 0))
		r = harness_say(report, FAULT_BROKEN, "told %d times, and it is%s there", found,
				there ? "" : " not");
	unlink(passing);
	unlink(path_of("target"));
	return r;
}

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "scan", .setup = names, .run = scan },
	{ .name = "reclaim_file", .setup = names, .run = reclaim_file },
	{ .name = "reclaim_sysv", .setup = names, .run = reclaim_sysv },
	{ .name = "leftovers", .setup = names, .run = leftovers },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
