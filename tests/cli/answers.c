/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answers.c - a server for tarn call, which answers by what it is asked:
 *
 *     answers REGION SERVICE [small]    makes both if they are absent; small: rings of 1 KiB
 *
 *     stream N          N responses: 1 .. N
 *     fail CODE TEXT    the error CODE, with TEXT
 *     sleep MS TEXT     TEXT, after so long
 *     die               nothing: it is killed
 *     bytes             the bytes 0, 1, 10 and 255
 *     large N           N bytes
 *     whom              the process that has asked
 *     anything else     the same
 */
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

static struct tarn_service *service;

static int stream(const struct tarn_request *request, long count)
{
	char text[24];
	int r = 0;

	for (long n = 1; n < count && r == 0; n++) {
		void *to;
		int size = snprintf(text, sizeof(text), "%ld", n);

		r = tarn_service_reserve_wait(service, request, (size_t)size, TARN_FOREVER, &to);
		if (r == 0) {
			memcpy(to, text, (size_t)size);
			r = tarn_service_commit(service, request, (size_t)size, TARN_RESPONSE_MORE,
						0);
		}
	}
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%ld", count);
	return tarn_service_respond_wait(service, request, text, strlen(text), TARN_FOREVER);
}

static int respond(const struct tarn_request *request, const void *data, size_t size)
{
	return tarn_service_respond_wait(service, request, data, size, TARN_FOREVER);
}

static int whom(const struct tarn_request *request)
{
	struct tarn_call_peer peer = { .pid = 0 };
	char text[24];

	if (tarn_service_peer(service, request, &peer) < 0)
		return 0;
	snprintf(text, sizeof(text), "%d", (int)peer.pid);
	return respond(request, text, strlen(text));
}

static int answer_slowly(const struct tarn_request *request, char *text)
{
	char *rest;
	long ms = strtol(text, &rest, 10);
	const struct timespec nap = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&nap, NULL);
	rest += *rest == ' ';
	return respond(request, rest, strlen(rest));
}

static int answer(const struct tarn_request *request, char *text)
{
	char *rest;
	long number;

	if (strncmp(text, "stream ", 7) == 0)
		return stream(request, strtol(text + 7, NULL, 10));
	if (strncmp(text, "sleep ", 6) == 0)
		return answer_slowly(request, text + 6);
	if (strcmp(text, "die") == 0)
		raise(SIGKILL);
	if (strcmp(text, "bytes") == 0)
		return respond(request, "\0\1\n\377", 4);
	if (strcmp(text, "whom") == 0)
		return whom(request);
	if (strncmp(text, "large ", 6) == 0) {
		size_t size = strtoul(text + 6, NULL, 10);
		char *all = calloc(1, size + 1);

		memset(all, 'x', size);
		number = respond(request, all, size);
		free(all);
		return (int)number;
	}
	if (strncmp(text, "fail ", 5) != 0)
		return respond(request, request->data, request->size);
	number = strtol(text + 5, &rest, 10);
	rest += *rest == ' ';
	return tarn_service_fail(service, request, (int32_t)number, rest, strlen(rest));
}

int main(int argc, char **argv)
{
	struct tarn_call_opts opts = { .clients = 8 };
	struct tarn_region *region;
	struct tarn_request request;
	int r;

	if (argc < 3)
		return 2;
	if (argc > 3)
		opts.request_capacity = opts.response_capacity = 1024;
	r = tarn_region_open(argv[1], NULL, &region);
	if (r < 0 && tarn_region_create(argv[1], NULL, &region) < 0)
		return 1;
	if (tarn_service_open(region, argv[2], &opts, &service) < 0)
		return 1;
	while (tarn_service_take_wait(service, TARN_FOREVER, &request) == 0) {
		char *text = calloc(1, request.size + 1);

		if (text == NULL)
			return 1;
		memcpy(text, request.data, request.size);
		(void)!answer(&request, text);
		tarn_service_release(service, &request);
		free(text);
	}
	return 0;
}
