/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prims.c - a region with a primitive of each kind, and processes that have them or wait for them.
 *
 *     prims REGION ACTION...
 *
 * makes or opens them, then does one action after another; each waits as long as need be:
 *
 *     lock read write permit spin once seq barrier   have mutex "m", rwlock "w" to read or to
 *                write, a permit of the two of "s", spin lock "p", once "o", sequence lock "q"; be
 *                at barrier "b", of three
 *     go         tell that it is here: print the pid
 *     when NAME  wait until the file NAME is there
 *     toggle     give "w", "s" and "p" back and take them again, for ever
 *     stay, die  until killed; be killed
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "bounded.h"

static struct tarn_region *region;
static struct tarn_mutex *m;
static struct tarn_rwlock *w;
static struct tarn_sem *s;
static struct tarn_spin *p;
static struct tarn_once *o;
static struct tarn_seqlock *q;
static struct tarn_barrier *b;

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

static int open_all(const char *name)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE };
	const struct tarn_sem_opts owned = { .value = 2, .flags = TARN_SEM_OWNED };

	return tarn_region_open(name, &opts, &region) < 0 ||
	       tarn_mutex_open(region, "m", &(struct tarn_mutex_opts){ 0 }, &m) < 0 ||
	       tarn_rwlock_open(region, "w", &(struct tarn_rwlock_opts){ 0 }, &w) < 0 ||
	       tarn_sem_open(region, "s", &owned, &s) < 0 ||
	       tarn_spin_open(region, "p", &(struct tarn_spin_opts){ 0 }, &p) < 0 ||
	       tarn_once_open(region, "o", &(struct tarn_once_opts){ 0 }, &o) < 0 ||
	       tarn_seqlock_open(region, "q", &(struct tarn_seqlock_opts){ 0 }, &q) < 0 ||
	       tarn_barrier_open(region, "b", &(struct tarn_barrier_opts){ .count = 3 }, &b) < 0;
}

static int toggle(void)
{
	int r = 0;

	while (r == 0) {
		r = tarn_rwlock_unlock(w) + tarn_sem_post(s) + tarn_spin_unlock(p);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		if (r == 0)
			r = tarn_rwlock_read(w, TARN_FOREVER, NULL) +
			    tarn_sem_wait(s, TARN_FOREVER, NULL) +
			    tarn_spin_lock(p, TARN_FOREVER, NULL);
		nap();
	}
	return r;
}

static int take(const char *what)
{
	if (strcmp(what, "lock") == 0)
		return tarn_mutex_lock(m, TARN_FOREVER, NULL);
	if (strcmp(what, "read") == 0)
		return tarn_rwlock_read(w, TARN_FOREVER, NULL);
	if (strcmp(what, "write") == 0)
		return tarn_rwlock_write(w, TARN_FOREVER, NULL);
	if (strcmp(what, "permit") == 0)
		return tarn_sem_wait(s, TARN_FOREVER, NULL);
	if (strcmp(what, "spin") == 0)
		return tarn_spin_lock(p, TARN_FOREVER, NULL);
	if (strcmp(what, "once") == 0)
		return tarn_once_begin(o, TARN_FOREVER, NULL) < 0;
	if (strcmp(what, "seq") == 0)
		return tarn_seqlock_lock(q, TARN_FOREVER, NULL);
	if (strcmp(what, "barrier") == 0)
		return tarn_barrier_wait(b, TARN_FOREVER, NULL) < 0;
	return -1;
}

int main(int argc, char **argv)
{
	int r;

	be_bounded();
	r = argc < 2 ? -1 : open_all(argv[1]);

	for (int i = 2; i < argc && r == 0; i++) {
		if (strcmp(argv[i], "go") == 0) {
			printf("%d\n", (int)getpid());
			fflush(stdout);
		} else if (strcmp(argv[i], "when") == 0 && i + 1 < argc) {
			for (i++; access(argv[i], F_OK) != 0;)
				nap();
		} else if (strcmp(argv[i], "toggle") == 0) {
			r = toggle();
		} else if (strcmp(argv[i], "die") == 0) {
			raise(SIGKILL);
		} else if (strcmp(argv[i], "stay") == 0) {
			for (;;)
				pause();
		} else {
			r = take(argv[i]);
		}
	}
	return r != 0;
}
