/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse.c - the kernel's refusals in words, with the command that mends each. See parts.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

/* Words that do not depend on the locale, nor on a buffer that threads share. */
static const struct {
	int error;
	const char *words;
} words[] = {
	{ EPERM, "not permitted" },
	{ ENOENT, "not there" },
	{ EINTR, "interrupted" },
	{ EIO, "input/output error" },
	{ EBADF, "not an open descriptor" },
	{ EAGAIN, "not now" },
	{ ENOMEM, "out of memory or address space" },
	{ EACCES, "permission denied" },
	{ EFAULT, "no memory there" },
	{ EBUSY, "in use" },
	{ EEXIST, "exists already" },
	{ ENODEV, "cannot be mapped" },
	{ ENOTDIR, "a part of the path is no directory" },
	{ EISDIR, "a directory" },
	{ EINVAL, "not accepted by the kernel" },
	{ ENFILE, "the host has too many open files" },
	{ EMFILE, "this process has too many open files" },
	{ ETXTBSY, "a program that is running" },
	{ EFBIG, "larger than files may be" },
	{ ENOSPC, "no space left" },
	{ EROFS, "read-only file system" },
	{ ENAMETOOLONG, "a name too long" },
	{ ENOSYS, "not known to this kernel" },
	{ ELOOP, "a symbolic link" },
	{ EDQUOT, "quota used up" },
	{ EOVERFLOW, "too large for this program" },
	{ ENOTSOCK, "not a socket" },
	{ EOPNOTSUPP, "not supported there" },
	{ EPIPE, "the other end is gone" },
};

static const char *words_of(int error, char buf[24])
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].error == error)
			return words[i].words;
	snprintf(buf, 24, "error %d", error);
	return buf;
}

static void hint_no_descriptor(struct tarn_diag *diag)
{
	uint64_t limit = 0;

	if (tarn__plat_rlimit(RLIMIT_NOFILE, &limit) == 0)
		tarn__diag_hint(diag,
				"this process may have %" PRIu64
				" descriptors: close some, or raise it with ulimit -n",
				limit);
}

static void hint_no_memory(struct tarn_diag *diag)
{
	uint64_t limit = UINT64_MAX;

	if (tarn__plat_rlimit(RLIMIT_AS, &limit) == 0 && limit != UINT64_MAX)
		tarn__diag_hint(diag,
				"the address space is limited to %" PRIu64
				" KiB: raise it with ulimit -v",
				limit / 1024);
	else
		tarn__diag_hint(diag, "see vm.max_map_count and vm.overcommit_memory");
}

static void hint_read_only(struct tarn_diag *diag, const char *what)
{
	if (strncmp(what, TARN__SHM_DIR "/", strlen(TARN__SHM_DIR) + 1) == 0)
		tarn__diag_hint(diag, "mount -o remount,rw " TARN__SHM_DIR);
	else
		tarn__diag_hint(diag, "mount its file system for writing");
}

static void hint_absent(struct tarn_diag *diag, const char *what)
{
	if (strncmp(what, TARN__SHM_DIR "/", strlen(TARN__SHM_DIR) + 1) == 0)
		tarn__diag_hint(diag, "if " TARN__SHM_DIR
				      " itself is absent: mount -t tmpfs tmpfs " TARN__SHM_DIR);
}

int tarn__refused(struct tarn_diag *diag, int error, const char *doing, const char *what)
{
	char buf[24];

	if (diag == NULL)
		return error;
	tarn__diag(diag, error, "%s %.140s: %s", doing, what, words_of(-error, buf));
	switch (error) {
	case -EMFILE:
		hint_no_descriptor(diag);
		break;
	case -ENFILE:
		tarn__diag_hint(diag, "the host is out of descriptors: sysctl fs.file-max");
		break;
	case -ENOMEM:
		hint_no_memory(diag);
		break;
	case -EROFS:
		hint_read_only(diag, what);
		break;
	case -ENOENT:
		hint_absent(diag, what);
		break;
	case -EACCES:
	case -EPERM:
		tarn__diag_hint(diag, "this process runs as user %u; see the owner and mode there",
				tarn__plat_euid());
		break;
	default:
		break;
	}
	return error;
}
