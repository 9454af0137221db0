/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_path.h - the ways from one process to another: Tarn's ring, pipe, UNIX and TCP socket, and
 * POSIX message queue, all with their default sizes, as the texts use them; waiting or spinning.
 */
#ifndef BENCH_SEEDS_PATH_H
#define BENCH_SEEDS_PATH_H

#include <mqueue.h>

#include "seeds_probe.h"

struct tarn_region;
struct tarn_ring;

enum seeds_path_kind {
	SEEDS_PATH_RING,
	SEEDS_PATH_PIPE,
	SEEDS_PATH_UNIX,
	SEEDS_PATH_MQ,
	SEEDS_PATH_TCP,
	SEEDS_PATH_COUNT,
};

struct seeds_path {
	enum seeds_path_kind kind;
	int fds[2]; /* what is read from, what is written to; of a ring: the region's, and -1 */
	mqd_t queue;
	size_t piece; /* bytes of one message of a queue */
	struct tarn_region *region;
	struct tarn_ring *ring;
	unsigned char *buf; /* of the receiver, where it needs one */
	bool spins;         /* ask again and again, instead of sleeping */
	char lack[SEEDS_TEXT];
};

/* Before the fork. False: there is none here, and @ret_path->lack says why. */
bool seeds_path_open(enum seeds_path_kind kind, bool spins, struct seeds_path *ret_path);
/* After it, in each process: @sends, or receives messages of at most @size bytes. */
void seeds_path_attach(struct seeds_path *path, bool sends, size_t size);
void seeds_path_close(struct seeds_path *path);

void seeds_path_send(struct seeds_path *path, const void *data, size_t size);
/* A whole message; where it lies, until seeds_path_done(). */
const void *seeds_path_recv(struct seeds_path *path, size_t size);
void seeds_path_done(struct seeds_path *path);

#endif /* BENCH_SEEDS_PATH_H */
