/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn recv NAME - move what a sender puts into ring "stream" of a region to standard output. The
 * records are drawn in stream.h. Output is written straight from the ring's memory.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "cli.h"
#include "cmds.h"
#include "progress.h"
#include "stream.h"

enum { BATCH = 32 };

struct receiver {
	struct stream stream;
	struct progress progress;
	XXH3_state_t *hash;
	bool hello_due;
	char digest[33];
};

/* How a stream ends, as positive numbers beside negative errnos. */
enum { GOT_BEGIN = 1, GOT_END, GOT_FAILURE, GOT_MISMATCH, GOT_CONFUSED, GOT_SIGNAL, GOT_OUTPUT };

static int tell(struct receiver *receiver, enum stream_kind kind, enum stream_reason reason)
{
	struct stream *stream = &receiver->stream;
	const struct stream_note note = {
		.word = stream_word(kind, stream->moved),
		.stream_id = stream->id,
		.reason = reason,
	};

	return tarn_ring_push(stream->back, &note, sizeof(note));
}

static void nap(void)
{
	const struct timespec time = { .tv_nsec = 10000000 };

	nanosleep(&time, NULL);
}

/* --- meeting ------------------------------------------------------------------------------- */

/* Drop what others left; what is meant for this receiver can only come after its HELLO. */
static int drain(struct receiver *receiver)
{
	const void *data;
	size_t size;
	int r;

	do {
		r = tarn_ring_peek(receiver->stream.data, &data, &size);
		if (r == 0)
			r = tarn_ring_release(receiver->stream.data, 1);
	} while (r == 0 && stream_signal() == 0);
	return r == -EUCLEAN || r == -EIO ? r : 0;
}

static int push_hello(struct receiver *receiver)
{
	struct stream *stream = &receiver->stream;
	struct stream_hello hello = {
		.word = stream_word(STREAM_HELLO, 0),
		.version = STREAM_VERSION,
		.flags = stream->digest ? STREAM_DIGEST : 0,
		.receiver_id = stream->receiver_id,
	};

	memcpy(hello.magic, STREAM_MAGIC, sizeof(hello.magic));

	int r = tarn_ring_push(stream->back, &hello, sizeof(hello));

	if (r == -EAGAIN || r == -EPIPE)
		return 0; /* full of what dead receivers said; the next sender empties it */
	receiver->hello_due = r != 0;
	return r;
}

/* Is the record BEGIN of a stream for this receiver? Then it is taken up. */
static int take_begin(struct receiver *receiver, const void *data, size_t size)
{
	struct stream *stream = &receiver->stream;
	struct stream_begin begin;

	if (size == sizeof(struct stream_note)) {
		memcpy(&begin.word, data, sizeof(begin.word));
		receiver->hello_due |= begin.word == stream_word(STREAM_NEW, 0);
	}
	if (size != sizeof(begin))
		return 0;
	memcpy(&begin, data, sizeof(begin)); /* a peer cannot change the copy */
	if (begin.word != stream_word(STREAM_BEGIN, 0) ||
	    memcmp(begin.magic, STREAM_MAGIC, sizeof(begin.magic)) != 0 ||
	    begin.receiver_id != stream->receiver_id || begin.version != STREAM_VERSION ||
	    begin.stream_id == 0)
		return 0;
	stream->id = begin.stream_id;
	stream->total = begin.total_size;
	if (stream->digest && (begin.flags & STREAM_DIGEST) == 0) {
		cli_error(stream->cli, "%s: the sender makes no digest to compare with",
			  stream->name);
		return GOT_CONFUSED;
	}
	stream->digest = (begin.flags & STREAM_DIGEST) != 0;
	return GOT_BEGIN;
}

static int meet_step(struct receiver *receiver)
{
	struct stream *stream = &receiver->stream;
	const void *data;
	size_t size;
	int r = stream_peer(stream);

	if (r < 0)
		return r;
	if (receiver->hello_due) {
		r = push_hello(receiver);
		if (r < 0)
			return r;
	}
	r = tarn_ring_wait_peer(stream->data, stream_slice(stream));
	if (r == 0)
		r = tarn_ring_peek_wait(stream->data, stream_slice(stream), &data, &size);
	if (r == -ENODATA)
		nap(); /* finished by a sender before; nothing tells when the next one comes */
	if (r == -ENODATA || r == -EPIPE || r == -ETIMEDOUT)
		return 0;
	if (r < 0)
		return r;

	int got = take_begin(receiver, data, size);

	r = tarn_ring_release(stream->data, 1);
	return r < 0 ? r : got;
}

static int meet(struct receiver *receiver)
{
	struct stream *stream = &receiver->stream;
	int r = drain(receiver);

	receiver->hello_due = true;
	while (r == 0) {
		if (stream_signal() != 0)
			return GOT_SIGNAL;
		r = meet_step(receiver);
		if (r == 0 && tarn_now() >= stream->deadline)
			return -ETIMEDOUT;
	}
	return r == GOT_BEGIN ? tell(receiver, STREAM_ACK, STREAM_OK) : r;
}

/* --- the stream ---------------------------------------------------------------------------- */

static int output_failed(struct receiver *receiver, int error)
{
	if (error == EFAULT)
		return -EFAULT;
	cli_error(receiver->stream.cli, "standard output: %s", strerror(error));
	return GOT_OUTPUT;
}

/* Write all of @parts out; 0 or GOT_*. */
static int write_parts(struct receiver *receiver, struct iovec *parts, int count)
{
	while (count > 0) {
		ssize_t n = writev(STDOUT_FILENO, parts, count);

		if (n < 0 && errno == EINTR && stream_signal() != 0)
			return GOT_SIGNAL;
		if (n < 0 && errno == EAGAIN)
			nap(); /* somebody made it non-blocking */
		else if (n < 0 && errno != EINTR)
			return output_failed(receiver, errno);
		for (size_t done = n > 0 ? (size_t)n : 0; done > 0 && count > 0;) {
			size_t part = done < parts->iov_len ? done : parts->iov_len;

			receiver->stream.moved += part;
			parts->iov_base = (char *)parts->iov_base + part;
			parts->iov_len -= part;
			done -= part;
			if (parts->iov_len == 0) {
				parts++;
				count--;
			}
		}
	}
	return 0;
}

static int take_end(struct receiver *receiver, const void *data, size_t size)
{
	struct stream *stream = &receiver->stream;
	struct stream_end end;

	if (size != sizeof(end))
		return GOT_CONFUSED;
	memcpy(&end, data, sizeof(end));
	if (end.word >> 8 != stream->moved)
		return GOT_CONFUSED;
	if (!stream->digest)
		return GOT_END;

	XXH128_hash_t digest = XXH3_128bits_digest(receiver->hash);

	snprintf(receiver->digest, sizeof(receiver->digest), "%016" PRIx64 "%016" PRIx64,
		 (uint64_t)digest.high64, (uint64_t)digest.low64);
	if ((end.flags & STREAM_DIGEST) == 0 || end.digest_high != digest.high64 ||
	    end.digest_low != digest.low64)
		return GOT_MISMATCH;
	return GOT_END;
}

/* A record that is not DATA. */
static int take_word(struct receiver *receiver, const void *data, size_t size, uint64_t word)
{
	struct stream *stream = &receiver->stream;
	struct stream_note note;

	switch ((enum stream_kind)(word & 0xff)) {
	case STREAM_END:
		return take_end(receiver, data, size);
	case STREAM_ABORT:
		if (size != sizeof(note))
			return GOT_CONFUSED;
		memcpy(&note, data, sizeof(note));
		cli_error(stream->cli, "%s: the sender gave up after %" PRIu64 " bytes: %s",
			  stream->name, (uint64_t)(word >> 8), stream_reason_text(note.reason));
		return GOT_FAILURE;
	case STREAM_NEW:
	case STREAM_BEGIN:
		cli_error(stream->cli,
			  "%s: the sender died after %" PRIu64 " bytes had moved, and "
			  "another came in its place",
			  stream->name, stream->moved);
		return GOT_FAILURE;
	default:
		return GOT_CONFUSED;
	}
}

/* The first records of @bufs that are DATA, written out together; *ret_count: how many. */
static int take_data(struct receiver *receiver, const struct tarn_buf *bufs, size_t count,
		     size_t *ret_count)
{
	struct stream *stream = &receiver->stream;
	struct iovec parts[BATCH];
	size_t taken = 0;
	uint64_t expected = stream->moved;

	/* Not more than a chunk at once, so that the sender gets room early. */
	while (taken < count && expected - stream->moved < STREAM_CHUNK) {
		uint64_t word;

		if (bufs[taken].size < 8)
			return GOT_CONFUSED;
		memcpy(&word, bufs[taken].data, sizeof(word));
		if ((word & 0xff) != STREAM_DATA)
			break;
		if (word >> 8 != expected || bufs[taken].size == 8)
			return GOT_CONFUSED;
		parts[taken].iov_base = (char *)bufs[taken].data + 8;
		parts[taken].iov_len = bufs[taken].size - 8;
		if (stream->digest)
			XXH3_128bits_update(receiver->hash, parts[taken].iov_base,
					    parts[taken].iov_len);
		expected += parts[taken].iov_len;
		taken++;
	}
	*ret_count = taken;
	return write_parts(receiver, parts, (int)taken);
}

/* Records that are there: 0 go on, else how it ended. */
static int take_records(struct receiver *receiver)
{
	struct stream *stream = &receiver->stream;
	struct tarn_buf bufs[BATCH];
	size_t count, taken = 0;
	int got = 0;
	int r = tarn_ring_peek_batch(stream->data, bufs, BATCH, &count);

	if (r < 0)
		return r;
	got = take_data(receiver, bufs, count, &taken);
	if (got == 0 && taken == 0) {
		uint64_t word;

		memcpy(&word, bufs[0].data, sizeof(word));
		got = take_word(receiver, bufs[0].data, bufs[0].size, word);
		taken = 1;
	}
	r = tarn_ring_release(stream->data, taken);
	return r < 0 ? r : got;
}

static int transfer(struct receiver *receiver)
{
	struct stream *stream = &receiver->stream;
	int r = 0;

	progress_start(&receiver->progress);
	while (r == 0) {
		const void *data;
		size_t size;

		if (stream_signal() != 0)
			return GOT_SIGNAL;
		r = take_records(receiver);
		progress_update(&receiver->progress, stream->moved, stream->total);
		if (r != -EAGAIN)
			continue;
		r = tarn_ring_peek_wait(stream->data, tarn_deadline_after(STREAM_SLICE_NS), &data,
					&size);
		if (r != -ETIMEDOUT)
			continue;
		r = stream_peer(stream);
		if (r == 0)
			return -ECONNRESET; /* it left without a word */
		r = r > 0 ? 0 : r;
	}
	return r;
}

/* --- the end ------------------------------------------------------------------------------- */

static int conclude(struct receiver *receiver, int got)
{
	struct stream *stream = &receiver->stream;
	struct cli *cli = stream->cli;

	progress_end(&receiver->progress, stream->moved, got == GOT_END,
		     stream->digest ? receiver->digest : NULL);
	switch (got) {
	case GOT_END:
		/* That the sender does not hear of it is its loss. */
		(void)!tell(receiver, STREAM_DONE, STREAM_OK);
		return CLI_OK;
	case GOT_MISMATCH:
		(void)!tell(receiver, STREAM_DONE, STREAM_MISMATCH);
		return cli_error(cli,
				 "%s: these are other bytes than were sent: the digests differ",
				 stream->name);
	case GOT_CONFUSED:
		(void)!tell(receiver, STREAM_STOP, STREAM_CONFUSED);
		cli_error(cli, "%s: a record does not fit in after %" PRIu64 " bytes", stream->name,
			  stream->moved);
		return CLI_CORRUPT;
	case GOT_OUTPUT:
		(void)!tell(receiver, STREAM_STOP, STREAM_OUTPUT);
		return CLI_FAILURE;
	case GOT_SIGNAL:
		(void)!tell(receiver, STREAM_STOP, STREAM_INTERRUPTED);
		return CLI_SIGNAL + stream_signal();
	case GOT_FAILURE:
		return CLI_FAILURE;
	case -ECONNRESET:
		return cli_error(cli, "%s: the sender left after %" PRIu64 " bytes, without an end",
				 stream->name, stream->moved);
	default:
		return stream_fail(stream, "sender", got == -ENODATA ? -EPIPE : got);
	}
}

static int recv_run(struct cli *cli)
{
	struct receiver receiver = { 0 };
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return cli_error(cli, "standard output cannot be written");

	int code = stream_open(&receiver.stream, cli, TARN_RING_CONSUMER);

	if (code >= 0) {
		stream_close(&receiver.stream);
		return code;
	}
	receiver.stream.receiver_id = stream_random();
	receiver.hash = XXH3_createState();
	if (receiver.hash == NULL)
		return cli_error(cli, "out of memory");
	XXH3_128bits_reset(receiver.hash);
	progress_init(&receiver.progress, cli, "received");

	int got = meet(&receiver);

	if (got == 0)
		got = transfer(&receiver);
	code = conclude(&receiver, got);
	XXH3_freeState(receiver.hash);
	stream_close(&receiver.stream);
	return code;
}

static const struct cli_example recv_examples[] = {
	{ "tarn recv t1 | tar -x", "take the directory that tar -c src | tarn send t1 sends" },
	{ "tarn recv t1 --verify > disk.img", "take a file and compare a digest at the end" },
	{ 0 },
};

static const struct cli_exit_note recv_exits[] = {
	{ 0, "the stream is complete and written out; with --verify the digests agree" },
	{ 1, "the sender died or gave up, the digests differ, standard output could not be "
	     "written, or another receiver is at work" },
	{ 5, "no sender came in the time allowed" },
	{ 6, "the region is damaged, or was truncated meanwhile" },
	{ 130, "ended by SIGINT; the other side knows" },
	{ 143, "ended by SIGTERM; the other side knows" },
	{ 0 },
};

const struct cli_cmd cmd_recv = {
	.name = "recv",
	.args = "NAME",
	.summary = "move what a sender sends to standard output",
	.about =
		"Moves to standard output what the process sends that runs tarn send with the same "
		"NAME. Either may start first; the first makes the region NAME, and it goes when "
		"the last of the two leaves. A region that is there already is used and stays.\n\n"
		"What an earlier sender left behind when it died is dropped: the output is one "
		"whole "
		"stream, or the command fails.\n\n"
		"If the sender dies, gives up or is replaced before the end of its stream, the "
		"command writes out what came, fails, and says how many bytes that were.",
	.operand = "region",
	.examples = recv_examples,
	.schema = "tarn.recv/1",
	.lists = stream_lists,
	.exits = recv_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_STREAM,
	.arg_min = 1,
	.arg_max = 1,
	.run = recv_run,
};
