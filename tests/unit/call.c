/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls: the contract of tarn/call.h, where client and server take turns in one thread. */
#include <tarn/call.h>

#include "flow/call.h"
#include "prim.h"

static struct tarn_service *service;
static struct tarn_client *client;
static const struct tarn_call_opts small = { .request_capacity = 1024, .response_capacity = 1024 };

static int make_both(void **state)
{
	if (make_region(state) < 0 || tarn_service_open(region, "sums", &small, &service) < 0)
		return -1;
	return tarn_client_open(region, "sums", NULL, &client);
}

static int drop_both(void **state)
{
	tarn_client_close(client);
	tarn_service_close(service);
	return drop_region(state);
}

static uint64_t ask_with(struct tarn_client *who, uint64_t value)
{
	uint64_t call = 0;

	assert_int_equal(tarn_client_begin(who, &value, sizeof(value), TARN_FOREVER, &call), 0);
	assert_int_not_equal(call, 0);
	return call;
}

static uint64_t ask(uint64_t value)
{
	return ask_with(client, value);
}

static uint64_t value_of(const void *data, size_t size)
{
	uint64_t value;

	assert_int_equal(size, sizeof(value));
	memcpy(&value, data, sizeof(value));
	return value;
}

static struct tarn_request take_by(struct tarn_service *who, uint64_t value)
{
	struct tarn_request request = { .number = 0 };

	assert_int_equal(tarn_service_take(who, &request), 0);
	assert_int_equal((uintptr_t)request.data % 8, 0);
	assert_int_equal(value_of(request.data, request.size), value);
	return request;
}

static struct tarn_request taken(uint64_t value)
{
	return take_by(service, value);
}

static void nothing_to_do(struct tarn_service *who)
{
	struct tarn_request request;

	assert_int_equal(tarn_service_take(who, &request), -EAGAIN);
}

static void answer(const struct tarn_request *request, uint64_t value)
{
	assert_int_equal(tarn_service_respond(service, request, &value, sizeof(value)), 0);
}

static void more(const struct tarn_request *request, uint64_t value)
{
	assert_int_equal(tarn_service_more(service, request, &value, sizeof(value)), 0);
}

static void expect_of(struct tarn_client *who, uint64_t asked, uint64_t call,
		      enum tarn_response_kind kind, uint64_t value)
{
	struct tarn_response response;

	assert_int_equal(tarn_client_take(who, asked, &response), 0);
	assert_int_equal(response.call, call);
	assert_int_equal(response.kind, kind);
	assert_int_equal((uintptr_t)response.data % 8, 0);
	assert_int_equal(value_of(response.data, response.size), value);
}

static void expect(uint64_t call, uint64_t value)
{
	expect_of(client, call, call, TARN_RESPONSE_LAST, value);
}

static void expect_not(uint64_t call, int error)
{
	struct tarn_response response = { .call = 77 };

	assert_int_equal(tarn_client_take(client, call, &response), error);
	if (error == -EPIPE && call != 0)
		assert_int_equal(response.call, call);
	else if (error == -EAGAIN || error == -ENOENT)
		assert_int_equal(response.call, 77);
}

/* --- one call ------------------------------------------------------------------------------ */

static void a_request_is_answered(void **state)
{
	uint64_t call = ask(20);
	struct tarn_request request = taken(20);

	(void)state;
	expect_not(call, -EAGAIN);
	answer(&request, 21);
	expect(call, 21);
	expect_not(call, -ENOENT);
	expect_not(0, -ENOENT);
	nothing_to_do(service);
}

static void many_laps(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 1000; n++) {
		uint64_t call = ask(n);
		struct tarn_request request = taken(n);

		answer(&request, ~n);
		expect(call, ~n);
	}
}

static void both_ways_in_place(void **state)
{
	struct tarn_request request;
	uint64_t call;
	void *data;

	(void)state;
	assert_int_equal(tarn_client_reserve(client, 100, &data), 0);
	assert_int_equal((uintptr_t)data % 8, 0);
	memcpy(data, &(uint64_t){ 5 }, 8);
	nothing_to_do(service);
	assert_int_equal(tarn_client_commit(client, 101, TARN_FOREVER, &call), -EMSGSIZE);
	assert_int_equal(tarn_client_commit(client, 8, TARN_FOREVER, &call), 0);
	assert_int_equal(tarn_client_commit(client, 8, TARN_FOREVER, &call), -EINVAL);
	request = taken(5);
	assert_int_equal(tarn_service_commit(service, &request, 8, TARN_RESPONSE_LAST, 0), -EINVAL);
	assert_int_equal(tarn_service_reserve(service, &request, 100, &data), 0);
	memcpy(data, request.data, 8);
	expect_not(call, -EAGAIN);
	assert_int_equal(tarn_service_commit(service, &request, 101, TARN_RESPONSE_LAST, 0),
			 -EMSGSIZE);
	assert_int_equal(tarn_service_commit(service, &request, 8, TARN_RESPONSE_LAST, 1), -EINVAL);
	assert_int_equal(tarn_service_commit(service, &request, 8, TARN_RESPONSE_ERROR, 0),
			 -EINVAL);
	assert_int_equal(tarn_service_commit(service, &request, 8, 4, 0), -EINVAL);
	assert_int_equal(tarn_service_commit(service, &request, 8, TARN_RESPONSE_LAST, 0), 0);
	expect(call, 5);
}

static void what_is_dropped_was_never_there(void **state)
{
	struct tarn_request request;
	uint64_t call;
	void *data;

	(void)state;
	assert_int_equal(tarn_client_reserve(client, 8, &data), 0);
	tarn_client_abort(client);
	assert_int_equal(tarn_client_commit(client, 8, TARN_FOREVER, &call), -EINVAL);
	call = ask(1);
	request = taken(1);
	assert_int_equal(tarn_service_reserve(service, &request, 8, &data), 0);
	tarn_service_abort(service, &request);
	assert_int_equal(tarn_service_commit(service, &request, 8, TARN_RESPONSE_LAST, 0), -EINVAL);
	expect_not(call, -EAGAIN);
	answer(&request, 2);
	expect(call, 2);
}

static void several_responses(void **state)
{
	uint64_t call = ask(3);
	struct tarn_request request = taken(3);

	(void)state;
	more(&request, 10);
	more(&request, 11);
	expect_of(client, call, call, TARN_RESPONSE_MORE, 10);
	nothing_to_do(service);
	answer(&request, 12);
	expect_of(client, 0, call, TARN_RESPONSE_MORE, 11);
	expect(call, 12);
	expect_not(call, -ENOENT);
}

static void a_server_fails(void **state)
{
	struct tarn_response response;
	uint64_t call = ask(3);
	struct tarn_request request = taken(3);

	(void)state;
	assert_int_equal(tarn_service_fail(service, &request, 0, NULL, 0), -EINVAL);
	assert_int_equal(tarn_service_fail(service, &request, -42, "no", 3), 0);
	assert_int_equal(tarn_client_take(client, call, &response), 0);
	assert_int_equal(response.kind, TARN_RESPONSE_ERROR);
	assert_int_equal(response.code, -42);
	assert_string_equal(response.data, "no");
	expect_not(call, -ENOENT);
}

static void empty_ones(void **state)
{
	struct tarn_response response;
	struct tarn_request request;
	uint64_t call;

	(void)state;
	assert_int_equal(tarn_client_begin(client, NULL, 0, 5, &call), 0);
	assert_int_equal(tarn_service_take(service, &request), 0);
	assert_int_equal(request.size, 0);
	assert_int_equal(request.deadline, 5);
	assert_true(tarn_service_cancelled(service, &request));
	assert_int_equal(tarn_service_respond(service, &request, NULL, 0), 0);
	assert_int_equal(tarn_client_take(client, call, &response), 0);
	assert_int_equal(response.size, 0);
}

/* --- several calls ------------------------------------------------------------------------- */

static void answers_in_any_order(void **state)
{
	uint64_t calls[3] = { ask(0), ask(1), ask(2) };
	struct tarn_request requests[3];
	struct tarn_client_stat stat;

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		requests[i] = taken(i);
		nothing_to_do(service); /* it lies in front of the others */
		tarn_service_release(service, &requests[i]);
		tarn_service_release(service, &requests[i]); /* once is enough */
	}
	answer(&requests[2], 12);
	answer(&requests[0], 10);
	expect(calls[0], 10);
	tarn_client_stat(client, &stat);
	assert_int_equal(stat.kept, 1);
	assert_int_equal(stat.calls, 2);
	expect_not(calls[1], -EAGAIN);
	answer(&requests[1], 11);
	expect_of(client, 0, calls[2], TARN_RESPONSE_LAST, 12);
	expect_of(client, 0, calls[1], TARN_RESPONSE_LAST, 11);
	expect_not(0, -ENOENT);
	tarn_client_stat(client, &stat);
	assert_int_equal(stat.kept, 0);
	assert_int_equal(stat.answered, 3);
	assert_int_equal(stat.begun, 3);
}

static void what_is_kept_is_bounded(void **state)
{
	uint64_t first = ask(1), second = ask(2);
	struct tarn_request request = taken(1);
	struct tarn_response response;
	char bytes[200] = { 0 };
	int r = -EAGAIN;

	(void)state;
	for (int i = 0; i < 10 && r == -EAGAIN; i++) {
		assert_int_equal(tarn_service_more(service, &request, bytes, sizeof(bytes)), 0);
		r = tarn_client_take(client, second, &response);
	}
	assert_int_equal(r, -ENOBUFS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_client_take(client, first, &response), 0);
	expect_not(second, -EAGAIN);
	assert_int_equal(tarn_client_cancel(client, first), 0);
	expect_not(second, -EAGAIN);
}

static void both_rings_are_bounded(void **state)
{
	struct tarn_request request;
	struct tarn_client_stat stat;
	struct tarn_service_stat served;
	uint64_t call, value = 0;
	char bytes[600] = { 0 };
	void *data;
	int r, count = 0;

	(void)state;
	tarn_client_stat(client, &stat);
	tarn_service_stat(service, &served);
	assert_int_equal(stat.request_max, 512 - 8 - 24);
	assert_int_equal(stat.response_max, served.response_max);
	assert_int_equal(tarn_client_begin(client, bytes, stat.request_max + 1, 0, &call),
			 -EMSGSIZE);
	assert_int_equal(tarn_client_reserve(client, stat.request_max + 1, &data), -EMSGSIZE);
	assert_int_equal(tarn_client_reserve(client, SIZE_MAX, &data), -EMSGSIZE);
	do {
		r = tarn_client_begin(client, bytes, 8, TARN_FOREVER, &call);
		count += r == 0;
	} while (r == 0);
	assert_int_equal(r, -EAGAIN);
	assert_true(count > 20 && count < 26);
	assert_int_equal(tarn_client_reserve(client, 8, &data), -EAGAIN);
	assert_int_equal(tarn_client_reserve_wait(client, 8, tarn_deadline_after(SOON_NS), &data),
			 -ETIMEDOUT);
	request = taken(0);
	assert_int_equal(tarn_service_respond(service, &request, bytes, served.response_max + 1),
			 -EMSGSIZE);
	assert_int_equal(tarn_service_reserve(service, &request, SIZE_MAX, &data), -EMSGSIZE);
	while ((r = tarn_service_more(service, &request, &value, 8)) == 0)
		value++;
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(tarn_service_reserve_wait(service, &request, 8,
						   tarn_deadline_after(SOON_NS), &data),
			 -ETIMEDOUT);
	for (uint64_t i = 0; i < value; i++)
		expect_of(client, 0, 1, TARN_RESPONSE_MORE, i);
	answer(&request, 1);
	expect(1, 1);
	request = taken(0);
}

static void so_many_calls_and_no_more(void **state)
{
	struct tarn_request requests[TARN_CLIENT_CALLS_MAX];
	uint64_t call, last = 0;

	(void)state;
	for (uint64_t i = 0; i < TARN_CLIENT_CALLS_MAX; i++) {
		last = ask(i);
		requests[i] = taken(i);
		tarn_service_release(service, &requests[i]);
	}
	assert_int_equal(tarn_client_begin(client, NULL, 0, 0, &call), -EMFILE);
	answer(&requests[7], 1);
	expect_of(client, 0, 8, TARN_RESPONSE_LAST, 1);
	call = ask(9);
	assert_true(call > last);
	assert_int_equal(call % TARN_CLIENT_CALLS_MAX, 8);
	assert_int_equal(tarn_client_cancel(client, call), 0);
	for (uint64_t i = 0; i < TARN_CLIENT_CALLS_MAX; i++)
		assert_int_equal(tarn_service_cancelled(service, &requests[i]), i == 7);
}

/* --- cancelled, and stale ------------------------------------------------------------------ */

static void who_cancels_is_not_answered(void **state)
{
	uint64_t first = ask(1), second = ask(2), third;
	struct tarn_request request = taken(1);
	struct tarn_client_stat stat;
	void *data;

	(void)state;
	assert_false(tarn_service_cancelled(service, &request));
	more(&request, 5);
	assert_int_equal(tarn_client_cancel(client, first), 0);
	assert_int_equal(tarn_client_cancel(client, first), -ENOENT);
	expect_not(first, -ENOENT);
	assert_true(tarn_service_cancelled(service, &request));
	assert_int_equal(tarn_service_more(service, &request, NULL, 0), -ECANCELED);
	assert_int_equal(tarn_service_reserve_wait(service, &request, 8, TARN_FOREVER, &data),
			 -ECANCELED);
	assert_int_equal(tarn_client_cancel(client, second), 0); /* nobody has taken it */
	third = ask(3);
	request = taken(3);
	assert_false(tarn_service_cancelled(service, &request));
	answer(&request, 30);
	expect(third, 30); /* and not the 5 that lies in front of it */
	tarn_client_stat(client, &stat);
	assert_int_equal(stat.stale, 1);
}

static void a_late_answer_is_nobodys(void **state)
{
	size_t size = 7;
	uint64_t got, call;
	struct tarn_request late, request;

	(void)state;
	assert_int_equal(tarn_client_call(client, &(uint64_t){ 1 }, 8, &got, 8,
					  tarn_deadline_after(1000), &size),
			 -ETIMEDOUT);
	assert_int_equal(size, 7);
	nothing_to_do(service); /* its caller has gone on */
	call = ask(2);
	late = taken(2);
	assert_int_equal(tarn_client_take_wait(client, call, tarn_deadline_after(1000),
					       &(struct tarn_response){ 0 }),
			 -ETIMEDOUT);
	answer(&late, 22);
	assert_int_equal(tarn_client_cancel(client, call), 0);
	call = ask(3);
	request = taken(3);
	expect_not(call, -EAGAIN);
	answer(&request, 33);
	answer(&request, 34); /* twice, by mistake */
	expect(call, 33);
	call = ask(4);
	expect_not(call, -EAGAIN);
	request = taken(4);
	answer(&request, 44);
	expect(call, 44);
}

static void a_successor_gets_no_old_answer(void **state)
{
	struct tarn_request old, request;
	uint64_t call = ask(1);

	(void)state;
	old = taken(1);
	more(&old, 5);
	(void)ask(2); /* lies in the ring */
	tarn_client_close(client);
	assert_int_equal(tarn_client_open(region, "sums", NULL, &client), 0);
	assert_int_equal(tarn_service_respond(service, &old, &call, 8), -EPIPE);
	assert_int_equal(ask(3), call); /* the same number */
	request = taken(3);
	assert_int_equal(request.client, old.client);
	assert_int_not_equal(request.came, old.came);
	assert_int_equal(tarn_service_more(service, &old, &call, 8), -EPIPE);
	assert_true(tarn_service_cancelled(service, &old));
	assert_false(tarn_service_cancelled(service, &request));
	expect_not(call, -EAGAIN);
	answer(&request, 30);
	expect(call, 30);
}

static void what_is_in_use_stays(void **state)
{
	struct tarn_request old, request;

	(void)state;
	(void)ask(1);
	old = taken(1);
	tarn_client_close(client);
	assert_int_equal(tarn_client_open(region, "sums", NULL, &client), 0);
	for (uint64_t i = 0; i < 20; i++)
		(void)ask(100 + i);
	nothing_to_do(service);
	assert_int_equal(value_of(old.data, old.size), 1);
	tarn_service_release(service, &old);
	request = taken(100);
	tarn_service_release(service, &request);
}

/* --- several servers ----------------------------------------------------------------------- */

static void servers_take_turns(void **state)
{
	struct tarn_service *others[3];
	uint64_t calls[8];
	struct tarn_client_stat stat;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_service_open(region, "sums", NULL, &others[i]), 0);
	for (uint64_t i = 0; i < 8; i++)
		calls[i] = ask(i);
	for (uint64_t i = 0; i < 8; i++) {
		struct tarn_service *by = i % 4 == 0 ? service : others[i % 4 - 1];
		struct tarn_request request = take_by(by, i);

		assert_int_equal(tarn_service_respond(by, &request, &i, 8), 0);
		if (i >= 4)
			nothing_to_do(by);
	}
	tarn_client_stat(client, &stat);
	assert_int_equal(stat.servers, 4);
	for (uint64_t i = 8; i > 0; i--)
		expect(calls[i - 1], i - 1);
	for (int i = 0; i < 3; i++)
		tarn_service_close(others[i]);
	tarn_client_stat(client, &stat);
	assert_int_equal(stat.servers, 1);
	for (uint64_t i = 0; i < 4; i++)
		(void)ask(i);
	for (uint64_t i = 0; i < 4; i++) {
		struct tarn_request request = taken(i);

		answer(&request, i);
	}
}

static void who_owes_least_is_asked(void **state)
{
	struct tarn_service *other;
	struct tarn_request request;

	(void)state;
	(void)ask(0);
	(void)ask(1);
	assert_int_equal(tarn_service_open(region, "sums", NULL, &other), 0);
	(void)ask(2);
	(void)ask(3);
	request = take_by(other, 2);
	tarn_service_release(other, &request);
	request = take_by(other, 3);
	tarn_service_close(other);
}

static void a_server_that_leaves_fails_its_calls(void **state)
{
	uint64_t first = ask(1), second = ask(2), third = ask(3);
	struct tarn_request request = taken(1);
	uint64_t call;

	(void)state;
	answer(&request, 10);
	request = taken(2);
	more(&request, 20);
	tarn_service_close(service);
	expect_of(client, 0, first, TARN_RESPONSE_LAST, 10); /* what it had answered is there */
	expect_of(client, second, second, TARN_RESPONSE_MORE, 20);
	expect_not(second, -EPIPE);
	expect_not(third, -EPIPE);
	expect_not(third, -ENOENT);
	assert_int_equal(tarn_client_begin(client, NULL, 0, 0, &call), -ENOTCONN);
	assert_int_equal(tarn_service_open(region, "sums", NULL, &service), 0);
	nothing_to_do(service); /* what was asked of another */
	call = ask(4);
	request = taken(4);
	answer(&request, 40);
	expect(call, 40);
}

static void a_successor_is_not_taken_for_a_server_that_left(void **state)
{
	uint64_t first = ask(1), second;
	struct tarn_request request = taken(1);

	(void)state;
	more(&request, 10);
	tarn_service_close(service);
	assert_int_equal(tarn_service_open(region, "sums", NULL, &service), 0);
	second = ask(2);
	request = taken(2);
	answer(&request, 20);
	expect(second, 20);
	expect_of(client, 0, first, TARN_RESPONSE_MORE, 10);
	expect_not(first, -EPIPE);
}

static void who_is_gone_is_told_by_its_place(void **state)
{
	struct tarn_response response = { .server = 77 };
	struct tarn_service_stat stat;
	struct tarn_service *other;
	uint64_t first, second;

	(void)state;
	assert_int_equal(tarn_service_open(region, "sums", NULL, &other), 0);
	first = ask(1);
	second = ask(2);
	(void)take_by(other, 2); /* they take turns */
	tarn_service_stat(other, &stat);
	tarn_service_close(other);
	assert_int_equal(tarn_client_take(client, 0, &response), -EPIPE);
	assert_int_equal(response.call, second);
	assert_int_equal(response.server, stat.server);
	expect_not(first, -EAGAIN);
}

/* --- opening ------------------------------------------------------------------------------- */

static void refuse(const char *name, const struct tarn_call_opts *with, int error, const char *word)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_call_opts opts = *with;
	struct tarn_service *s;
	struct tarn_client *c;

	opts.diag = &diag;
	assert_int_equal(tarn_service_open(region, name, &opts, &s), error);
	assert_non_null(strstr(diag.what, word));
	diag.what[0] = '\0';
	assert_int_equal(tarn_client_open(region, name, &opts, &c), error);
	assert_non_null(strstr(diag.what, word));
}

static void bad_options_are_refused(void **state)
{
	char name[58];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[56] = '\0';
#define OPTS(...) (&(struct tarn_call_opts){ __VA_ARGS__ })
	refuse("new", OPTS(.request_capacity = 1000), -EINVAL, "request_capacity 1000");
	refuse("new", OPTS(.response_capacity = 512), -EINVAL, "response_capacity 512");
	refuse("new", OPTS(.response_capacity = UINT64_C(1) << 32), -EINVAL, "power of two");
	refuse("new", OPTS(.clients = 1001), -EINVAL, "1001 clients");
	refuse("new", OPTS(.flags = 4), -EINVAL, "flags 0x4");
	refuse("new", OPTS(.reserved = { 1 }), -EINVAL, "not zero");
	refuse("new", OPTS(.flags = TARN_CALL_EXISTING), -ENOENT, "no object new");
	refuse(name, OPTS(.clients = 1), -EINVAL, "55 bytes");
	refuse("a:b", OPTS(.clients = 1), -EINVAL, "':'");
	refuse("", OPTS(.clients = 1), -EINVAL, "name");
	refuse("flags", OPTS(.clients = 0), -EPROTO, "wanted was a service");
	refuse("sums", OPTS(.request_capacity = 2048), -EEXIST, "asked were 2048");
	refuse("sums", OPTS(.clients = 7), -EEXIST, "asked were 0, 0 and 7");
	assert_int_equal(tarn_client_open(region, "new", NULL, &client), -ENOENT);
}

static void places_are_bounded(void **state)
{
	const struct tarn_call_opts opts = { .clients = 2 };
	struct tarn_service *services[TARN_SERVICE_SERVERS_MAX];
	struct tarn_client *clients[2];

	(void)state;
	for (uint32_t i = 0; i < TARN_SERVICE_SERVERS_MAX; i++)
		assert_int_equal(tarn_service_open(region, "few", &opts, &services[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(tarn_client_open(region, "few", &opts, &clients[i]), 0);
	refuse("few", &opts, -EUSERS, "are taken");
	tarn_client_close(clients[0]);
	assert_int_equal(tarn_client_open(region, "few", &opts, &clients[0]), 0);
	for (int i = 0; i < 2; i++)
		tarn_client_close(clients[i]);
	for (uint32_t i = 0; i < TARN_SERVICE_SERVERS_MAX; i++)
		tarn_service_close(services[i]);
}

static void count_objects(uint32_t *ret_count)
{
	struct tarn_region_stat stat;

	assert_int_equal(tarn_region_stat(region, &stat), 0);
	*ret_count = stat.object_count;
}

static void rings_go_with_their_service(void **state)
{
	uint64_t call = ask(1);
	struct tarn_request request = taken(1);
	uint32_t before, after;

	(void)state;
	count_objects(&before);
	assert_int_equal(tarn_object_remove(region, "sums:0.0"), -EBUSY);
	assert_int_equal(tarn_object_remove(region, "sums"), 0);
	answer(&request, 2); /* they who have it go on */
	expect(call, 2);
	tarn_client_close(client);
	tarn_service_close(service);
	client = NULL;
	service = NULL;
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	count_objects(&after);
	assert_int_equal(after, before - 2);
}

static void no_room_for_rings_is_told(void **state)
{
	const struct tarn_call_opts opts = { .request_capacity = 1 << 20 };
	struct tarn_service *s;
	struct tarn_client *c;
	uint64_t call;

	(void)state;
	assert_int_equal(tarn_service_open(region, "large", &opts, &s), 0);
	assert_int_equal(tarn_client_open(region, "large", NULL, &c), 0);
	assert_int_equal(tarn_client_begin(c, NULL, 0, 0, &call), -ENOSPC);
	tarn_client_close(c);
	tarn_service_close(s);
}

static void who_calls_and_who_answers(void **state)
{
	struct tarn_call_peer peer = { .member = 0 };
	uint64_t call = ask(1);
	struct tarn_request request = taken(1);

	(void)state;
	assert_int_equal(tarn_service_peer(service, &request, &peer), 0);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.member, region->id);
	peer.pid = 0;
	assert_int_equal(tarn_client_peer(client, call, &peer), 0);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(tarn_client_peer(client, call + 1, &peer), -ENOENT);
	tarn_client_close(client);
	client = NULL;
	assert_int_equal(tarn_service_peer(service, &request, &peer), -EPIPE);
}

static int use_inherited(void *arg)
{
	struct tarn_response response;
	struct tarn_request request;
	uint64_t call;
	size_t size;
	void *data;

	(void)arg;
	if (tarn_service_take(service, &request) != -EBUSY ||
	    tarn_client_begin(client, NULL, 0, 0, &call) != -EBUSY ||
	    tarn_client_reserve(client, 0, &data) != -EBUSY ||
	    tarn_client_commit(client, 0, 0, &call) != -EBUSY ||
	    tarn_client_take(client, 0, &response) != -EBUSY ||
	    tarn_client_cancel(client, 1) != -EBUSY ||
	    tarn_client_call(client, NULL, 0, NULL, 0, 0, &size) != -EBUSY)
		return 1;
	tarn_client_close(client);
	tarn_service_close(service);
	return 0;
}

static void a_child_opens_its_own(void **state)
{
	uint64_t call = ask(1);
	struct tarn_request request = taken(1);

	(void)state;
	run_dead(use_inherited, NULL);
	answer(&request, 2);
	expect(call, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_both, drop_both)
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_answered),
		TEST(many_laps),
		TEST(both_ways_in_place),
		TEST(what_is_dropped_was_never_there),
		TEST(several_responses),
		TEST(a_server_fails),
		TEST(empty_ones),
		TEST(answers_in_any_order),
		TEST(what_is_kept_is_bounded),
		TEST(both_rings_are_bounded),
		TEST(so_many_calls_and_no_more),
		TEST(who_cancels_is_not_answered),
		TEST(a_late_answer_is_nobodys),
		TEST(a_successor_gets_no_old_answer),
		TEST(what_is_in_use_stays),
		TEST(servers_take_turns),
		TEST(who_owes_least_is_asked),
		TEST(a_server_that_leaves_fails_its_calls),
		TEST(a_successor_is_not_taken_for_a_server_that_left),
		TEST(who_is_gone_is_told_by_its_place),
		TEST(bad_options_are_refused),
		TEST(places_are_bounded),
		TEST(rings_go_with_their_service),
		TEST(no_room_for_rings_is_told),
		TEST(who_calls_and_who_answers),
		TEST(a_child_opens_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
