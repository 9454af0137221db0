/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.c - many segments and many processes, for the listing of them all.
 *
 *     crowd PREFIX SEGMENTS PROCESSES [BYTES]
 *
 * makes POSIX objects /PREFIX0 ... and lets process i map object i modulo SEGMENTS. Prints "ready"
 * and how many have, once all have; ends, with all it made, when standard input
 * ends; if it is killed its children go with it, and the names stay.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounded.h"

static void name_of(char *buf, size_t size, const char *prefix, long i)
{
	snprintf(buf, size, "/%s%ld", prefix, i);
}

static int make(const char *prefix, long count, long bytes)
{
	char name[256];

	for (long i = 0; i < count; i++) {
		name_of(name, sizeof(name), prefix, i);

		int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

		if (fd < 0 || ftruncate(fd, bytes) != 0)
			return -1;
		close(fd);
	}
	return 0;
}

/* Map one object and sleep; @ready is told by one byte. */
static void child(const char *prefix, long i, long bytes, int ready)
{
	char name[256];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	name_of(name, sizeof(name), prefix, i);

	int fd = shm_open(name, O_RDWR, 0);
	char *p = fd >= 0 ? mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
			  : MAP_FAILED;

	if (p == MAP_FAILED)
		_exit(1);
	close(fd);
	p[0] = 1;
	if (write(ready, "r", 1) != 1)
		_exit(1);
	close(ready);
	for (;;)
		pause();
}

static long start(const char *prefix, long segments, long processes, long bytes)
{
	int ready[2];
	long started = 0, told = 0;
	char byte;

	if (pipe(ready) != 0)
		return -1;
	for (; started < processes; started++) {
		pid_t pid = fork();

		if (pid == 0) {
			close(ready[0]);
			child(prefix, started % segments, bytes, ready[1]);
		}
		if (pid < 0)
			break;
	}
	close(ready[1]);
	while (told < started && read(ready[0], &byte, 1) == 1)
		told++;
	return told;
}

int main(int argc, char **argv)
{
	char name[256], byte;
	long segments = argc > 2 ? strtol(argv[2], NULL, 10) : 0,
	     processes = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	long bytes = argc > 4 ? strtol(argv[4], NULL, 10) : 8192;

	be_bounded();
	if (argc < 4 || segments < 1 || bytes < 1)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	if (make(argv[1], segments, bytes) == 0) {
		printf("ready %ld\n", start(argv[1], segments, processes, bytes));
		fflush(stdout);
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	}
	for (long i = 0; i < segments; i++) {
		name_of(name, sizeof(name), argv[1], i);
		shm_unlink(name);
	}
	return 0; /* the children are killed by the kernel */
}
