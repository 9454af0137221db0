/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inside.c - a region whose sections were left in every state, for tarn info and tarn recover.
 *
 *     inside REGION        sections "list" and "tree", arena "heap" of list, 8 words "data"; a
 *                          process is killed inside list after it has changed all words
 *     inside REGION hold   makes nothing, and stays inside list until it is killed; prints its pid
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "bounded.h"

static struct tarn_region *region;
static struct tarn_section *list, *tree;
static struct tarn_arena *heap;
static uint64_t *data;

static int make(const char *name)
{
	struct tarn_arena_opts opts = { .size = 64 << 10 };
	struct tarn_tx *tx;
	tarn_ref ref;
	void *p;

	if (tarn_region_create(name, &(struct tarn_region_opts){ .size = 1 << 20 }, &region) < 0 ||
	    tarn_section_open(region, "list", &(struct tarn_section_opts){ 0 }, &list) < 0 ||
	    tarn_section_open(region, "tree", &(struct tarn_section_opts){ 0 }, &tree) < 0)
		return 1;
	opts.section = list;
	if (tarn_arena_open(region, "heap", &opts, &heap) < 0 ||
	    tarn_object_create(region, "data", 64, &p, NULL) < 0 ||
	    tarn_section_enter(list, TARN_FOREVER, &tx, NULL) < 0 ||
	    tarn_arena_alloc(heap, tx, 100, 0, 0, &ref) < 0 || tarn_section_leave(list) < 0)
		return 1;
	data = p;
	return 0;
}

static void die_inside(void)
{
	struct tarn_tx *tx;

	if (tarn_section_enter(list, TARN_FOREVER, &tx, NULL) < 0)
		_exit(1);
	for (int i = 0; i < 8; i++)
		(void)tarn_tx_set64(tx, &data[i], 0x6675006c6c00 + (uint64_t)i);
	raise(SIGKILL);
}

static int hold(const char *name)
{
	struct tarn_tx *tx;

	if (tarn_region_open(name, NULL, &region) < 0 ||
	    tarn_section_open(region, "list", NULL, &list) < 0 ||
	    tarn_section_enter(list, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	be_bounded();
	if (argc == 3 && strcmp(argv[2], "hold") == 0)
		return hold(argv[1]);
	if (argc != 2 || make(argv[1]) != 0)
		return 1;
	pid = fork();
	if (pid == 0)
		die_inside();
	return waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status);
}
