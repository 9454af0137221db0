/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mpi_rank.c - a rank, built once with each MPI: MPI_Send and MPI_Recv, and in a fan-out MPI_Bcast.
 * bench-peers has its mpirun start it (see relay.h); by hand it is of no use.
 *
 *     bench-peer-NAME RELAY
 */
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../engine.h"
#include "relay.h"

static struct relay *map_relay(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *data;

	if (fd < 0)
		return NULL;
	data = mmap(NULL, sizeof(struct relay), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return data == MAP_FAILED ? NULL : data;
}

/* Who is told of a message: the other of two. */
BENCH_INLINE int other(const struct bench *b)
{
	return b->side == 0;
}

BENCH_INLINE void rank_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	if (b->cell->measure != BENCH_FAN_OUT)
		MPI_Send(bench_message(b, size, number), (int)size, MPI_BYTE, other(b),
			 (int)channel, MPI_COMM_WORLD);
	else if (channel == 0) /* once for all */
		MPI_Bcast(bench_message(b, size, number), (int)size, MPI_BYTE, 0, MPI_COMM_WORLD);
}

BENCH_INLINE void rank_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);

	if (b->cell->measure == BENCH_FAN_OUT)
		MPI_Bcast(to, (int)size, MPI_BYTE, 0, MPI_COMM_WORLD);
	else
		MPI_Recv(to, (int)size, MPI_BYTE, other(b), (int)channel, MPI_COMM_WORLD,
			 MPI_STATUS_IGNORE);
	bench_check(b, to, size, number);
}

BENCH_LOOPS(rank_run, rank_send, rank_recv)

static const struct bench_variant variant = { BENCH_BUSY, BENCH_ALL_OF_MESSAGES, 0, SIZE_MAX,
					      rank_run };
static const struct bench_contestant contestant = { .name = "rank", .variants = &variant };

static void play(struct relay *relay, struct bench *b)
{
	if (sched_setaffinity(0, sizeof(relay->where[0]), &relay->where[b->side]) != 0)
		bench_fail(b, "sched_setaffinity", errno);
	bench_make_buffers(b);
	MPI_Barrier(MPI_COMM_WORLD);
	if (b->side == 0)
		relay_advance(relay, RELAY_READY);
	while (!relay_await(relay, RELAY_GO, 1000000000))
		;
	rank_run(b);
	bench_meet(b); /* asleep, as MPI_Barrier() is not */
	if (b->side == 0)
		relay_advance(relay, RELAY_DONE);
	while (!relay_await(relay, RELAY_LEAVE, 1000000000))
		;
}

int main(int argc, char **argv)
{
	struct relay *relay;
	int rank, ranks;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* of mpirun's, or of its proxy's */
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	relay = argc == 2 ? map_relay(argv[1]) : NULL;
	if (relay == NULL || (unsigned)ranks != relay->sides) {
		fprintf(stderr, "%s: bench-peers starts this, with its mpirun\n", argv[0]);
		MPI_Abort(MPI_COMM_WORLD, 2);
		return 2;
	}
	struct bench_cell cell = relay->cell;
	struct bench b = {
		.shm = &relay->shm,
		.cell = &cell,
		.side = (unsigned)rank,
		.sides = relay->sides,
		.yield = relay->yield,
		.count = relay->count,
		.warm = relay->warm,
	};

	cell.contestant = &contestant;
	cell.variant = &variant;
	play(relay, &b);
	MPI_Finalize();
	return 0;
}
