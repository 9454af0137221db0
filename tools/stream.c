/* SPDX-License-Identifier: BSD-2-Clause */
/* stream.c - what send and recv have in common. See stream.h. */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <tarn/segment.h>

#include "stream.h"

#define RING_SIZE_DEFAULT (UINT64_C(4) << 20)
#define BACK_SIZE         4096u
#define REGION_SLACK      (UINT64_C(256) << 10) /* headers of both rings, and the back ring */

static const struct out_col line_cols[] = {
	{ "schema", NULL, OUT_TEXT, "of this line", false },
	{ "event", NULL, OUT_TEXT, "progress, finished or failed", false },
	{ "name", NULL, OUT_TEXT, "the region", false },
	{ "moved_bytes", NULL, OUT_SIZE, "how far the stream is", false },
	{ "total_bytes", NULL, OUT_SIZE, "how long it is, where input is a regular file", false },
	{ "elapsed_ns", NULL, OUT_COUNT, "since its first byte could move", false },
	{ "xxh3_128", NULL, OUT_TEXT, "digest of all bytes, with --verify, once finished", false },
	{ 0 },
};
static const struct out_list line_list = { "each line", line_cols };
const struct out_list *const stream_lists[] = { &line_list, NULL };

static volatile sig_atomic_t got_signal; /* style: written by a signal handler */

/* The alarm sends another EINTR in case this one came just before a call that blocks. */
static void on_signal(int number)
{
	if (number != SIGALRM)
		got_signal = number;
	alarm(1);
}

void stream_signals_watch(void)
{
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

int stream_signal(void)
{
	return got_signal;
}

uint64_t stream_random(void)
{
	uint64_t number = 0;

	while (number == 0) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			number = (uint64_t)tarn_now() ^ (uint64_t)getpid() << 40;
	}
	return number;
}

const char *stream_reason_text(uint32_t reason)
{
	switch ((enum stream_reason)reason) {
	case STREAM_OK:
		return "no reason";
	case STREAM_INTERRUPTED:
		return "it was interrupted";
	case STREAM_INPUT:
		return "it could not read its standard input";
	case STREAM_OUTPUT:
		return "it could not write its standard output";
	case STREAM_MISMATCH:
		return "the digests differ";
	case STREAM_CONFUSED:
		return "it got a record that does not fit in";
	}
	return "a reason that this version does not know";
}

/* Open ring @name if it is there, else make it with @capacity bytes. */
static int open_ring(struct stream *stream, const char *name, enum tarn_ring_role role,
		     uint64_t capacity, struct tarn_ring **ret_ring)
{
	const struct tarn_ring_opts opts = { .capacity = capacity, .diag = &stream->cli->diag };
	const struct timespec moment = { .tv_nsec = 1000000 };
	int r = -ENOENT;

	/* -EEXIST: made meanwhile, with another size; then that one is used. -ENOSPC: perhaps
	 * whoever has made the region for a smaller one is just about to make that. */
	for (int i = 0; i < 500 && (r == -ENOENT || r == -EEXIST || r == -ENOSPC); i++) {
		if (r == -ENOSPC)
			nanosleep(&moment, NULL);
		r = tarn_ring_open(stream->region, name, role, NULL, ret_ring);
		if (r == -ENOENT)
			r = tarn_ring_open(stream->region, name, role, &opts, ret_ring);
	}
	return r;
}

static int busy(struct stream *stream, enum tarn_ring_role role)
{
	const char *what = role == TARN_RING_PRODUCER ? "sender" : "receiver";

	cli_error(stream->cli, "%s: another %s is at work", stream->name, what);
	cli_hint("tarn info %s shows who; or use another name", stream->name);
	return CLI_FAILURE;
}

static int take_roles(struct stream *stream, enum tarn_ring_role role, uint64_t capacity)
{
	bool sending = role == TARN_RING_PRODUCER;
	int r = open_ring(stream, "stream", role, capacity, &stream->data);

	if (r == 0)
		r = open_ring(stream, "stream.back",
			      sending ? TARN_RING_CONSUMER : TARN_RING_PRODUCER, BACK_SIZE,
			      &stream->back);
	if (r == -EBUSY)
		return busy(stream, role);
	if (r == -ENOSPC)
		snprintf(stream->cli->diag.hint, sizeof(stream->cli->diag.hint),
			 "take a smaller ring with --ring, or a region of its own by another name");
	if (r < 0)
		return cli_fail(stream->cli, stream->name, r);

	struct tarn_ring_stat stat;

	r = tarn_ring_stat(stream->data, &stat);
	if (r < 0)
		return cli_fail(stream->cli, stream->name, r);
	if (stat.record_size != 0 || stat.record_max < sizeof(struct stream_begin))
		return cli_error(stream->cli, "%s: ring 'stream' is not one for byte streams",
				 stream->name);
	stream->peer_before = sending ? stat.consumer : stat.producer;
	/* Of a small ring a record takes a quarter, so that both sides have work. */
	stream->chunk = STREAM_CHUNK;
	if (stream->chunk > stat.capacity / 4)
		stream->chunk = (uint32_t)(stat.capacity / 4);
	if (stream->chunk > stat.record_max - 8)
		stream->chunk = stat.record_max - 8;
	return -1;
}

/* What exists is taken as it is; else a region with room for both rings is made. */
static int open_region(struct stream *stream, const struct tarn_region_opts *opts, uint64_t size)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct tarn_region_opts make = *opts;
	int r = -ENOENT;

	make.flags |= TARN_REGION_EPHEMERAL;
	make.size = size;
	for (int lost = 0; lost < 1000; lost += r == -EEXIST) {
		r = tarn_region_open(stream->name, opts, &stream->region);
		if (r == -ENOENT)
			r = tarn_region_create(stream->name, &make, &stream->region);
		/* The other side was faster, or is just making it. */
		if ((r != -EEXIST && r != -EAGAIN) || stream_signal() != 0 ||
		    tarn_now() >= stream->deadline)
			return r;
		nanosleep(&nap, NULL);
	}
	return r;
}

int stream_open(struct stream *stream, struct cli *cli, enum tarn_ring_role role)
{
	struct tarn_region_opts opts = { 0 };
	uint64_t capacity = RING_SIZE_DEFAULT;
	int64_t timeout = -1;

	*stream = (struct stream){
		.cli = cli,
		.name = cli->argv[0],
		.role = role,
		.total = STREAM_UNKNOWN,
	};
	if (!cli_open_opts(cli, &opts) || !cli_size(cli, "ring", &capacity) ||
	    !cli_seconds(cli, "timeout", &timeout))
		return CLI_USAGE;
	if (capacity < 4096 || capacity > UINT64_C(1) << 32 || (capacity & (capacity - 1)) != 0)
		return cli_usage(cli, "--ring takes a power of two from 4K to 4G");
	if (strncmp(stream->name, "memfd:", 6) == 0 || strncmp(stream->name, "anon:", 5) == 0 ||
	    strcmp(stream->name, "sysv:private") == 0)
		return cli_usage(cli, "nobody else could find '%s'", stream->name);
	stream->deadline = timeout < 0 ? TARN_FOREVER : tarn_deadline_after(timeout);
	stream->digest = cli_given(cli, "verify");
	stream_signals_watch();

	int r = open_region(stream, &opts, capacity + REGION_SLACK);

	if (r < 0)
		return cli_fail(cli, stream->name, r);
	return take_roles(stream, role, capacity);
}

void stream_close(struct stream *stream)
{
	/* The role in "stream" keeps others out, so it goes last. */
	tarn_ring_close(stream->back);
	tarn_ring_close(stream->data);
	tarn_region_close(stream->region);
}

int stream_peer(struct stream *stream)
{
	struct tarn_ring_stat stat;
	int r = tarn_ring_stat(stream->data, &stat);

	if (r < 0)
		return r;

	enum tarn_ring_peer now =
		stream->role == TARN_RING_PRODUCER ? stat.consumer : stat.producer;
	enum tarn_ring_peer before = stream->peer_before;

	stream->peer_before = now;
	if (now == TARN_PEER_DEAD && before != TARN_PEER_DEAD)
		return -EPIPE;
	return now == TARN_PEER_ALIVE;
}

int64_t stream_slice(const struct stream *stream)
{
	int64_t slice = tarn_deadline_after(STREAM_SLICE_NS);

	return slice < stream->deadline ? slice : stream->deadline;
}

int stream_fail(struct stream *stream, const char *who, int error)
{
	struct cli *cli = stream->cli;
	bool damaged =
		error == -EFAULT || tarn_segment_damaged(tarn_region_segment(stream->region));

	if (damaged)
		cli_error(cli,
			  "%s: the shared memory was truncated by another process after %" PRIu64
			  " bytes",
			  stream->name, stream->moved);
	else if (error == -EPIPE && stream->id == 0)
		cli_error(cli, "%s: the %s died before the stream began", stream->name, who);
	else if (error == -EPIPE)
		cli_error(cli, "%s: the %s died after %" PRIu64 " bytes had moved", stream->name,
			  who, stream->moved);
	else if (error == -ETIMEDOUT)
		cli_error(cli, "%s: no %s came in the time allowed", stream->name, who);
	else
		return cli_fail(cli, stream->name, error);
	return damaged ? CLI_CORRUPT : (int)cli_exit_of(error);
}
