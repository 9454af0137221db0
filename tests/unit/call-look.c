/* SPDX-License-Identifier: BSD-2-Clause */
/* Who serves and who calls, and what lies in their rings, as others see it. */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/call.h>

#include "flow/call.h"
#include "prim.h"

static struct tarn_service *services[2];
static struct tarn_client *clients[2];
static const struct tarn_call_opts small = { .request_capacity = 1024, .response_capacity = 1024 };

static struct tarn_call_user users[8];
static int user_count;

static int make_all(void **state)
{
	if (make_region(state) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (tarn_service_open(region, "sums", &small, &services[i]) < 0 ||
		    tarn_client_open(region, "sums", NULL, &clients[i]) < 0)
			return -1;
	return 0;
}

static int drop_all(void **state)
{
	for (int i = 0; i < 2; i++) {
		tarn_client_close(clients[i]);
		tarn_service_close(services[i]);
		clients[i] = NULL;
		services[i] = NULL;
	}
	return drop_region(state);
}

static int keep(const struct tarn_call_user *user, void *arg)
{
	(void)arg;
	assert_true(user_count < 8);
	users[user_count++] = *user;
	return 0;
}

static void look_by(struct tarn_region *by, int count)
{
	user_count = 0;
	assert_int_equal(tarn_service_users(by, "sums", keep, NULL), 0);
	assert_int_equal(user_count, count);
}

static void look(int count)
{
	look_by(region, count);
}

static uint64_t ask(int i)
{
	uint64_t call;

	assert_int_equal(tarn_client_begin(clients[i], "12345678", 8, TARN_FOREVER, &call), 0);
	return call;
}

static struct tarn_request taken(int i)
{
	struct tarn_request request = { .number = 0 };

	assert_int_equal(tarn_service_take(services[i], &request), 0);
	return request;
}

static void expect(int at, uint32_t peers, uint64_t requests, uint64_t responses)
{
	assert_int_equal(users[at].peers, peers);
	assert_int_equal(users[at].requests, requests);
	assert_int_equal(users[at].responses, responses);
}

static void all_are_told_of(void **state)
{
	struct tarn_service_stat serves;
	struct tarn_client_stat asks;

	(void)state;
	tarn_service_stat(services[1], &serves);
	tarn_client_stat(clients[1], &asks);
	look(4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(users[i].role, i < 2 ? TARN_CALL_SERVES : TARN_CALL_ASKS);
		assert_int_equal(users[i].pid, getpid());
		assert_int_equal(users[i].uid, geteuid());
		assert_int_equal(users[i].gid, getegid());
		assert_true(users[i].alive);
		expect(i, 0, 0, 0);
	}
	assert_int_equal(users[1].place, serves.server);
	assert_int_equal(users[3].place, asks.client);
}

static void what_lies_in_the_rings_is_counted(void **state)
{
	struct tarn_response response;
	struct tarn_request request;
	uint64_t calls[3];

	(void)state;
	for (int i = 0; i < 3; i++) /* by turns: servers 0, 1, 0 */
		calls[i] = ask(0);
	(void)ask(1);
	look(4);
	expect(0, 2, 3, 0);
	expect(1, 2, 1, 0);
	expect(2, 2, 3, 0);
	expect(3, 2, 1, 0);
	request = taken(1);
	look(4);
	expect(1, 2, 1, 0); /* it lies where it is used */
	assert_int_equal(tarn_service_respond(services[1], &request, "87654321", 8), 0);
	look(4);
	expect(1, 2, 0, 1);
	expect(2, 2, 2, 1);
	assert_int_equal(tarn_client_take(clients[0], calls[1], &response), 0);
	look(4);
	expect(2, 2, 2, 1); /* the same */
	tarn_client_release(clients[0]);
	look(4);
	expect(2, 2, 2, 0);
	assert_int_equal(tarn_client_cancel(clients[0], calls[0]), 0);
	look(4);
	expect(0, 2, 2, 0);
	expect(2, 2, 1, 0);
}

static void laps_are_counted_right(void **state)
{
	(void)state;
	for (int n = 0; n < 300; n++) {
		struct tarn_response response;
		struct tarn_request request;
		uint64_t call = ask(0);

		look(4);
		expect(2, 2, 1, 0);
		request = taken(n % 2);
		assert_int_equal(
			tarn_service_respond(services[n % 2], &request, users, (size_t)n % 200), 0);
		look(4);
		expect(2, 2, 0, 1);
		assert_int_equal(tarn_client_take(clients[0], call, &response), 0);
	}
}

static void who_leaves_is_no_more(void **state)
{
	(void)state;
	(void)ask(0);
	(void)ask(0);
	tarn_service_close(services[0]);
	services[0] = NULL;
	look(3);
	assert_int_equal(users[0].place, 1);
	expect(0, 2 - 1, 1, 0); /* the other client has not looked yet */
	tarn_client_close(clients[0]);
	clients[0] = NULL;
	look(2);
	expect(0, 0, 0, 0);
}

static int serve_and_die(void *arg)
{
	struct tarn_service *service;

	(void)arg;
	return tarn_service_open(region, "sums", &small, &service);
}

static int ask_and_die(void *arg)
{
	struct tarn_client *client;
	uint64_t call;
	int r = tarn_client_open(region, "sums", NULL, &client);

	for (int i = 0; i < 4 && r == 0; i++)
		r = tarn_client_begin(client, arg, 4, TARN_FOREVER, &call);
	return r;
}

static void killed(int (*fn)(void *arg), void *arg)
{
	int status;

	assert_int_equal(waitpid(start(fn, arg), &status, 0) > 0, 1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void the_dead_are_told_of_and_their_calls_wanted_by_nobody(void **state)
{
	(void)state;
	killed(ask_and_die, "dead");
	look(5);
	assert_false(users[4].alive);
	assert_int_not_equal(users[4].pid, getpid());
	expect(4, 2, 4, 0);
	expect(0, 0, 0, 0);
	expect(1, 0, 0, 0);
	killed(serve_and_die, NULL);
	look(6);
	assert_false(users[2].alive);
	assert_int_equal(users[2].role, TARN_CALL_SERVES);
}

static void what_the_dead_left_is_not_their_successors(void **state)
{
	struct tarn_client *successor;
	uint64_t call;

	(void)state;
	killed(ask_and_die, "dead");
	assert_int_equal(tarn_client_open(region, "sums", NULL, &successor), 0);
	assert_int_equal(tarn_client_begin(successor, "new", 3, TARN_FOREVER, &call), 0);
	look(5);
	assert_true(users[4].alive);
	assert_int_equal(users[4].place, 2);
	expect(4, 2, 1, 0);
	tarn_client_close(successor);
}

static void looking_changes_nothing(void **state)
{
	const struct tarn_region_opts look_on = { .flags = TARN_REGION_OBSERVE };
	struct tarn_region_stat stat;
	struct tarn_region *other;
	const unsigned char *bytes;
	unsigned char *copy;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "look%d", (int)getpid());
	drop_all(NULL);
	alarm(60);
	assert_int_equal(tarn_region_create(name, NULL, &region), 0);
	assert_int_equal(tarn_service_open(region, "sums", &small, &services[0]), 0);
	assert_int_equal(tarn_client_open(region, "sums", NULL, &clients[0]), 0);
	(void)ask(0);
	assert_int_equal(tarn_region_open(name, &look_on, &other), 0);
	assert_int_equal(tarn_region_stat(region, &stat), 0);
	bytes = region->base;
	copy = malloc(stat.size);
	assert_non_null(copy);
	memcpy(copy, bytes, stat.size);
	look_by(other, 2);
	expect(0, 1, 1, 0);
	assert_memory_equal(copy, bytes, stat.size);
	free(copy);
	tarn_region_close(other);
	assert_int_equal(tarn_region_remove(name, NULL), 0);
}

static int stop_at_second(const struct tarn_call_user *user, void *arg)
{
	(void)user;
	return ++*(int *)arg == 2 ? 17 : 0;
}

static void what_is_no_service_is_told(void **state)
{
	int count = 0;

	(void)state;
	assert_int_equal(tarn_service_users(region, "sums", stop_at_second, &count), 17);
	assert_int_equal(count, 2);
	assert_int_equal(tarn_service_users(region, "none", keep, NULL), -ENOENT);
	assert_int_equal(tarn_service_users(region, "flags", keep, NULL), -EPROTO);
	assert_int_equal(tarn_service_users(region, "sums:0.0", keep, NULL), -EINVAL);
	assert_int_equal(tarn_service_users(region, "", keep, NULL), -EINVAL);
}

static void damage_is_told_or_passed_over(void **state)
{
	struct party *party = (struct party *)services[0];
	uint32_t magic = party->shm->magic;

	(void)state;
	(void)ask(0);
	party->shm->magic ^= 1;
	assert_int_equal(tarn_service_users(region, "sums", keep, NULL), -EUCLEAN);
	party->shm->magic = magic;
	atomic_store(&party->me->side.owner, UINT32_MAX);
	user_count = 0;
	assert_int_equal(tarn_service_users(region, "sums", keep, NULL), 0);
	assert_int_equal(user_count, 3);
	atomic_store(&party->me->side.owner, party->id);
	look(4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_are_told_of, make_all, drop_all),
		cmocka_unit_test_setup_teardown(what_lies_in_the_rings_is_counted, make_all,
						drop_all),
		cmocka_unit_test_setup_teardown(laps_are_counted_right, make_all, drop_all),
		cmocka_unit_test_setup_teardown(who_leaves_is_no_more, make_all, drop_all),
		cmocka_unit_test_setup_teardown(
			the_dead_are_told_of_and_their_calls_wanted_by_nobody, make_all, drop_all),
		cmocka_unit_test_setup_teardown(what_the_dead_left_is_not_their_successors,
						make_all, drop_all),
		cmocka_unit_test_setup_teardown(looking_changes_nothing, make_all, drop_all),
		cmocka_unit_test_setup_teardown(what_is_no_service_is_told, make_all, drop_all),
		cmocka_unit_test_setup_teardown(damage_is_told_or_passed_over, make_all, drop_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
