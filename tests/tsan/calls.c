/* SPDX-License-Identifier: BSD-2-Clause */
/* A service of which one thread is a client, another a server: calls, streams in place, several at
 * a time that are cancelled and kept, and a client that comes again and again. */
#include <errno.h>
#include <string.h>

#include "duet.h"

enum { ROUNDS = 3000, COMINGS = 200, PIECES = 40, WORDS = 16 };

static const struct tarn_call_opts small = { .request_capacity = 1024, .response_capacity = 1024 };
static struct tarn_service *service;
static struct tarn_client *client;

static void fill(uint64_t words[WORDS], uint64_t n)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = n;
}

static void check(const void *data, size_t size, uint64_t n)
{
	const uint64_t *words = data;

	expect("its size", size == WORDS * sizeof(*words));
	for (int i = 0; i < WORDS; i++)
		expect("whole, and what was asked", words[i] == n);
}

/* --- one by one ------------------------------------------------------------------------------ */

static void *call(void *arg)
{
	uint64_t words[WORDS], got[WORDS];
	size_t size;

	for (uint64_t n = 0; n < ROUNDS; n++) {
		fill(words, n);
		must("call", tarn_client_call(client, words, sizeof(words), got, sizeof(got),
					      TARN_FOREVER, &size));
		check(got, size, n + 1);
	}
	return arg;
}

static void *serve(void *arg)
{
	struct tarn_request request;
	uint64_t words[WORDS];

	for (uint64_t n = 0; n < ROUNDS; n++) {
		must("take", tarn_service_take_wait(service, TARN_FOREVER, &request));
		check(request.data, request.size, n);
		fill(words, n + 1);
		must("respond", tarn_service_respond_wait(service, &request, words, sizeof(words),
							  TARN_FOREVER));
	}
	return arg;
}

/* --- in place, several responses ------------------------------------------------------------- */

static void *take_streams(void *arg)
{
	struct tarn_response response;
	uint64_t number;
	void *data;

	for (uint64_t n = 0; n < ROUNDS / PIECES; n++) {
		must("reserve", tarn_client_reserve_wait(client, WORDS * 8, TARN_FOREVER, &data));
		fill(data, n);
		must("commit", tarn_client_commit(client, WORDS * 8, TARN_FOREVER, &number));
		for (uint64_t i = 0; i < PIECES; i++) {
			must("take",
			     tarn_client_take_wait(client, number, TARN_FOREVER, &response));
			check(response.data, response.size, n + i);
		}
		expect("the last one", response.kind == TARN_RESPONSE_LAST);
	}
	return arg;
}

static void *stream(void *arg)
{
	struct tarn_request request;
	void *data;

	for (uint64_t n = 0; n < ROUNDS / PIECES; n++) {
		must("take", tarn_service_take_wait(service, TARN_FOREVER, &request));
		check(request.data, request.size, n);
		for (uint64_t i = 0; i < PIECES; i++) {
			must("reserve", tarn_service_reserve_wait(service, &request, WORDS * 8,
								  TARN_FOREVER, &data));
			fill(data, n + i);
			must("commit", tarn_service_commit(service, &request, WORDS * 8,
							   i + 1 < PIECES ? TARN_RESPONSE_MORE
									  : TARN_RESPONSE_LAST,
							   0));
		}
	}
	return arg;
}

/* --- cancelled, and by others ---------------------------------------------------------------- */

/* Of two, the first one is cancelled; then another client comes to the place. */
static void *come_again(void *arg)
{
	uint64_t words[WORDS], first, second;
	struct tarn_response response;

	for (uint64_t n = 0; n < COMINGS; n++) {
		must("open", tarn_client_open(region, "sums", &small, &client));
		fill(words, n);
		must("ask", tarn_client_begin(client, words, sizeof(words), TARN_FOREVER, &first));
		must("ask", tarn_client_begin(client, words, sizeof(words), TARN_FOREVER, &second));
		must("cancel", tarn_client_cancel(client, first));
		must("take", tarn_client_take_wait(client, second, TARN_FOREVER, &response));
		check(response.data, response.size, n);
		tarn_client_close(client);
	}
	client = NULL;
	must("open", tarn_client_open(region, "sums", &small, &client));
	must("end", tarn_client_begin(client, NULL, 0, TARN_FOREVER, &first));
	return arg;
}

static void *echo(void *arg)
{
	for (;;) {
		struct tarn_request request;
		uint64_t words[WORDS];
		int r;

		must("take", tarn_service_take_wait(service, TARN_FOREVER, &request));
		if (request.size == 0)
			return arg;
		memcpy(words, request.data, sizeof(words));
		(void)tarn_service_cancelled(service, &request);
		r = tarn_service_respond_wait(service, &request, words, sizeof(words),
					      TARN_FOREVER);
		must("respond", r == -ECANCELED || r == -EPIPE ? 0 : r);
	}
}

int main(int argc, char **argv)
{
	static const struct duet cases[] = {
		{ "calls", call, serve },
		{ "streams in place", take_streams, stream },
		{ "calls that are cancelled, of clients that come again", come_again, echo },
	};
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));

	must("service", tarn_service_open(region, "sums", &small, &service));
	if (i < 2)
		must("client", tarn_client_open(region, "sums", &small, &client));
	duet_run(&cases[i]);
	tarn_client_close(client);
	tarn_service_close(service);
	duet_end();
	return 0;
}
