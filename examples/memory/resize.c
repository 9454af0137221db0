/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resize - shared memory that grows under its users, and one that is cut off under them.
 *
 *     resize
 *
 * prints
 *
 *     grown: the other process has it at the same address, and reads "behind the old end"
 *     truncated: the plain program dies of SIGBUS
 *     truncated: with tarn_segment_guard() it reads zeros, and is told
 *
 * Usually who shares memory that grew has to map it anew (munmap() and mmap(), or mremap()), and to
 * be told so. Tarn keeps address space for max_size from the beginning, so all pointers stay, and
 * nobody has to be told. To shrink a segment in use is never right: an access behind its end is
 * SIGBUS. Those who hold a memfd can seal it against that (F_SEAL_SHRINK); against other peers
 * there is a guard, which is asked for, since signal handlers belong to the program.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { PAGE = 4096 };

static struct tarn_segment *seg;

/* The end of a child that does @what. */
static int end_of(int (*what)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(what());
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static int grow(void)
{
	if (tarn_segment_grow(seg, 4 * PAGE, NULL) < 0)
		return 1;
	memcpy((char *)tarn_segment_data(seg) + 3 * PAGE, "behind the old end", 19);
	return 0;
}

static int read_last(void)
{
	signal(SIGBUS, SIG_DFL); /* in case a sanitizer has it */
	return ((const unsigned char *)tarn_segment_data(seg))[3 * PAGE];
}

static int read_last_guarded(void)
{
	if (tarn_segment_guard() < 0 || tarn_segment_damaged(seg))
		return 2;
	return ((const unsigned char *)tarn_segment_data(seg))[3 * PAGE] != 0 ||
	       !tarn_segment_damaged(seg);
}

int main(void)
{
	const struct tarn_segment_opts opts = { .size = PAGE, .max_size = 16 * PAGE };

	if (tarn_segment_create("memfd:resize", &opts, &seg) < 0)
		return 1;
	if (end_of(grow) != 0)
		return 1;
	printf("grown: the other process has it at the same address, and reads \"%.32s\"\n",
	       (const char *)tarn_segment_data(seg) + 3 * PAGE);

	if (ftruncate(tarn_segment_fd(seg), PAGE) < 0)
		return 1;
	int status = end_of(read_last);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGBUS)
		return 1;
	puts("truncated: the plain program dies of SIGBUS");
	if (end_of(read_last_guarded) != 0)
		return 1;
	puts("truncated: with tarn_segment_guard() it reads zeros, and is told");
	return 0;
}
