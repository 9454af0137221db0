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
#define TEMP_PREFIX    ".tarn-tmp."

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "tarn.sysv.IPCNS.KEY" of this IPC namespace gives "sysv:0xKEY"; false for another's. */
static bool control_address(const char *name, char *ret_addr, size_t size)
{
	struct stat ns;
	char *end;
	uint64_t inode = strtoull(name + strlen(CONTROL_PREFIX), &end, 10);

	if (*end != '.' || stat("/proc/self/ns/ipc", &ns) != 0 || ns.st_ino != inode)
		return false;
	ret_addr[0] = '\0';
	if (strlen(end + 1) == 8 && strspn(end + 1, "0123456789abcdef") == 8)
		snprintf(ret_addr, size, "sysv:0x%s", end + 1);
	return true;
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
	if (has_prefix(name, TEMP_PREFIX))
		return SCAN_TEMP;
	fd = open(found->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;

	ssize_t n = pread(fd, magic, sizeof(magic), 0);

	close(fd);
	if (n != (ssize_t)sizeof(magic))
		return 0;
	if (has_prefix(name, CONTROL_PREFIX) && memcmp(magic, CONTROL_MAGIC, 8) == 0)
		return control_address(name, found->addr, sizeof(found->addr)) ? SCAN_CONTROL : 0;
	if (memcmp(magic, REGION_MAGIC, 8) != 0)
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

	return found->kind != SCAN_TEMP && found->addr[0] != '\0' ? call->fn(found->addr, call->arg)
								  : 0;
}

int scan_regions(int (*fn)(const char *addr, void *arg), void *arg)
{
	struct address_call call = { fn, arg };

	return scan_shm(put_address, &call, NULL);
}

/* A lease for writing is granted only while nobody else has the file open for writing. */
static bool lease_granted(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return false;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

static bool lock_free(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET }; /* to the end of all */

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

bool scan_unused(const struct scan_found *found)
{
	int fd = open(found->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool unused;

	if (fd < 0)
		return false;
	unused = found->kind == SCAN_TEMP ? lease_granted(fd) : lock_free(fd);
	close(fd);
	return unused;
}
