/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section - the race of race.c, mended with a section, while processes are killed in the middle.
 *
 *     section [TIMES [KILLS]]     each of two processes adds 1 that often; 1000000 and 50
 *
 * prints, with another number of those that were inside:
 *
 *     50 kills, 11 of them inside
 *     Expected final value: 2000000
 *     Final counter value: 2000000
 *     Lost updates: 0
 *
 * Each process counts in a share of its own, too, in the same section. So whoever is started in
 * place of a dead one goes on exactly where that one was: no update is lost, and none made twice.
 * What a process that is killed inside has changed is undone before the next one enters.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

struct books {
	uint64_t total;
	uint64_t share[2];
};

static struct tarn_section *lock;
static struct books *books;

/* Add until this one's share is @times. It is looked at inside: before that it may still show
 * what a dead predecessor had begun. */
static int work(int who, uint64_t times)
{
	struct tarn_tx *tx;

	while (tarn_section_enter(lock, TARN_FOREVER, &tx, NULL) == 0) {
		uint64_t share = books->share[who];

		if (share < times) {
			tarn_tx_set64(tx, &books->total, books->total + 1);
			tarn_tx_set64(tx, &books->share[who], share + 1);
		}
		if (tarn_section_leave(lock) < 0)
			return 1;
		if (share == times)
			return 0;
	}
	return 1;
}

static pid_t start(int who, uint64_t times)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(work(who, times));
	return pid;
}

int main(int argc, char **argv)
{
	uint64_t times = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	int kills = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 50, status, failed = 0;
	struct tarn_region *region = NULL;
	struct tarn_section_stat stat;
	void *data;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_section_open(region, NULL, &(struct tarn_section_opts){ 0 }, &lock) < 0 ||
	    tarn_object_create(region, "books", sizeof(*books), &data, NULL) < 0)
		return 1;
	books = data;
	pid_t pids[2] = { start(0, times), start(1, times) };

	for (int n = 0; n < kills; n++) {
		pid_t *victim = &pids[n % 2];

		nanosleep(&(struct timespec){ .tv_nsec = rand() % 500000 }, NULL);
		if (*victim < 0 || kill(*victim, SIGKILL) < 0 || waitpid(*victim, &status, 0) < 0)
			return 1;
		*victim = start(n % 2, times);
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	if (tarn_section_stat(lock, &stat) < 0)
		return 1;
	printf("%d kills, %u of them inside\n", kills, stat.recover_count);
	printf("Expected final value: %llu\n", (unsigned long long)(2 * times));
	printf("Final counter value: %llu\n", (unsigned long long)books->total);
	printf("Lost updates: %lld\n", (long long)(2 * times - books->total));
	return failed || books->total != 2 * times;
}
