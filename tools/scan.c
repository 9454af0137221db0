/* SPDX-License-Identifier: BSD-2-Clause */
/* scan.c - see scan.h. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scan.h"

/* What design/format.md calls them. */
#define SHM_DIR        "/dev/shm"
#define REGION_MAGIC   "TARN\r\n\x1a\n"
#define CONTROL_MAGIC  "TARNCTL\n"
#define CONTROL_PREFIX "tarn.sysv."

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "tarn.sysv.IPCNS.KEY" of this IPC namespace gives "sysv:0xKEY". A segment without a key has
 * "pUUID" there, and its identifier in the file, at byte 16. */
static bool control_address(const char *name, int fd, char *ret_addr, size_t size)
{
	struct stat ns;
	char *end;
	int32_t id = -1;
	uint64_t inode = strtoull(name + strlen(CONTROL_PREFIX), &end, 10);

	if (*end != '.' || stat("/proc/self/ns/ipc", &ns) != 0 || ns.st_ino != inode)
		return false;
	if (strlen(end + 1) == 8 && strspn(end + 1, "0123456789abcdef") == 8)
		snprintf(ret_addr, size, "sysv:0x%s", end + 1);
	else if (pread(fd, &id, sizeof(id), 16) == (ssize_t)sizeof(id) && id >= 0)
		snprintf(ret_addr, size, "sysv:#%" PRId32, id);
	return ret_addr[0] != '\0';
}

/* What the file is: 0 nothing of Tarn's, -errno not to be read, else enum scan_kind. */
static int classify(const char *name, struct scan_found *found)
{
	char magic[8] = { 0 };
	struct stat st;
	int fd;

	snprintf(found->path, sizeof(found->path), SHM_DIR "/%s", name);
	if (lstat(found->path, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	found->uid = st.st_uid;
	found->size = (uint64_t)st.st_size;
	found->addr[0] = '\0';
	fd = open(found->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;

	ssize_t n = pread(fd, magic, sizeof(magic), 0);

	bool control = n == (ssize_t)sizeof(magic) && has_prefix(name, CONTROL_PREFIX) &&
		       memcmp(magic, CONTROL_MAGIC, 8) == 0 &&
		       control_address(name, fd, found->addr, sizeof(found->addr));

	close(fd);
	if (control)
		return SCAN_CONTROL;
	if (n != (ssize_t)sizeof(magic) || memcmp(magic, REGION_MAGIC, 8) != 0)
		return 0;
	/* A name that would be read as an address of another kind needs its own in front. */
	snprintf(found->addr, sizeof(found->addr), "%s%s", strchr(name, ':') != NULL ? "shm:" : "",
		 name);
	return SCAN_REGION;
}

int scan_shm(int (*fn)(const struct scan_found *found, void *arg), void *arg,
	     uint64_t *ret_unreadable)
{
	struct dirent **entries;
	uint64_t unreadable = 0;
	int count = scandir(SHM_DIR, &entries, NULL, alphasort);
	int r = 0;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		struct scan_found found = { 0 };
		int kind = r == 0 ? classify(entries[i]->d_name, &found) : 0;

		unreadable += kind < 0;
		if (kind > 0) {
			found.kind = (enum scan_kind)kind;
			r = fn(&found, arg);
		}
		free(entries[i]);
	}
	free(entries);
	if (ret_unreadable != NULL)
		*ret_unreadable = unreadable;
	return r;
}

struct address_call {
	int (*fn)(const char *addr, void *arg);
	void *arg;
};

static int put_address(const struct scan_found *found, void *arg)
{
	const struct address_call *call = arg;

	return call->fn(found->addr, call->arg);
}

int scan_regions(int (*fn)(const char *addr, void *arg), void *arg, uint64_t *ret_unreadable)
{
	struct address_call call = { fn, arg };

	return scan_shm(put_address, &call, ret_unreadable);
}
