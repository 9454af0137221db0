/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nng.c - nng over UNIX sockets of abstract names: PUSH and PULL a channel, in a fan-out too, for
 * its PUB drops what a slow subscriber has no room for. Its threads move the messages.
 */
#include <stdio.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

#include "threads.h"

static struct threads threads;
static nng_socket sockets[PEERS_CHANNELS];
static char base[64];

static void nng_begin(struct bench *b)
{
	snprintf(base, sizeof(base), "abstract://tarn-bench-nng-%d", (int)getpid());
	threads_look(b, &threads);
}

static void must(struct bench *b, const char *what, int r)
{
	char text[96];

	if (r == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, nng_strerror(r));
	bench_fail(b, text, 0);
}

static void make(struct bench *b, unsigned channel, bool sends)
{
	nng_socket *socket = &sockets[channel];
	char name[96];

	snprintf(name, sizeof(name), "%s-%u", base, channel);
	must(b, "nng open", sends ? nng_push0_open(socket) : nng_pull0_open(socket));
	must(b, "nng_socket_set_size", nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, 0));
	must(b, "nng_socket_set_int",
	     nng_socket_set_int(*socket, sends ? NNG_OPT_SENDBUF : NNG_OPT_RECVBUF,
				(int)bench_depth(b->cell->size)));
	if (sends)
		must(b, "nng_listen", nng_listen(*socket, name, NULL, 0));
	else
		must(b, "nng_dial", nng_dial(*socket, name, NULL, 0));
}

/* The senders listen, then the receivers dial. */
static void nng_attach(struct bench *b)
{
	threads_begin(b, &threads);
	for (unsigned k = 0; k < bench_channels(b); k++)
		if (bench_sends(b, k))
			make(b, k, true);
	bench_meet(b);
	for (unsigned k = 0; k < bench_channels(b); k++)
		if (bench_receives(b, k))
			make(b, k, false);
	threads_end(b, &threads);
}

static void nng_detach(struct bench *b)
{
	for (unsigned k = 0; k < bench_channels(b); k++)
		if (bench_sends(b, k) || bench_receives(b, k))
			nng_close(sockets[k]);
}

static void put(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	nng_msg *message;

	must(b, "nng_msg_alloc", nng_msg_alloc(&message, size));
	bench_fill(b, nng_msg_body(message), size, number);
	must(b, "nng_sendmsg", nng_sendmsg(sockets[channel], message, 0));
}

static void take(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	nng_msg *message;

	must(b, "nng_recvmsg", nng_recvmsg(sockets[channel], &message, 0));
	if (nng_msg_len(message) != size)
		bench_fail(b, "a message of another size", EBADMSG);
	bench_check(b, nng_msg_body(message), size, number);
	nng_msg_free(message);
}

PEERS_LOOPS_LARGE(run, put, take)

static const struct bench_variant variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, PEERS_SIZE_MAX, run },
	{ 0 },
};

const struct bench_contestant bench_nng = {
	.name = "nng",
	.group = BENCH_PEER,
	.what = "nng over UNIX sockets, PUSH and PULL",
	.variants = variants,
	.open = nng_begin,
	.attach = nng_attach,
	.detach = nng_detach,
};
