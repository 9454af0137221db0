/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_move.c - bytes from one process to another: how many a second, how long 1 MB takes, and a
 * frame of a display, through each kind of IPC; and how often they are copied.
 *
 * All kinds run by turns in each round. Every message is checked whole when it is there, and the
 * check, a load from each line, is part of what is timed: with shared memory it is the first that
 * the receiver sees of the bytes.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tarn/base.h>

#include "seeds_path.h"

enum {
	BLOCK = 65536,
	MEGABYTE = 1 << 20,
	FRAME = 1920 * 1080 * 4, /* of 32 bits a pixel */
};

/* --- throughput ---------------------------------------------------------------------------- */

struct stream {
	struct seeds_path paths[SEEDS_PATH_COUNT];
	bool there[SEEDS_PATH_COUNT];
	double *rates; /* shared: of this round */
};

static const struct {
	enum seeds_path_kind kind;
	enum seeds_fig fig;
	uint64_t total; /* bytes a round */
} streams[] = {
	{ SEEDS_PATH_RING, SEEDS_FIG_STREAM_SHM, 256 << 20 },
	{ SEEDS_PATH_PIPE, SEEDS_FIG_STREAM_PIPE, 64 << 20 },
	{ SEEDS_PATH_UNIX, SEEDS_FIG_STREAM_UNIX, 64 << 20 },
	{ SEEDS_PATH_MQ, SEEDS_FIG_STREAM_MQ, 64 << 20 },
};
enum { STREAM_COUNT = sizeof(streams) / sizeof(streams[0]) };

/* The receiver starts its clock when an eighth is through. */
static double one_way(struct seeds_pair *pair, struct seeds_path *path,
		      struct seeds_message *message, uint64_t count)
{
	uint64_t warm = count / 8 + 1;
	int64_t began = 0;

	seeds_meet(pair);
	for (uint64_t i = 0; i < warm + count; i++) {
		if (pair->side == 0) {
			seeds_path_send(path, seeds_message_make(message, i), message->size);
			continue;
		}
		if (i == warm)
			began = tarn_now();
		seeds_message_check(message, seeds_path_recv(path, message->size), i);
		seeds_path_done(path);
	}
	return pair->side == 0 ? 0 : (double)(count * message->size) / (double)(tarn_now() - began);
}

/* What one processor alone copies from cache to cache. */
static double copy_rate(struct seeds_message *message)
{
	uint64_t count = (256 << 20) / message->size;
	int64_t began = tarn_now();

	for (uint64_t i = 0; i < count; i++) {
		memcpy(message->data[1], message->data[0], message->size);
		seeds_keep(message->data[1][i % message->size]);
	}
	return (double)(count * message->size) / (double)(tarn_now() - began);
}

static void put_ratio(struct seeds_run *run, enum seeds_fig fig, double of, double to)
{
	if (of > 0 && to > 0)
		seeds_put(run, fig, of / to);
}

static void put_stream_ratios(struct seeds_run *run, const double *rates)
{
	put_ratio(run, SEEDS_FIG_STREAM_SHM_TO_PIPE, rates[0], rates[1]);
	put_ratio(run, SEEDS_FIG_STREAM_SHM_TO_UNIX, rates[0], rates[2]);
	put_ratio(run, SEEDS_FIG_STREAM_SHM_TO_MQ, rates[0], rates[3]);
	put_ratio(run, SEEDS_FIG_STREAM_PIPE_TO_UNIX, rates[1], rates[2]);
	put_ratio(run, SEEDS_FIG_STREAM_UNIX_TO_MQ, rates[2], rates[3]);
}

static void stream_round(struct seeds_pair *pair, struct stream *stream,
			 struct seeds_message *message)
{
	struct seeds_run *run = pair->run;

	for (int i = 0; i < STREAM_COUNT; i++) {
		uint64_t total = run->quick ? streams[i].total / 4 : streams[i].total;

		if (!stream->there[i])
			continue;
		double rate = one_way(pair, &stream->paths[i], message, total / message->size);

		if (pair->side == 1)
			stream->rates[i] = rate;
		seeds_meet(pair);
		if (pair->side == 0)
			seeds_put(run, streams[i].fig, stream->rates[i]);
	}
	if (pair->side != 0)
		return;
	put_stream_ratios(run, stream->rates);

	struct seeds_message copied;

	seeds_message_init(&copied, BLOCK);
	seeds_put(run, SEEDS_FIG_STREAM_MEMCPY, copy_rate(&copied));
	seeds_message_free(&copied);
}

static void stream_side(struct seeds_pair *pair)
{
	struct stream *stream = pair->arg;
	struct seeds_message message;

	seeds_message_init(&message, BLOCK);
	for (int i = 0; i < STREAM_COUNT; i++)
		if (stream->there[i])
			seeds_path_attach(&stream->paths[i], pair->side == 0, BLOCK);
	for (uint32_t round = 0; round < pair->run->rounds; round++)
		stream_round(pair, stream, &message);
	seeds_message_free(&message);
}

void seeds_stream(struct seeds_run *run)
{
	struct stream stream = { .rates = seeds_map(SEEDS_PATH_COUNT * sizeof(double)) };

	for (int i = 0; i < STREAM_COUNT; i++) {
		stream.there[i] = seeds_path_open(streams[i].kind, false, &stream.paths[i]);
		if (!stream.there[i])
			seeds_lack(run, streams[i].fig, "%s", stream.paths[i].lack);
	}
	if (!stream.there[3]) {
		seeds_lack(run, SEEDS_FIG_STREAM_SHM_TO_MQ, "%s", stream.paths[3].lack);
		seeds_lack(run, SEEDS_FIG_STREAM_UNIX_TO_MQ, "%s", stream.paths[3].lack);
	}
	seeds_pair(run, stream_side, &stream);
}

/* --- 1 MB ---------------------------------------------------------------------------------- */

struct megabyte {
	struct seeds_path paths[SEEDS_PATH_COUNT];
	bool there[SEEDS_PATH_COUNT];
	unsigned char *shared; /* MEGABYTE */
	uint64_t number;       /* of the last message */
};

/* The other side has said that it has message @number. */
static void acknowledge(struct seeds_pair *pair, uint64_t number)
{
	atomic_store_explicit(&pair->shm->word[1][0], number, memory_order_release);
}

static void await_acknowledgement(struct seeds_pair *pair, uint64_t number)
{
	seeds_until(&pair->shm->word[1][0], number);
}

/* One message by the shared bytes: @copies it there, or it is there but for its ends. */
static void by_memory(struct seeds_pair *pair, struct megabyte *mb, struct seeds_message *message,
		      bool copies)
{
	_Atomic uint64_t *flag = &pair->shm->word[0][0];
	uint64_t number = mb->number, last = ~number;

	if (pair->side == 0) {
		if (copies)
			memcpy(mb->shared, seeds_message_make(message, number), MEGABYTE);
		memcpy(mb->shared, &number, 8);
		memcpy(mb->shared + MEGABYTE - 8, &last, 8);
		atomic_store_explicit(flag, number, memory_order_release);
		await_acknowledgement(pair, number);
		return;
	}
	seeds_until(flag, number);
	if (copies) {
		seeds_message_check(message, mb->shared, number);
	} else if (memcmp(mb->shared, &number, 8) != 0 ||
		   memcmp(mb->shared + MEGABYTE - 8, &last, 8) != 0) {
		seeds_die("what arrived is not what was sent", 0);
	}
	acknowledge(pair, number);
}

static void by_path(struct seeds_pair *pair, struct megabyte *mb, struct seeds_path *path,
		    struct seeds_message *message)
{
	if (pair->side == 0) {
		seeds_path_send(path, seeds_message_make(message, mb->number), MEGABYTE);
		await_acknowledgement(pair, mb->number);
		return;
	}
	seeds_message_check(message, seeds_path_recv(path, MEGABYTE), mb->number);
	seeds_path_done(path);
	acknowledge(pair, mb->number);
}

/* @way: a path, or -1 copied to shared memory, -2 in place. Mean ns of @count; at least 2 differ in
 * parity, so that what an earlier one left is not taken for the new one. */
static double megabytes(struct seeds_pair *pair, struct megabyte *mb, struct seeds_message *message,
			int way, uint32_t count)
{
	int64_t began = 0;

	for (uint32_t i = 0; i <= count; i++) {
		if (i == 1) /* the first warms up */
			began = tarn_now();
		mb->number++;
		if (way >= 0)
			by_path(pair, mb, &mb->paths[way], message);
		else
			by_memory(pair, mb, message, way == -1);
	}
	int64_t took = tarn_now() - began;

	seeds_meet(pair);
	return (double)took / count;
}

static void megabyte_round(struct seeds_pair *pair, struct megabyte *mb,
			   struct seeds_message *message)
{
	static const struct {
		int way;
		enum seeds_fig fig;
		uint32_t count;
	} ways[] = {
		{ -1, SEEDS_FIG_MB_COPY, 40 },
		{ -2, SEEDS_FIG_MB_PLACE, 2000 },
		{ SEEDS_PATH_PIPE, SEEDS_FIG_MB_PIPE, 40 },
		{ SEEDS_PATH_MQ, SEEDS_FIG_MB_MQ, 20 },
		{ SEEDS_PATH_UNIX, SEEDS_FIG_MB_UNIX, 40 },
		{ SEEDS_PATH_TCP, SEEDS_FIG_MB_TCP, 40 },
	};
	double ns[sizeof(ways) / sizeof(ways[0])] = { 0 };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i].way >= 0 && !mb->there[ways[i].way])
			continue;
		ns[i] = megabytes(pair, mb, message, ways[i].way, ways[i].count);
		if (pair->side == 0)
			seeds_put(pair->run, ways[i].fig, ns[i]);
	}
	if (pair->side != 0)
		return;
	put_ratio(pair->run, SEEDS_FIG_MB_PIPE_TO_PLACE, ns[2], ns[1]);
	put_ratio(pair->run, SEEDS_FIG_MB_PIPE_TO_COPY, ns[2], ns[0]);
	put_ratio(pair->run, SEEDS_FIG_MB_TCP_TO_COPY, ns[5], ns[0]);
}

static void megabyte_side(struct seeds_pair *pair)
{
	struct megabyte *mb = pair->arg;
	struct seeds_message message;

	seeds_message_init(&message, MEGABYTE);
	for (int i = SEEDS_PATH_PIPE; i < SEEDS_PATH_COUNT; i++)
		if (mb->there[i])
			seeds_path_attach(&mb->paths[i], pair->side == 0, MEGABYTE);
	for (uint32_t round = 0; round < pair->run->rounds; round++)
		megabyte_round(pair, mb, &message);
	seeds_message_free(&message);
}

void seeds_megabyte(struct seeds_run *run)
{
	static const enum seeds_fig figs[SEEDS_PATH_COUNT] = {
		[SEEDS_PATH_PIPE] = SEEDS_FIG_MB_PIPE,
		[SEEDS_PATH_UNIX] = SEEDS_FIG_MB_UNIX,
		[SEEDS_PATH_MQ] = SEEDS_FIG_MB_MQ,
		[SEEDS_PATH_TCP] = SEEDS_FIG_MB_TCP,
	};
	struct megabyte mb = { .shared = seeds_map(MEGABYTE) };

	for (int i = SEEDS_PATH_PIPE; i < SEEDS_PATH_COUNT; i++) {
		mb.there[i] = seeds_path_open((enum seeds_path_kind)i, false, &mb.paths[i]);
		if (!mb.there[i])
			seeds_lack(run, figs[i], "%s", mb.paths[i].lack);
	}
	if (!mb.there[SEEDS_PATH_TCP])
		seeds_lack(run, SEEDS_FIG_MB_TCP_TO_COPY, "%s", mb.paths[SEEDS_PATH_TCP].lack);
	seeds_pair(run, megabyte_side, &mb);
}

/* --- a frame of a display ------------------------------------------------------------------ */

struct frame {
	struct seeds_path there,
		back;          /* UNIX sockets: the pixels, or what says that they are there */
	unsigned char *shared; /* FRAME */
};

/* The text's own steps: its pixels are copied to the image first, in either case. */
static void draw(struct seeds_pair *pair, struct frame *frame, struct seeds_message *pixels,
		 unsigned char *image, uint64_t number)
{
	bool shm = image == frame->shared;
	char byte = 1;

	if (pair->side == 0) {
		memcpy(image, seeds_message_make(pixels, number), FRAME);
		seeds_path_send(&frame->there, shm ? &byte : (void *)image, shm ? 1 : FRAME);
		(void)seeds_path_recv(&frame->back, 1);
		return;
	}
	const void *got = seeds_path_recv(&frame->there, shm ? 1 : FRAME);

	seeds_message_check(pixels, shm ? frame->shared : got, number);
	seeds_path_send(&frame->back, &byte, 1);
}

static double frames(struct seeds_pair *pair, struct frame *frame, struct seeds_message *pixels,
		     unsigned char *image, uint64_t *number)
{
	enum { COUNT = 4 };
	int64_t began = 0;

	for (int i = 0; i <= COUNT; i++) {
		if (i == 1)
			began = tarn_now();
		draw(pair, frame, pixels, image, ++*number);
	}
	return (double)(tarn_now() - began) / COUNT;
}

static void frame_side(struct seeds_pair *pair)
{
	struct frame *frame = pair->arg;
	struct seeds_message pixels;
	uint64_t number = 0;

	seeds_message_init(&pixels, FRAME);
	seeds_path_attach(&frame->there, pair->side == 0, FRAME);
	seeds_path_attach(&frame->back, pair->side != 0, 1);

	unsigned char *image = mmap(NULL, FRAME, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (image == MAP_FAILED)
		seeds_die("mmap", errno);
	for (uint32_t round = 0; round < pair->run->rounds; round++) {
		double socket = frames(pair, frame, &pixels, image, &number);
		double shm = frames(pair, frame, &pixels, frame->shared, &number);

		if (pair->side != 0)
			continue;
		seeds_put(pair->run, SEEDS_FIG_FRAME_SOCKET, socket);
		seeds_put(pair->run, SEEDS_FIG_FRAME_SHM, shm);
		seeds_put(pair->run, SEEDS_FIG_FRAME_RATIO, socket / shm);
	}
}

void seeds_frame(struct seeds_run *run)
{
	struct frame frame = { .shared = seeds_map(FRAME) };

	if (!seeds_path_open(SEEDS_PATH_UNIX, false, &frame.there) ||
	    !seeds_path_open(SEEDS_PATH_UNIX, false, &frame.back))
		seeds_die("socketpair", errno);
	seeds_pair(run, frame_side, &frame);
}

/* --- copies -------------------------------------------------------------------------------- */

enum { PIECE = 4096 };

/* What is sent is changed before it is received. If the old bytes arrive, they were copied when
 * they were sent; if what is received can be changed without the sender's bytes changing, they were
 * copied again when they were received. */
static unsigned copies_of(struct seeds_path *path)
{
	static char sent[PIECE];

	seeds_path_attach(path, false, PIECE);
	memset(sent, 'A', PIECE);
	seeds_path_send(path, sent, PIECE);
	memset(sent, 'B', PIECE);
	(void)seeds_path_recv(path, PIECE);
	if (path->buf[0] != 'A' && path->buf[0] != 'B')
		seeds_die("what arrived is not what was sent", 0);

	unsigned copies = path->buf[0] == 'A';

	memset(path->buf, 'C', PIECE);
	seeds_keep((uint64_t)(uintptr_t)sent);
	return copies + (sent[0] != 'C');
}

/* The same with two mappings of one memory, as two processes have them. */
static unsigned copies_of_memory(void)
{
	int fd = memfd_create("bench-seeds", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, PIECE) != 0)
		seeds_die("memfd_create", errno);
	char *sent = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *seen = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (sent == MAP_FAILED || seen == MAP_FAILED)
		seeds_die("mmap", errno);
	memset(sent, 'A', PIECE);
	memset(sent, 'B', PIECE);
	seeds_keep((uint64_t)(uintptr_t)sent);
	unsigned copies = seen[0] != 'B';

	memset(seen, 'C', PIECE);
	seeds_keep((uint64_t)(uintptr_t)seen);
	return copies + (sent[0] != 'C');
}

void seeds_copies(struct seeds_run *run)
{
	struct seeds_path path;

	if (!seeds_path_open(SEEDS_PATH_PIPE, false, &path))
		seeds_die("pipe", errno);
	seeds_put(run, SEEDS_FIG_COPIES_PIPE, copies_of(&path));
	seeds_path_close(&path);
	seeds_put(run, SEEDS_FIG_COPIES_SHM, copies_of_memory());
	if (!seeds_path_open(SEEDS_PATH_MQ, false, &path)) {
		seeds_lack(run, SEEDS_FIG_COPIES_MQ, "%s", path.lack);
		return;
	}
	seeds_put(run, SEEDS_FIG_COPIES_MQ, copies_of(&path));
	seeds_path_close(&path);
}
