/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cleanup - who removes shared memory when its program ends: by itself, by a signal, by kill -9?
 *
 *     cleanup plain NAME          shm_open(), with atexit() and a wait for signals
 *     cleanup tarn NAME           a region that its last member removes
 *     cleanup anon NAME           the same without a name
 *
 * each prints "ready" and waits for SIGTERM or SIGINT. Then, in /dev/shm:
 *
 *                 SIGTERM     kill -9
 *     plain       nothing     NAME, for ever
 *     tarn        nothing     NAME, until it is opened again and left, or `tarn gc --yes`
 *     anon        nothing     nothing
 *
 * No handler runs at kill -9, at a crash in the wrong place, or when the host is short of memory,
 * so cleaning up in the program can only be a courtesy. And whoever finds NAME cannot know whether
 * somebody still needs it: to unlink it and make it anew, as is often shown, takes it away from
 * a program that runs. A region knows who is alive, by locks that the kernel drops at death; so
 * what nobody alive has is provably so, and anybody may take it over or away.
 *
 * Signals are waited for, and not handled: of what cleaning up needs, little may be called in a
 * signal handler.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tarn/tarn.h>

static const char *unlink_me;

static void clean_up(void)
{
	shm_unlink(unlink_me);
}

static int wait_for_the_end(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	puts("ready");
	fflush(stdout);
	return sigwait(&set, &got);
}

static int plain(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0) {
		perror("cleanup");
		return -1;
	}
	unlink_me = name;
	if (atexit(clean_up) != 0 || ftruncate(fd, 4096) < 0)
		return -1;
	return wait_for_the_end();
}

static int region(const char *name)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts opts = {
		.flags = name != NULL ? TARN_REGION_CREATE | TARN_REGION_EPHEMERAL : 0,
		.diag = &diag,
	};
	struct tarn_region *region = NULL;
	int r = name != NULL ? tarn_region_open(name, &opts, &region)
			     : tarn_region_create("anon:", &opts, &region);

	if (r < 0) {
		fprintf(stderr, "cleanup: %s\n", diag.what);
		return r;
	}
	r = wait_for_the_end();
	tarn_region_close(region);
	return r;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "plain") == 0)
		return plain(argv[2]) != 0;
	if (argc == 3 && strcmp(argv[1], "tarn") == 0)
		return region(argv[2]) != 0;
	if (argc == 3 && strcmp(argv[1], "anon") == 0)
		return region(NULL) != 0;
	return fprintf(stderr, "usage: cleanup plain|tarn|anon NAME\n"), 2;
}
