/* SPDX-License-Identifier: BSD-2-Clause */
/* holdings.c - what this process and the host hold, counted. See harness.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static void note(struct harness_holdings *h, const char *what)
{
	size_t used = strlen(h->detail);

	snprintf(h->detail + used, sizeof(h->detail) - used, " %s", what);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the directory itself */
}

void __asan_init(void) __attribute__((weak));

bool harness_sanitized(void)
{
	return __asan_init != NULL;
}

/* Shared mappings, and reservations of address space (PROT_NONE), but no private heap: the
 * allocator's own mappings come and go. (That of ASan reserves address space too.) */
static void count_maps(struct harness_holdings *h)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		char *perms = strchr(line, ' ');

		if (perms == NULL)
			continue;
		if (perms[4] != 's' && (harness_sanitized() || strncmp(perms + 1, "---p", 4) != 0))
			continue;

		char *name = strchr(line, '/');

		/* the loader's own gaps between the segments of a library */
		if (perms[4] != 's' && name != NULL)
			continue;
		h->map_count++;
		if (name != NULL) {
			name[strcspn(name, "\n")] = '\0';
			note(h, name);
		}
	}
	fclose(f);
}

static void count_locked(struct harness_holdings *h)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmLck:", 6) == 0)
			h->locked_kib = strtoull(line + 6, NULL, 10);
	fclose(f);
}

static void count_name(const char *name, void *arg)
{
	struct harness_holdings *h = arg;

	h->name_count++;
	note(h, name);
}

void harness_holdings(int32_t key, struct harness_holdings *ret)
{
	int ids[256];

	memset(ret, 0, sizeof(*ret));
	ret->fd_count = count_fds();
	count_maps(ret);
	count_locked(ret);
	harness_names("/dev/shm", count_name, ret);
	ret->sysv_count = harness_sysv_ids(key, ids, 256);
}

const char *harness_leaked(const struct harness_holdings *before,
			   const struct harness_holdings *after, char *buf, size_t size)
{
	buf[0] = '\0';
	if (after->fd_count > before->fd_count)
		snprintf(buf, size, "%d descriptors leaked", after->fd_count - before->fd_count);
	else if (after->map_count > before->map_count)
		snprintf(buf, size, "%d mappings leaked:%s", after->map_count - before->map_count,
			 after->detail);
	else if (after->name_count > before->name_count)
		snprintf(buf, size, "%d names leaked:%s", after->name_count - before->name_count,
			 after->detail);
	else if (after->sysv_count > before->sysv_count)
		snprintf(buf, size, "%d System V segments leaked",
			 after->sysv_count - before->sysv_count);
	else if (after->locked_kib > before->locked_kib)
		snprintf(buf, size, "%llu KiB stay locked",
			 (unsigned long long)(after->locked_kib - before->locked_kib));
	return buf;
}
