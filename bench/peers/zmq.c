/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zmq.c - ZeroMQ over ipc://: PUSH and PULL a channel; XPUB and SUB in a fan-out, where nothing is
 * dropped (XPUB_NODROP). Names are abstract ones, which end with their socket.
 *
 * Its threads move the messages, so who waits sleeps; to poll would take their processor away.
 */
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "threads.h"

static struct threads threads;
static void *context, *sockets[PEERS_CHANNELS];
static char base[64];

static void zmq_begin(struct bench *b)
{
	snprintf(base, sizeof(base), "ipc://@tarn-bench-zmq-%d", (int)getpid());
	threads_look(b, &threads);
}

static bool in_fan_out(const struct bench *b)
{
	return b->cell->measure == BENCH_FAN_OUT;
}

static void set(struct bench *b, void *socket, int option, int value)
{
	if (zmq_setsockopt(socket, option, &value, sizeof(value)) != 0)
		bench_fail(b, "zmq_setsockopt", errno);
}

static void *make(struct bench *b, int type)
{
	void *socket = zmq_socket(context, type);

	if (socket == NULL)
		bench_fail(b, "zmq_socket", errno);
	set(b, socket, ZMQ_SNDHWM, (int)bench_depth(b->cell->size));
	set(b, socket, ZMQ_RCVHWM, (int)bench_depth(b->cell->size));
	set(b, socket, ZMQ_LINGER, 0);
	if (type == ZMQ_XPUB) {
		set(b, socket, ZMQ_XPUB_NODROP, 1);
		set(b, socket, ZMQ_XPUB_VERBOSE, 1); /* say so when a further one subscribes */
	}
	if (type == ZMQ_SUB && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) != 0)
		bench_fail(b, "zmq_setsockopt", errno);
	return socket;
}

static void name_of(unsigned channel, char name[96])
{
	snprintf(name, 96, "%s-%u", base, channel);
}

static void bind_one(struct bench *b, unsigned channel, int type)
{
	char name[96];

	sockets[channel] = make(b, type);
	name_of(channel, name);
	if (zmq_bind(sockets[channel], name) != 0)
		bench_fail(b, "zmq_bind", errno);
}

/* To @channel, known here as @mine. */
static void connect_one(struct bench *b, unsigned channel, unsigned mine, int type)
{
	char name[96];

	sockets[mine] = make(b, type);
	name_of(channel, name);
	if (zmq_connect(sockets[mine], name) != 0)
		bench_fail(b, "zmq_connect", errno);
}

/* Side 0: all have subscribed. */
static void await_subscribers(struct bench *b)
{
	char byte[8];

	for (unsigned k = 0; k < bench_channels(b); k++)
		if (zmq_recv(sockets[0], byte, sizeof(byte), 0) < 0)
			bench_fail(b, "zmq_recv", errno);
}

/* The senders bind, then the receivers connect. */
static void zmq_attach(struct bench *b)
{
	threads_begin(b, &threads);
	context = zmq_ctx_new();
	if (context == NULL)
		bench_fail(b, "zmq_ctx_new", errno);
	if (in_fan_out(b) && b->side == 0)
		bind_one(b, 0, ZMQ_XPUB);
	if (!in_fan_out(b))
		bind_one(b, b->side, ZMQ_PUSH);
	bench_meet(b);
	if (!in_fan_out(b))
		connect_one(b, 1 - b->side, 1 - b->side, ZMQ_PULL);
	else if (b->side == 0)
		await_subscribers(b);
	else
		connect_one(b, 0, b->side - 1, ZMQ_SUB);
	threads_end(b, &threads);
}

static void zmq_detach(struct bench *b)
{
	(void)b;
	for (unsigned k = 0; k < PEERS_CHANNELS; k++)
		if (sockets[k] != NULL)
			zmq_close(sockets[k]);
	zmq_ctx_term(context);
}

static void put(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	zmq_msg_t message;

	if (in_fan_out(b) && channel != 0)
		return; /* what went out by channel 0 is for all */
	if (zmq_msg_init_size(&message, size) != 0)
		bench_fail(b, "zmq_msg_init_size", errno);
	bench_fill(b, zmq_msg_data(&message), size, number);
	while (zmq_msg_send(&message, sockets[channel], 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			bench_fail(b, "zmq_msg_send", errno);
}

static void take(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	zmq_msg_t message;

	zmq_msg_init(&message);
	while (zmq_msg_recv(&message, sockets[channel], 0) < 0)
		if (errno != EINTR)
			bench_fail(b, "zmq_msg_recv", errno);
	if (zmq_msg_size(&message) != size)
		bench_fail(b, "a message of another size", EBADMSG);
	bench_check(b, zmq_msg_data(&message), size, number);
	zmq_msg_close(&message);
}

PEERS_LOOPS_LARGE(run, put, take)

static const struct bench_variant variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, PEERS_SIZE_MAX, run },
	{ 0 },
};

const struct bench_contestant bench_zmq = {
	.name = "ZeroMQ",
	.group = BENCH_PEER,
	.what = "ZeroMQ over ipc://, PUSH and PULL; XPUB and SUB in a fan-out",
	.variants = variants,
	.open = zmq_begin,
	.attach = zmq_attach,
	.detach = zmq_detach,
};
