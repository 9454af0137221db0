/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fault sweep itself: a toy that makes a file, maps it, and gives it a name is clean, and
 * each way to get its error paths wrong is found. Prints TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

enum { TOY_SIZE = 4096 };

/* Ways to be wrong. */
enum wrong {
	RIGHT,
	LEAKS_FD,     /* the descriptor, where mapping fails */
	LEAKS_MAP,    /* the mapping, where naming fails */
	LEAKS_NAME,   /* the name, where the last step fails */
	LEAKS_HEAP,   /* the handle, where anything fails */
	TOUCHES,      /* the output is set before all has gone well */
	CRASHES,      /* the result of mmap is used unseen */
	SWALLOWS,     /* an error is taken for success */
	STAYS_BROKEN, /* one failure, and it never works again */
	HANGS,        /* tries again for ever */
};

static enum wrong wrong;
static void *handle;
static void *map;
static int fd = -1;

static const char *toy_path(void)
{
	static char path[80];

	snprintf(path, sizeof(path), "/dev/shm/%stoy", harness_prefix());
	return path;
}

/* The last step: with the name given, the file's mode. */
static int toy_name(int file)
{
	int r = tarn__plat_link(file, toy_path());

	if (r < 0)
		return r;
	r = tarn__plat_fchmod(file, 0640);
	if (r < 0 && wrong != LEAKS_NAME)
		unlink(toy_path());
	return r;
}

static int toy_map(int file, void **ret)
{
	void *p = NULL;
	int r;

	do {
		r = tarn__plat_mmap(NULL, TOY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0,
				    &p);
	} while (r < 0 && wrong == HANGS);
	if (wrong == CRASHES)
		*(char *)p = 1;
	if (r == 0)
		*ret = p;
	return wrong == SWALLOWS && r == -ENOMEM ? 0 : r;
}

static int toy_make(void **ret_handle)
{
	static bool broken;
	void *mine = malloc(64);
	void *p = NULL;
	int r, file;

	if (mine == NULL || broken)
		return -ENOMEM;
	file = r = tarn__plat_open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
	if (r < 0)
		goto out;
	r = tarn__plat_fallocate(file, 0, TOY_SIZE);
	if (r == 0)
		r = toy_map(file, &p);
	if (r < 0)
		goto out_close;
	if (wrong == TOUCHES)
		*ret_handle = mine;
	r = toy_name(file);
	if (r < 0)
		goto out_unmap;
	fd = file;
	map = p;
	*ret_handle = mine;
	return 0;
out_unmap:
	if (wrong != LEAKS_MAP)
		tarn__plat_munmap(p, TOY_SIZE);
out_close:
	if (wrong != LEAKS_FD)
		tarn__plat_close(file);
	broken = wrong == STAYS_BROKEN;
out:
	if (wrong != LEAKS_HEAP)
		free(mine);
	return r;
}

static int toy_run(struct harness_report *report)
{
	static char mark;

	handle = &mark;

	int r = toy_make(&handle);

	if (r < 0 && handle != &mark)
		return harness_say(report, FAULT_BROKEN, "the output was touched");
	if (r == 0 && map == NULL)
		return harness_say(report, FAULT_BROKEN, "success without a mapping");
	return r;
}

static void toy_undo(void)
{
	tarn__plat_munmap(map, TOY_SIZE);
	tarn__plat_close(fd);
	unlink(toy_path());
	free(handle);
	map = NULL;
}

static const struct {
	const char *fact;
	enum wrong wrong;
} rows[] = {
	{ "the_right_toy_is_clean", RIGHT },
	{ "a_leaked_descriptor_is_found", LEAKS_FD },
	{ "a_leaked_mapping_is_found", LEAKS_MAP },
	{ "a_leaked_name_is_found", LEAKS_NAME },
	{ "leaked_heap_is_found", LEAKS_HEAP },
	{ "an_output_touched_on_failure_is_found", TOUCHES },
	{ "a_crash_is_found", CRASHES },
	{ "a_swallowed_error_is_found", SWALLOWS },
	{ "what_cannot_be_tried_again_is_found", STAYS_BROKEN },
	{ "a_hang_is_found", HANGS },
};

int main(int argc, char **argv)
{
	const int count = (int)(sizeof(rows) / sizeof(rows[0]));
	const struct fault_case toy = { .name = "toy", .run = toy_run, .undo = toy_undo };
	int failed = 0;

	(void)argc;
	fault_begin(argv);
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		struct fault_total t = { 0 };

		wrong = rows[i].wrong;
		fault_seconds = wrong == HANGS ? 1 : 20;
		fault_sweep(&toy, wrong != RIGHT, &t);

		bool ok = (t.violations == 0) == (wrong == RIGHT) && t.faults > 0;

		failed += !ok;
		printf("%sok %d - %s # %llu faults\n", ok ? "" : "not ", i + 1, rows[i].fact,
		       (unsigned long long)t.faults);
		fflush(stdout);
	}
	return failed != 0;
}
