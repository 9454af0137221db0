/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cross.c - two of these wait for each other for ever:
 *
 *     cross A B & cross B A &
 *
 * Each has the only permit of semaphore "permit" in the region named first, and wants that of the
 * other once it is taken. Nothing tells them: semaphores do not look for circles.
 */
#include <errno.h>
#include <time.h>

#include <tarn/tarn.h>

#include "bounded.h"

static int open_permit(const char *name, struct tarn_region **ret_region, struct tarn_sem **ret_sem)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE, .member_max = 8 };
	const struct tarn_sem_opts owned = { .value = 1, .flags = TARN_SEM_OWNED };
	int r = tarn_region_open(name, &opts, ret_region);

	return r < 0 ? r : tarn_sem_open(*ret_region, "permit", &owned, ret_sem);
}

int main(int argc, char **argv)
{
	struct tarn_region *mine, *theirs;
	struct tarn_sem *have, *want;

	be_bounded();
	if (argc != 3 || open_permit(argv[1], &mine, &have) < 0 ||
	    tarn_sem_wait(have, TARN_FOREVER, NULL) < 0 || open_permit(argv[2], &theirs, &want) < 0)
		return 1;
	while (tarn_sem_value(want) != 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return tarn_sem_wait(want, TARN_FOREVER, NULL) < 0;
}
