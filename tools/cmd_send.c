/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn send NAME - move standard input into ring "stream" of a region. The records are drawn in
 * stream.h. Input is read straight into the ring's memory.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "cli.h"
#include "cmds.h"
#include "progress.h"
#include "stream.h"

struct sender {
	struct stream stream;
	struct progress progress;
	XXH3_state_t *hash;
	bool regular;   /* standard input is a regular file: reading it does not block */
	bool new_due;   /* NEW has yet to be pushed */
	bool begin_due; /* BEGIN for receiver_id has yet to be pushed */
	char digest[33];
};

/* What came back that ends the stream, as positive numbers beside negative errnos. */
enum { GOT_ACK = 1, GOT_DONE, GOT_MISMATCH, GOT_STOP, GOT_OTHER_RECEIVER, GOT_SIGNAL, GOT_INPUT };

union back {
	uint64_t word;
	struct stream_hello hello;
	struct stream_note note;
};

/* What record @back says to this stream: GOT_*, or 0 if it is none of its business. */
static int judge(struct sender *sender, const union back *back, size_t size)
{
	struct stream *stream = &sender->stream;
	enum stream_kind kind = (enum stream_kind)(back->word & 0xff);

	if (kind == STREAM_HELLO && size == sizeof(back->hello) &&
	    memcmp(back->hello.magic, STREAM_MAGIC, 8) == 0 &&
	    back->hello.version == STREAM_VERSION) {
		if (back->hello.receiver_id == stream->receiver_id)
			return 0; /* said again */
		stream->receiver_id = back->hello.receiver_id;
		stream->digest |= (back->hello.flags & STREAM_DIGEST) != 0;
		return GOT_OTHER_RECEIVER;
	}
	if (size != sizeof(back->note) || back->note.stream_id != stream->id || stream->id == 0)
		return 0;
	if (kind == STREAM_ACK)
		return GOT_ACK;
	if (kind == STREAM_DONE)
		return back->note.reason == STREAM_OK ? GOT_DONE : GOT_MISMATCH;
	if (kind != STREAM_STOP)
		return 0;
	cli_error(stream->cli, "%s: the receiver gave up after %" PRIu64 " bytes: %s", stream->name,
		  (uint64_t)(back->word >> 8), stream_reason_text(back->note.reason));
	return GOT_STOP;
}

/* One record from the receiver, waiting until @deadline. GOT_*, 0, or what the ring says. */
static int listen_until(struct sender *sender, int64_t deadline)
{
	union back back = { 0 };
	size_t size;
	int r = tarn_ring_pop_wait(sender->stream.back, &back, sizeof(back), deadline, &size);

	return r < 0 ? r : judge(sender, &back, size);
}

/* --- meeting ------------------------------------------------------------------------------- */

static int push_new(struct sender *sender)
{
	const struct stream_note note = { .word = stream_word(STREAM_NEW, 0) };
	int r = tarn_ring_push(sender->stream.data, &note, sizeof(note));

	sender->new_due = r != 0;
	return r == -EAGAIN || r == -EPIPE ? 0 : r;
}

static int push_begin(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	struct stream_begin begin = {
		.word = stream_word(STREAM_BEGIN, 0),
		.version = STREAM_VERSION,
		.flags = stream->digest ? STREAM_DIGEST : 0,
		.stream_id = stream_random(),
		.receiver_id = stream->receiver_id,
		.total_size = stream->total,
	};

	memcpy(begin.magic, STREAM_MAGIC, sizeof(begin.magic));

	int r = tarn_ring_push(stream->data, &begin, sizeof(begin));

	if (r == -EAGAIN || r == -EPIPE)
		return 0; /* full of what the receiver still has to drop; or nobody is there */
	if (r == 0) {
		stream->id = begin.stream_id;
		sender->begin_due = false;
	}
	return r;
}

/* One step of meeting a receiver: GOT_ACK once one has taken up this stream. */
static int meet_step(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	int r = stream_peer(stream);

	if (r < 0)
		return r;
	r = sender->new_due ? push_new(sender) : 0;
	if (r == 0 && sender->begin_due && !sender->new_due)
		r = push_begin(sender);
	if (r < 0)
		return r;

	bool due = sender->new_due || sender->begin_due;
	int64_t until = due ? tarn_deadline_after(1000000) : stream_slice(stream);

	/* A dead receiver's records are read too; then this waits for one that lives. */
	r = tarn_ring_wait_peer(stream->back, until);
	if (r == 0)
		r = listen_until(sender, until);
	if (r == GOT_OTHER_RECEIVER)
		sender->begin_due = true;
	if (r == -EPIPE || r == -ETIMEDOUT)
		return 0;
	return r;
}

static int meet(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	int r = 0;

	sender->new_due = true;
	while (r == 0 || r == GOT_OTHER_RECEIVER) {
		if (stream_signal() != 0)
			return GOT_SIGNAL;
		r = meet_step(sender);
		if (r == 0 && tarn_now() >= stream->deadline)
			return -ETIMEDOUT;
	}
	return r;
}

/* --- the stream ---------------------------------------------------------------------------- */

/* Is there a reason to stop? 0, GOT_* or -EPIPE. */
static int trouble(struct sender *sender)
{
	int r;

	if (stream_signal() != 0)
		return GOT_SIGNAL;
	do
		r = listen_until(sender, 0);
	while (r == 0);
	return r == -ETIMEDOUT || r == -EAGAIN ? 0 : r;
}

/* Wait for input, with an eye on the receiver. 0 there is some (or its end), or trouble(). */
static int await_input(struct sender *sender)
{
	int r = trouble(sender);

	while (r == 0 && !sender->regular) {
		struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
		int ready = poll(&input, 1, (int)(STREAM_SLICE_NS / 1000000));

		if (ready > 0)
			return 0;
		r = trouble(sender);
		progress_update(&sender->progress, sender->stream.moved, sender->stream.total);
	}
	return r;
}

static int reserve(struct sender *sender, size_t size, void **ret_data)
{
	struct stream *stream = &sender->stream;
	int r;

	for (;;) {
		r = tarn_ring_reserve_wait(stream->data, size, tarn_deadline_after(STREAM_SLICE_NS),
					   ret_data);
		if (r != -ETIMEDOUT)
			return r;
		r = trouble(sender);
		if (r != 0)
			return r;
		progress_update(&sender->progress, stream->moved, stream->total);
	}
}

/* Move one chunk. 1 moved, 0 end of input, GOT_* + 1 or negative: the end. */
static int move_chunk(struct sender *sender, bool *ret_end)
{
	struct stream *stream = &sender->stream;
	void *room = NULL;
	int r = await_input(sender);

	if (r == 0)
		r = reserve(sender, 8 + (size_t)stream->chunk, &room);
	if (r != 0)
		return r;

	unsigned char *bytes = (unsigned char *)room + 8;
	ssize_t n = read(STDIN_FILENO, bytes, stream->chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0; /* looked at again by the next reserve; a signal by await_input() */
	if (n < 0) {
		int error = errno;

		tarn_ring_abort(stream->data);
		if (error == EFAULT)
			return -EFAULT;
		cli_error(stream->cli, "standard input: %s", strerror(error));
		return GOT_INPUT;
	}
	if (n == 0) {
		tarn_ring_abort(stream->data);
		*ret_end = true;
		return 0;
	}
	if (stream->digest)
		XXH3_128bits_update(sender->hash, bytes, (size_t)n);

	uint64_t word = stream_word(STREAM_DATA, stream->moved);

	memcpy(room, &word, sizeof(word));
	r = tarn_ring_commit(stream->data, 8 + (size_t)n);
	if (r == 0)
		stream->moved += (uint64_t)n;
	progress_update(&sender->progress, stream->moved, stream->total);
	return r;
}

static int push_end(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	struct stream_end end = { .word = stream_word(STREAM_END, stream->moved) };
	void *room;

	if (stream->digest) {
		XXH128_hash_t digest = XXH3_128bits_digest(sender->hash);

		end.flags = STREAM_DIGEST;
		end.digest_high = digest.high64;
		end.digest_low = digest.low64;
		snprintf(sender->digest, sizeof(sender->digest), "%016" PRIx64 "%016" PRIx64,
			 (uint64_t)digest.high64, (uint64_t)digest.low64);
	}

	int r = reserve(sender, sizeof(end), &room);

	if (r != 0)
		return r;
	memcpy(room, &end, sizeof(end));
	return tarn_ring_commit(stream->data, sizeof(end));
}

/* Until the receiver has written out all there is. */
static int await_done(struct sender *sender)
{
	int r;

	do {
		if (stream_signal() != 0)
			return GOT_SIGNAL;
		r = listen_until(sender, tarn_deadline_after(STREAM_SLICE_NS));
		if (r == -ETIMEDOUT && stream_peer(&sender->stream) == 0)
			return -ECONNRESET; /* it left without a word */
	} while (r == 0 || r == -ETIMEDOUT);
	return r;
}

static int transfer(struct sender *sender)
{
	bool end = false;
	int r = 0;

	progress_start(&sender->progress);
	while (r == 0 && !end)
		r = move_chunk(sender, &end);
	if (r == 0)
		r = push_end(sender);
	if (r == 0)
		r = await_done(sender);
	return r;
}

/* --- the end ------------------------------------------------------------------------------- */

static void push_abort(struct sender *sender, enum stream_reason reason)
{
	struct stream *stream = &sender->stream;
	const struct stream_note note = {
		.word = stream_word(STREAM_ABORT, stream->moved),
		.stream_id = stream->id,
		.reason = reason,
	};

	tarn_ring_abort(stream->data);
	/* If there is no room for it, the receiver sees that the role was given back. */
	(void)!tarn_ring_push(stream->data, &note, sizeof(note));
}

static int conclude(struct sender *sender, int got)
{
	struct stream *stream = &sender->stream;
	struct cli *cli = stream->cli;

	progress_end(&sender->progress, stream->moved, got == GOT_DONE,
		     stream->digest ? sender->digest : NULL);
	switch (got) {
	case GOT_DONE:
		return CLI_OK;
	case GOT_STOP:
		return CLI_FAILURE;
	case GOT_MISMATCH:
		return cli_error(cli,
				 "%s: the receiver got other bytes than were sent: the digests"
				 " differ",
				 stream->name);
	case GOT_OTHER_RECEIVER:
		push_abort(sender, STREAM_CONFUSED);
		return cli_error(cli,
				 "%s: the receiver died after %" PRIu64 " bytes had moved, and "
				 "another came in its place",
				 stream->name, stream->moved);
	case GOT_SIGNAL:
		push_abort(sender, STREAM_INTERRUPTED);
		return CLI_SIGNAL + stream_signal();
	case GOT_INPUT:
		push_abort(sender, STREAM_INPUT);
		return CLI_FAILURE;
	case -ECONNRESET:
		return cli_error(cli,
				 "%s: the receiver left before it confirmed the %" PRIu64 " bytes",
				 stream->name, stream->moved);
	default:
		return stream_fail(stream, "receiver", got);
	}
}

static int send_run(struct cli *cli)
{
	struct sender sender = { 0 };
	struct stat st;
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
		return cli_error(cli, "standard input cannot be read");

	int code = stream_open(&sender.stream, cli, TARN_RING_PRODUCER);

	if (code >= 0) {
		stream_close(&sender.stream);
		return code;
	}
	if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {
		off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);

		sender.regular = true;
		if (at >= 0 && st.st_size >= at && st.st_size > 0)
			sender.stream.total = (uint64_t)(st.st_size - at);
	}
	sender.hash = XXH3_createState();
	if (sender.hash == NULL)
		return cli_error(cli, "out of memory");
	XXH3_128bits_reset(sender.hash);
	progress_init(&sender.progress, cli, "sent");

	int got = meet(&sender);

	if (got == GOT_ACK)
		got = transfer(&sender);
	code = conclude(&sender, got);
	XXH3_freeState(sender.hash);
	stream_close(&sender.stream);
	return code;
}

static const struct cli_example send_examples[] = {
	{ "tar -c src | tarn send t1", "send a directory; tarn recv t1 | tar -x takes it" },
	{ "tarn send t1 --verify < disk.img", "send a file and compare a digest at the end" },
	{ "tarn send t1 --timeout 10 < file", "wait at most 10 seconds for a receiver" },
	{ 0 },
};

static const struct cli_exit_note send_exits[] = {
	{ 0, "the receiver wrote out every byte; with --verify the digests agree" },
	{ 1, "the receiver died or gave up, the digests differ, or another sender is at work" },
	{ 5, "no receiver came in the time allowed" },
	{ 6, "the region is damaged, or was truncated meanwhile" },
	{ 130, "ended by SIGINT; the other side knows" },
	{ 143, "ended by SIGTERM; the other side knows" },
	{ 0 },
};

const struct cli_cmd cmd_send = {
	.name = "send",
	.args = "NAME",
	.summary = "move standard input to a receiver through shared memory",
	.about = "Moves standard input to the process that runs tarn recv with the same NAME. "
		 "Either may start first; the first makes the region NAME, and it goes when the "
		 "last "
		 "of the two leaves. A region that is there already is used and stays.\n\n"
		 "There is one sender and one receiver at a time. The command ends when the "
		 "receiver "
		 "has written out the last byte. On a terminal it shows how far it is.\n\n"
		 "If the receiver dies, leaves or is replaced, the command fails and says how many "
		 "bytes had moved into the ring. SIGINT and SIGTERM tell the receiver that the "
		 "stream "
		 "is not complete.",
	.operand = "region",
	.examples = send_examples,
	.schema = "tarn.send/1",
	.lists = stream_lists,
	.exits = send_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_STREAM,
	.arg_min = 1,
	.arg_max = 1,
	.run = send_run,
};
