/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - how `tarn send` and `tarn recv` carry a stream of bytes over two rings of a region.
 *
 * Layout: ring "stream" runs from the sender to the receiver, ring "stream.back" the other way.
 * Each record begins with one word of 8 bytes, so that the data behind it is 8-byte aligned and
 * can be read into and written out of the ring without a copy:
 *
 *     63                                8 7        0
 *     +----------------------------------+----------+
 *     | count: bytes of the stream so far | kind     |
 *     +----------------------------------+----------+
 *     | what the kind says                          |
 *
 *   to the receiver
 *     NEW    struct stream_note: a sender took the role; what came before is over
 *     BEGIN  struct stream_begin; count 0: a new stream, for one receiver
 *     DATA   bytes, at least one; count is where they stand in the stream
 *     END    struct stream_end; count is the length of the stream
 *     ABORT  struct stream_note; the sender gives up; what came is not all
 *   to the sender
 *     HELLO  struct stream_hello: a receiver is there, and what it wants
 *     ACK    struct stream_note: the stream with that id may come
 *     DONE   struct stream_note: every byte was written out and accepted, or the digest differed
 *     STOP   struct stream_note: the receiver gives up
 *
 * Order of a stream: NEW and HELLO, in either order, BEGIN, ACK, DATA ..., END, DONE. A receiver
 * that sees NEW before BEGIN says HELLO again, since the sender before may have taken the first.
 *
 * What dead processes left in the rings cannot be taken for this stream: a receiver draws a random
 * id, says it in HELLO, and drops everything until the BEGIN that carries it; a sender draws one
 * for the stream, and drops everything but HELLO until the ACK that carries it. A stream is
 * complete for the receiver when it has END, for the sender when it has DONE; if the other side
 * dies, leaves or is replaced before that, the command fails and says how many bytes went.
 *
 * Numbers are of the host's byte order; a region of the other one is not opened at all.
 */
#ifndef TARN_TOOLS_STREAM_H
#define TARN_TOOLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/region.h>
#include <tarn/ring.h>

#include "cli.h"
#include "out.h"

enum stream_kind {
	STREAM_BEGIN = 1,
	STREAM_DATA = 2,
	STREAM_END = 3,
	STREAM_ABORT = 4,
	STREAM_NEW = 5,
	STREAM_HELLO = 17,
	STREAM_ACK = 18,
	STREAM_DONE = 19,
	STREAM_STOP = 20,
};

#define STREAM_MAGIC   "tarnstrm"
#define STREAM_VERSION 1u
#define STREAM_DIGEST  1u         /* flag: END carries the XXH3-128 of all bytes */
#define STREAM_UNKNOWN UINT64_MAX /* stream_begin.total_size */

struct stream_begin {
	uint64_t word;
	char magic[8];
	uint32_t version;
	uint32_t flags;
	uint64_t stream_id;
	uint64_t receiver_id;
	uint64_t total_size; /* bytes, where standard input is a regular file */
};

struct stream_end {
	uint64_t word;
	uint32_t flags;
	uint32_t zero;
	uint64_t digest_high;
	uint64_t digest_low;
};

struct stream_hello {
	uint64_t word;
	char magic[8];
	uint32_t version;
	uint32_t flags; /* STREAM_DIGEST: send one */
	uint64_t receiver_id;
};

enum stream_reason {
	STREAM_OK = 0,
	STREAM_INTERRUPTED = 1,
	STREAM_INPUT = 2,    /* the sender could not read */
	STREAM_OUTPUT = 3,   /* the receiver could not write */
	STREAM_MISMATCH = 4, /* the digests differ */
	STREAM_CONFUSED = 5, /* a record that does not fit in */
};

struct stream_note {
	uint64_t word;
	uint64_t stream_id;
	uint32_t reason; /* enum stream_reason */
	uint32_t zero;
};

static inline uint64_t stream_word(enum stream_kind kind, uint64_t count)
{
	return count << 8 | (uint64_t)kind;
}

const char *stream_reason_text(uint32_t reason);

/* Bytes of standard input that one DATA record takes: large enough that the calls into the
 * kernel do not count, small enough that both sides work at the same time. */
#define STREAM_CHUNK (256u << 10)

/* No wait is longer, so that signals and a peer that left are seen. */
#define STREAM_SLICE_NS INT64_C(100000000)

struct stream {
	struct cli *cli;
	const char *name;
	enum tarn_ring_role role; /* in ring "stream" */
	struct tarn_region *region;
	struct tarn_ring *data; /* ring "stream" */
	struct tarn_ring *back; /* ring "stream.back" */
	uint32_t chunk;         /* bytes of data a record may carry */
	int64_t deadline;       /* for the other side to come */
	bool digest;
	uint64_t id; /* of the stream */
	uint64_t receiver_id;
	uint64_t moved;                  /* bytes */
	enum tarn_ring_peer peer_before; /* what the other side was when last looked at */
	uint64_t total;                  /* bytes, or STREAM_UNKNOWN */
};

/* What send and recv print as JSON. */
extern const struct out_list *const stream_lists[];

/* Open region and rings in @role of ring "stream". Returns -1 to go on, else the exit code. */
int stream_open(struct stream *stream, struct cli *cli, enum tarn_ring_role role);
void stream_close(struct stream *stream);
uint64_t stream_random(void);

/* Look at the other side: 1 it is alive, 0 there is none (yet, or it left), -EPIPE it was there
 * since stream_open() and died. A side that died before that does not count. */
int stream_peer(struct stream *stream);
/* The deadline of the next wait: a slice, but never past stream->deadline. */
int64_t stream_slice(const struct stream *stream);

/* An error of a call on the stream, in words; @who is the other side ("receiver"). */
int stream_fail(struct stream *stream, const char *who, int error);

/* Has SIGINT or SIGTERM come? Its number, else 0. */
int stream_signal(void);
void stream_signals_watch(void);

#endif /* TARN_TOOLS_STREAM_H */
