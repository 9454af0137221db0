/* SPDX-License-Identifier: BSD-2-Clause */
/* taking.c - see taking.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stream.h"
#include "taking.h"

#define NAP_NS   20000000            /* from one look for it to the next */
#define SLOW_NS  INT64_C(1000000000) /* then it is said what it waits for */
#define THERE_NS INT64_C(1000000000) /* where no message comes: is it still there? */

bool taking_begin(struct taking *taking, struct cli *cli, bool look)
{
	*taking = (struct taking){ .cli = cli, .name = cli->argv[0], .timeout_ns = -1 };
	taking->topic_opts.flags = TARN_TOPIC_EXISTING | TARN_TOPIC_LOSSY;
	taking->topic_opts.diag = &cli->diag;
	if (!cli_seconds(cli, "timeout", &taking->timeout_ns))
		return false;
	taking->sockets = apart_name(cli->argv[0], &taking->where);
	if (taking->sockets) {
		taking->topic_opts.socket_dir = taking->where.region;
		return apart_peers(cli, &taking->apart, &taking->topic_opts);
	}
	if (!look_name(cli->argv[0], &taking->where) || taking->where.object == NULL) {
		cli_usage(cli, "%s: a topic is named REGION/TOPIC, or unix:DIR/TOPIC",
			  cli->argv[0]);
		return false;
	}
	if (cli_given(cli, "peers")) {
		cli_usage(cli, "--peers is of topics named unix:DIR/TOPIC");
		return false;
	}
	return look ? look_opts(cli, &taking->region_opts)
		    : cli_open_opts(cli, &taking->region_opts);
}

/* --- is it there? -------------------------------------------------------------------------- */

static int note_place(const struct tarn_object_stat *object, void *arg)
{
	struct taking *taking = arg;

	if (object->removed || strcmp(object->name, taking->where.object) != 0)
		return 0;
	taking->off = object->off;
	return 1;
}

static int same_place(const struct tarn_object_stat *object, void *arg)
{
	const struct taking *taking = arg;

	return !object->removed && object->off == taking->off &&
	       strcmp(object->name, taking->where.object) == 0;
}

/* It may have been removed, and made anew elsewhere. */
static bool is_there(struct taking *taking)
{
	struct tarn_region_stat region;

	if (taking->sockets)
		return true; /* publishers come and go */
	return tarn_region_stat(taking->region, &region) == 0 && !region.removed &&
	       tarn_region_objects(taking->region, same_place, taking) == 1;
}

/* --- open ---------------------------------------------------------------------------------- */

/* The type is that of the first publisher there is, or was, since each may have its own. */
static int try_open_apart(struct taking *taking)
{
	struct tarn_peer peer;
	uint32_t at = 0;
	int r = 0;

	if (taking->subscriber == NULL)
		r = tarn_subscriber_open(NULL, taking->where.object, &taking->topic_opts,
					 &taking->subscriber);
	if (r < 0)
		return r;
	while (at < TARN_TOPIC_PUBLISHERS_MAX &&
	       tarn_subscriber_peer(taking->subscriber, at, &peer) < 0)
		at++;
	if (at == TARN_TOPIC_PUBLISHERS_MAX)
		return -EAGAIN;
	r = tarn_subscriber_describe(taking->subscriber, at, &taking->type);
	return r == -ENOENT ? 0 : r;
}

/* 0, -ENOENT, -EAGAIN: not yet; else why not. */
static int try_open(struct taking *taking)
{
	int r = 0;

	if (taking->sockets)
		return try_open_apart(taking);
	if (taking->region == NULL)
		r = tarn_region_open(taking->where.region, &taking->region_opts, &taking->region);
	if (r == 0)
		r = tarn_subscriber_open(taking->region, taking->where.object, &taking->topic_opts,
					 &taking->subscriber);
	if (r < 0)
		return r;
	(void)!tarn_region_objects(taking->region, note_place, taking);
	r = tarn_topic_describe(taking->region, taking->where.object, &taking->type);
	return r == -ENOENT ? 0 : r;
}

/* A region in which the topic is not made yet may be removed meanwhile, and made anew. */
static void leave_removed(struct taking *taking)
{
	struct tarn_region_stat stat;

	if (taking->region == NULL ||
	    (tarn_region_stat(taking->region, &stat) == 0 && !stat.removed))
		return;
	tarn_region_close(taking->region);
	taking->region = NULL;
}

int taking_open(struct taking *taking)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	int64_t began = tarn_now();
	bool told = false;
	int r;

	taking->room = 4096;
	taking->bytes = malloc(taking->room + 1);
	if (taking->bytes == NULL)
		return cli_fail(taking->cli, taking->name, -ENOMEM);
	while ((r = try_open(taking)) == -ENOENT || r == -EAGAIN) {
		taking->cli->diag.what[0] = '\0';
		if (stream_signal() != 0)
			return CLI_OK;
		if (taking->timeout_ns >= 0 && tarn_now() - began >= taking->timeout_ns) {
			cli_error(taking->cli, "%s: there was no such topic in the time allowed",
				  taking->name);
			return CLI_TIMEOUT;
		}
		if (!told && tarn_now() - began > SLOW_NS)
			cli_note(taking->cli, "%s: waiting: there is no such topic yet",
				 taking->name);
		told = tarn_now() - began > SLOW_NS;
		leave_removed(taking);
		nanosleep(&nap, NULL);
	}
	taking->there_ns = tarn_now();
	return r < 0 ? cli_fail(taking->cli, taking->name, r) : -1;
}

void taking_end(struct taking *taking)
{
	tarn_subscriber_close(taking->subscriber);
	tarn_region_close(taking->region);
	tarn_type_free(taking->type);
	free(taking->bytes);
}

/* --- take ---------------------------------------------------------------------------------- */

static int take_once(struct taking *taking, int64_t deadline, bool spin)
{
	int64_t slice = tarn_deadline_after(STREAM_SLICE_NS);
	int r;

	if (!spin)
		return tarn_subscriber_take_wait(taking->subscriber, taking->bytes, taking->room,
						 slice < deadline ? slice : deadline,
						 &taking->message);
	do
		r = tarn_subscriber_take(taking->subscriber, taking->bytes, taking->room,
					 &taking->message);
	while (r == -EAGAIN && tarn_now() < deadline && tarn_now() < slice);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int taking_take(struct taking *taking, int64_t deadline, bool spin)
{
	for (;;) {
		int r = take_once(taking, deadline, spin);
		unsigned char *grown;
		int64_t now;

		/* With no region anybody may publish anything: it has no fields that are known. */
		if (r == 0 && taking->sockets && taking->type != NULL &&
		    taking->message.size != taking->type->size) {
			cli_note(taking->cli,
				 "%s: a message of %zu bytes, and not of %" PRIu32
				 " as its type has, is passed over",
				 taking->name, taking->message.size, taking->type->size);
			continue;
		}

		if (r == -ETIMEDOUT) {
			now = tarn_now();
			if (now - taking->there_ns < THERE_NS)
				return r;
			taking->there_ns = now;
			return is_there(taking) ? r : -ESTALE;
		}
		if (r != -ENOBUFS)
			return r;
		grown = realloc(taking->bytes, taking->message.size + 1);
		if (grown == NULL)
			return -ENOMEM;
		taking->bytes = grown;
		taking->room = taking->message.size;
	}
}

int taking_fail(struct taking *taking, int error)
{
	if (error != -ESTALE)
		return cli_fail(taking->cli, taking->name, error);
	cli_error(taking->cli, "%s: it was removed", taking->name);
	return CLI_ABSENT;
}
