/* SPDX-License-Identifier: BSD-2-Clause */
/* autopsy_open.c - a region is opened to look on, or a copy of one in a file. See autopsy.h. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autopsy.h"
#include "look.h"

/* A copy that was cut off is tried with zeros behind it, up to so many bytes. */
#define WHOLE_MAX (UINT64_C(1) << 40)

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* A path of a file is one without a kind in front of it, unless a region has that name. */
static int resolve(struct autopsy *a)
{
	bool path = strchr(a->name, ':') == NULL && is_file(a->name);
	char whole[PATH_MAX];
	int n;

	if (path && strchr(a->name, '/') == NULL) {
		int r = tarn_region_open(a->name, &a->opts, &a->region);

		path = r == -ENOENT;
		a->cli->diag = (struct tarn_diag){ 0 };
		if (r == 0) {
			tarn_region_close(a->region);
			a->region = NULL;
		}
	}
	if (path && realpath(a->name, whole) == NULL)
		return -errno;
	n = snprintf(a->addr, sizeof(a->addr), "%s%s", path ? "file:" : "", path ? whole : a->name);
	return n < 0 || (size_t)n >= sizeof(a->addr) ? -ENAMETOOLONG : 0;
}

static int copy_bytes(int from, int to)
{
	static char buf[1 << 16];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		for (ssize_t done = 0; done < n;) {
			ssize_t wrote = write(to, buf + done, (size_t)(n - done));

			if (wrote < 0 && errno != EINTR)
				return -errno;
			done += wrote > 0 ? wrote : 0;
		}
	}
	return 0;
}

/* What there is of the file, in memory that nobody else has, and whose end can be moved. */
static int copy_file(struct autopsy *a)
{
	int fd = open(a->addr + strlen("file:"), O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	a->copy = memfd_create("tarn-autopsy", MFD_CLOEXEC);
	r = a->copy < 0 || fstat(fd, &st) < 0 ? -errno : copy_bytes(fd, a->copy);
	close(fd);
	if (r == 0)
		a->found = (uint64_t)st.st_size;
	return r;
}

/* The file ends before the region does: look at it as if zeros followed. 0, or why it cannot be
 * opened even so. */
static int complete(struct autopsy *a)
{
	struct tarn_region_opts opts = a->opts;
	uint64_t size;
	int r = copy_file(a);

	opts.diag = NULL; /* what was wrong with the file itself stands there */
	for (size = a->found | 4095; r == 0 && a->region == NULL && size < WHOLE_MAX;
	     size = size * 2 + 1) {
		if (ftruncate(a->copy, (off_t)size + 1) < 0)
			r = -errno;
		else if (tarn_region_open_fd(a->copy, &opts, &a->region) < 0)
			a->region = NULL;
	}
	return r < 0 ? r : a->region == NULL ? -EUCLEAN : 0;
}

static void is_copy_now(struct autopsy *a)
{
	a->cli->diag = (struct tarn_diag){ 0 };
	a->missing = a->stat.total_size > a->found ? a->stat.total_size - a->found : 0;
	/* not the larger one that was tried */
	tarn_region_close(a->region);
	a->region = NULL;
	snprintf(a->addr, sizeof(a->addr), "memfd:%d:%d", getpid(), a->copy);
}

int autopsy_open(struct autopsy *a)
{
	int r = resolve(a);

	if (r == 0)
		r = tarn_region_open(a->addr, &a->opts, &a->region);
	if (r == -EUCLEAN && strncmp(a->addr, "file:", 5) == 0 && complete(a) == 0) {
		r = tarn_region_stat(a->region, &a->stat);
		if (r == 0)
			is_copy_now(a);
		if (r == 0 && ftruncate(a->copy, (off_t)(a->found + a->missing)) < 0)
			r = -errno;
		if (r == 0)
			r = tarn_region_open(a->addr, &a->opts, &a->region);
	}
	if (r == 0)
		r = tarn_region_stat(a->region, &a->stat);
	return r < 0 ? look_fail(a->cli, a->name, r) : CLI_OK;
}

void autopsy_close(struct autopsy *a)
{
	tarn_region_close(a->region);
	told_free(&a->told);
	rows_free(a->check);
	rows_free(a->locks);
	rows_free(a->topics);
	rows_free(a->objects);
	rows_free(a->parties);
	if (a->copy >= 0)
		close(a->copy);
}
