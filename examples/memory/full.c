/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * full - more shared memory than there is: found out when it is made, or when it is used.
 *
 *     full
 *
 * prints, with other numbers:
 *
 *     /dev/shm has 11.9 GiB free
 *     plain: ftruncate() to 64 TiB: Success
 *     tarn: 64 TiB: No space left on device
 *       wanted: ...
 *       hint: ...
 *
 * ftruncate() gives a length, and no memory. Some write later finds none and the program dies of
 * SIGBUS, far from the cause. To compare with statvfs() first, as is usually shown, tells what was
 * free before others took it. Tarn reserves (fallocate()) before the name appears, also counting
 * the host's memory and its own cgroup's limit; what is short is an error, with the command that
 * mends it. `tarn doctor --for SIZE` asks the same from the shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <tarn/tarn.h>

#define TIB_64 ((uint64_t)1 << 46)

int main(void)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_segment_opts opts = { .size = TIB_64, .diag = &diag };
	struct tarn_segment *seg = NULL;
	struct statvfs fs;
	char name[64];

	if (statvfs("/dev/shm", &fs) < 0)
		return 1;
	printf("/dev/shm has %.1f GiB free\n",
	       (double)fs.f_bavail * (double)fs.f_frsize / (1 << 30));

	snprintf(name, sizeof(name), "/full-%ld", (long)getpid());
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return 1;
	shm_unlink(name);
	int r = ftruncate(fd, (off_t)TIB_64);

	printf("plain: ftruncate() to 64 TiB: %s\n", strerror(r < 0 ? errno : 0));
	close(fd);

	r = tarn_segment_create(name + 1, &opts, &seg);
	printf("tarn: 64 TiB: %s\n  wanted: %s\n  hint: %s\n", strerror(-r), diag.what, diag.hint);
	return r != -ENOSPC && r != -ENOMEM;
}
