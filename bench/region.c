/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-region - opening a region beside the bare calls without which nothing can be mapped, and
 * how soon the death of a ring's producer is told beside that of a pipe's writer.
 *
 *     bench-region [-J] [-r ROUNDS]
 *
 * By turns in each round; opening is counted by the clock, the median of 300 in a row, and a death
 * from right before kill() to the waiter's return.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "rows.h"

enum { REGION_SIZE = 8 << 20, OPENS = 300 };

enum who { BY_HAND, MEMBER, OBSERVER, RING, PIPE, WHO_COUNT };

static double values[WHO_COUNT][ROUND_MAX];
static int region_fd = -1;
/* Shared: the killer's stamp, and the victim's word that it is ready. */
static struct {
	_Atomic int64_t stamp;
	_Atomic int ready;
} * shared;

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-region: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void make_region(void)
{
	const struct tarn_region_opts opts = { .size = REGION_SIZE,
					       .flags = TARN_SEGMENT_POPULATE };
	struct tarn_region *region;

	must("tarn_region_create", tarn_region_create("memfd:bench", &opts, &region));
	region_fd = dup(tarn_segment_fd(tarn_region_segment(region)));
	must("dup", region_fd);
	tarn_region_close(region);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void open_by_hand(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) != 0)
		must(path, -errno);
	data = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		must("mmap", -errno);
	(void)atomic_load((_Atomic unsigned char *)data);
	munmap(data, REGION_SIZE);
	close(fd);
}

static void open_region(uint32_t flags)
{
	const struct tarn_region_opts opts = { .flags = flags };
	struct tarn_region *region;

	must("tarn_region_open_fd", tarn_region_open_fd(region_fd, &opts, &region));
	tarn_region_close(region);
}

static double opens(enum who who)
{
	static double ns[OPENS];
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", region_fd);
	for (int i = 0; i < OPENS; i++) {
		int64_t begin = tarn_now();

		if (who == BY_HAND)
			open_by_hand(path);
		else
			open_region(who == OBSERVER ? TARN_REGION_OBSERVE : 0);
		ns[i] = (double)(tarn_now() - begin);
	}
	qsort(ns, OPENS, sizeof(*ns), rows_order);
	return ns[OPENS / 2] / 1e3;
}

/* --- death ------------------------------------------------------------------------------------ */

static pid_t fork_victim(void (*play)(void))
{
	pid_t pid;

	atomic_store(&shared->ready, 0);
	pid = fork();
	must("fork", pid < 0 ? -errno : 0);
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	play();
	atomic_store(&shared->ready, 1);
	for (;;)
		pause();
}

/* Kill it once who waits for it must be asleep. */
static pid_t fork_killer(pid_t victim)
{
	const struct timespec a_while = { .tv_nsec = 3000000 };
	pid_t pid = fork();

	must("fork", pid < 0 ? -errno : 0);
	if (pid != 0)
		return pid;
	nanosleep(&a_while, NULL);
	atomic_store(&shared->stamp, tarn_now());
	kill(victim, SIGKILL);
	_exit(0);
}

static double took(pid_t victim, pid_t killer)
{
	double us = (double)(tarn_now() - atomic_load(&shared->stamp)) / 1e3;

	waitpid(victim, NULL, 0);
	waitpid(killer, NULL, 0);
	return us;
}

static void await_victim(void)
{
	const struct timespec moment = { .tv_nsec = 100000 };

	while (atomic_load(&shared->ready) == 0)
		nanosleep(&moment, NULL);
}

static struct tarn_ring *open_ring(enum tarn_ring_role role, struct tarn_region **ret_region)
{
	const struct tarn_ring_opts opts = { .capacity = 4096 };
	struct tarn_ring *ring;

	must("tarn_region_open_fd", tarn_region_open_fd(region_fd, NULL, ret_region));
	must("tarn_ring_open", tarn_ring_open(*ret_region, "death", role, &opts, &ring));
	return ring;
}

static void produce(void)
{
	struct tarn_region *region;

	(void)open_ring(TARN_RING_PRODUCER, &region);
}

static double ring_death(void)
{
	struct tarn_region *region;
	struct tarn_ring *ring = open_ring(TARN_RING_CONSUMER, &region);
	pid_t victim = fork_victim(produce), killer;
	char byte;
	size_t size;
	double us;

	await_victim();
	killer = fork_killer(victim);
	if (tarn_ring_pop_wait(ring, &byte, 1, TARN_FOREVER, &size) != -EPIPE)
		must("a wait for a dead producer", -EBADMSG);
	us = took(victim, killer);
	tarn_ring_close(ring);
	tarn_region_close(region);
	return us;
}

static int ends[2];

static void hold_pipe(void)
{
	close(ends[0]);
}

static double pipe_death(void)
{
	pid_t victim, killer;
	char byte;

	must("pipe", pipe(ends) != 0 ? -errno : 0);
	victim = fork_victim(hold_pipe);
	await_victim();
	close(ends[1]);
	killer = fork_killer(victim);
	if (read(ends[0], &byte, 1) != 0)
		must("a read of a dead writer's pipe", -EBADMSG);
	close(ends[0]);
	return took(victim, killer);
}

int main(int argc, char **argv)
{
	int option, rounds = 5;

	while ((option = getopt(argc, argv, "Jr:")) != -1) {
		if (option == 'J')
			rows_json = true;
		else if (option == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
		if (option == '?' || rounds < 1 || rounds > ROUND_MAX) {
			fprintf(stderr, "usage: bench-region [-J] [-r ROUNDS]\n");
			return 2;
		}
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must("mmap", shared == MAP_FAILED ? -errno : 0);
	make_region();
	for (int i = 0; i < rounds; i++) {
		for (enum who who = BY_HAND; who <= OBSERVER; who++)
			values[who][i] = opens(who);
		values[RING][i] = ring_death();
		values[PIPE][i] = pipe_death();
	}
	row("open and close", "member", "us", values[MEMBER], rounds, values[BY_HAND],
	    "open and mmap");
	row("open and close", "observer", "us", values[OBSERVER], rounds, values[BY_HAND],
	    "open and mmap");
	row("open and close", "open and mmap", "us", values[BY_HAND], rounds, NULL, NULL);
	claim("us to open a region and leave it", rows_median(values[MEMBER], NULL, rounds), 100,
	      false);
	row("peer's death seen", "ring", "us", values[RING], rounds, values[PIPE], "a pipe");
	row("peer's death seen", "pipe", "us", values[PIPE], rounds, NULL, NULL);
	return 0;
}
