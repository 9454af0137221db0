/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cgroup.c - the cgroups of this process that bound its memory, versions 1 and 2.
 *
 * /proc/self/cgroup says where the process is in each hierarchy, /proc/self/mountinfo where a
 * hierarchy is mounted, and from which of its cgroups on. From the process's own every cgroup up to
 * the mount is visited, since each of them has a limit of its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plat/plat.h"
#include "segment/parts.h"

/* --- where they are -------------------------------------------------------------------------- */

struct search {
	const char *controller;
	bool v2; /* which hierarchy is looked for */
	bool found_path;
	bool found_mount;
	char path[1024];  /* of this process, in the hierarchy */
	char root[1024];  /* what of the hierarchy is mounted ... */
	char mount[1024]; /* ... here */
};

/* Is @name one of comma-separated @list, of @size bytes? */
static bool has_name(const char *list, size_t size, const char *name)
{
	while (size > 0) {
		const char *comma = memchr(list, ',', size);
		size_t len = comma != NULL ? (size_t)(comma - list) : size;

		if (len == strlen(name) && memcmp(list, name, len) == 0)
			return true;
		if (comma == NULL)
			return false;
		size -= len + 1;
		list = comma + 1;
	}
	return false;
}

/* A line of /proc/self/cgroup: "4:memory:/path", or "0::/path" of version 2. */
static int match_path(char *line, void *arg)
{
	struct search *search = arg;
	char *names = strchr(line, ':');
	char *path = names != NULL ? strchr(names + 1, ':') : NULL;
	size_t size;

	if (path == NULL)
		return 0;
	size = (size_t)(path - names) - 1;
	if (search->v2 ? size != 0 : !has_name(names + 1, size, search->controller))
		return 0;
	snprintf(search->path, sizeof(search->path), "%s", path + 1);
	search->found_path = true;
	return 1;
}

/* Is @path @root, or below it? Says what follows then. */
static const char *below(const char *path, const char *root)
{
	size_t size = strlen(root);

	if (strcmp(root, "/") == 0)
		return path;
	if (strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == '\0'))
		return path + size;
	return NULL;
}

static int match_mount(char *line, void *arg)
{
	struct search *search = arg;
	const char *tail = strstr(line, search->v2 ? " - cgroup2 " : " - cgroup ");
	const char *options = tail != NULL ? strrchr(tail, ' ') + 1 : NULL;
	char root[sizeof(search->root)], mount[sizeof(search->mount)];

	if (tail == NULL ||
	    (!search->v2 && !has_name(options, strlen(options), search->controller)))
		return 0;
	if (tarn__line_field(line, 3, root, sizeof(root)) < 0 ||
	    tarn__line_field(line, 4, mount, sizeof(mount)) < 0)
		return 0;
	/* of several mounts the one that shows the most ancestors */
	if (search->found_mount &&
	    (below(search->path, root) == NULL || strlen(root) >= strlen(search->root)))
		return 0;
	memcpy(search->root, root, sizeof(root));
	memcpy(search->mount, mount, sizeof(mount));
	search->found_mount = true;
	return 0;
}

static int find(const char *root, struct search *search)
{
	char path[TARN__ROOT_MAX + 32];
	int r;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	r = tarn__each_line(path, match_path, search);
	if (r < 0 || !search->found_path)
		return r;
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	return tarn__each_line(path, match_mount, search);
}

int tarn__each_cgroup(const char *root, const char *controller, bool v2,
		      int (*fn)(const struct tarn__cgroup *cgroup, void *arg), void *arg)
{
	struct search search = { .controller = controller, .v2 = v2 };
	struct tarn__cgroup cgroup = { .v2 = v2 };
	size_t skip = strlen(root);
	const char *rest;
	char dir[TARN__ROOT_MAX + 2100];
	size_t floor;
	int r = find(root, &search);

	if (r == -EMFILE || r == -ENFILE)
		return r;
	/* without /proc or without cgroups there is no limit to be seen */
	if (!search.found_mount)
		return 0;
	/* in a container the path may be the host's, and what is mounted one's own cgroup */
	rest = below(search.path, search.root);
	if (rest == NULL || strstr(rest, "/..") != NULL)
		rest = "";
	/* a root that is mounted here stands in front of its mounts already */
	if (skip > 0 && strncmp(search.mount, root, skip) == 0 && search.mount[skip] == '/')
		skip = 0;
	floor = skip + strlen(search.mount);
	snprintf(dir, sizeof(dir), "%.*s%s%s", (int)skip, root, search.mount,
		 strcmp(rest, "/") == 0 ? "" : rest);
	cgroup.dir = dir;
	cgroup.name = dir + strlen(root);
	for (r = 0; r == 0; cgroup.up++) {
		r = fn(&cgroup, arg);
		char *slash = strrchr(dir, '/');

		if (strlen(dir) <= floor || slash == NULL || (size_t)(slash - dir) < floor)
			break;
		*slash = '\0';
	}
	return r;
}

/* --- what they allow ------------------------------------------------------------------------- */

/* Names of the files, by version of the interface. */
static const struct files {
	const char *limit;
	const char *usage;
	const char *cache; /* key in memory.stat */
} files_v1 = {
	.limit = "memory.limit_in_bytes",
	.usage = "memory.usage_in_bytes",
	.cache = "total_inactive_file ",
}, files_v2 = {
	.limit = "memory.max",
	.usage = "memory.current",
	.cache = "inactive_file ",
};

/* The largest that version 1 can say is "no limit", whatever the page size. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

static int read_at(const struct tarn__cgroup *cgroup, const char *file, uint64_t *ret_number)
{
	char path[TARN__ROOT_MAX + 2200];

	snprintf(path, sizeof(path), "%s/%s", cgroup->dir, file);
	return tarn__read_number(path, ret_number);
}

bool tarn__cgroup_memory(const struct tarn__cgroup *cgroup, struct tarn__cgroup_memory *ret_memory)
{
	const struct files *files = cgroup->v2 ? &files_v2 : &files_v1;
	struct tarn__cgroup_memory memory = { .limit_file = files->limit };
	char path[TARN__ROOT_MAX + 2200];
	uint64_t cache = 0;

	if (read_at(cgroup, files->limit, &memory.limit) < 0)
		return false;
	if (memory.limit >= V1_NO_LIMIT)
		memory.limit = UINT64_MAX;
	if (read_at(cgroup, files->usage, &memory.usage) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/memory.stat", cgroup->dir);
	(void)tarn__read_field(path, files->cache, &cache);
	memory.usage = memory.usage > cache ? memory.usage - cache : 0;
	if (!cgroup->v2 || read_at(cgroup, "memory.swap.max", &memory.swap_limit) < 0 ||
	    read_at(cgroup, "memory.swap.current", &memory.swap_usage) < 0)
		memory.swap_limit = memory.swap_usage = 0;
	*ret_memory = memory;
	return true;
}

bool tarn__cgroup_huge(const struct tarn__cgroup *cgroup, uint64_t page_size, char file[48],
		       uint64_t *ret_limit, uint64_t *ret_usage)
{
	bool gigabytes = page_size % (UINT64_C(1) << 30) == 0;
	bool megabytes = page_size % (UINT64_C(1) << 20) == 0;
	unsigned shift = gigabytes ? 30 : megabytes ? 20 : 10;
	const char *unit = gigabytes ? "GB" : megabytes ? "MB" : "KB";
	char usage[48];

	snprintf(file, 48, "hugetlb.%u%s.%s", (unsigned)(page_size >> shift), unit,
		 cgroup->v2 ? "max" : "limit_in_bytes");
	snprintf(usage, sizeof(usage), "hugetlb.%u%s.%s", (unsigned)(page_size >> shift), unit,
		 cgroup->v2 ? "current" : "usage_in_bytes");
	if (read_at(cgroup, file, ret_limit) < 0 || read_at(cgroup, usage, ret_usage) < 0)
		return false;
	if (*ret_limit >= V1_NO_LIMIT)
		*ret_limit = UINT64_MAX;
	return true;
}
