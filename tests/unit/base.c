/* SPDX-License-Identifier: BSD-2-Clause */
/* Base and the platform's small facts: arithmetic at its edges, sizes in words, deadlines. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"

static void round_up_refuses_overflow(void **state)
{
	uint64_t got = 7;

	(void)state;
	assert_true(tarn__round_up(1, 64, &got));
	assert_int_equal(got, 64);
	assert_true(tarn__round_up(UINT64_MAX - 63, 64, &got));
	assert_false(tarn__round_up(UINT64_MAX - 62, 64, &got));
}

static void inside_never_wraps(void **state)
{
	(void)state;
	assert_true(tarn__inside(0, 0, 0));
	assert_true(tarn__inside(10, 6, 16));
	assert_false(tarn__inside(10, 7, 16));
	assert_false(tarn__inside(UINT64_MAX, 2, 16));
	assert_false(tarn__inside(2, UINT64_MAX, 16));
}

static void sizes_read_well(void **state)
{
	char buf[24];

	(void)state;
	assert_string_equal(tarn__size_text(0, buf), "0 bytes");
	assert_string_equal(tarn__size_text(1023, buf), "1023 bytes");
	assert_string_equal(tarn__size_text(64 << 20, buf), "64 MiB");
	assert_string_equal(tarn__size_text((1 << 20) + (512 << 10), buf), "1.5 MiB");
	assert_string_equal(tarn__size_text(UINT64_MAX, buf), "15.9 EiB");
}

static void deadlines_saturate(void **state)
{
	(void)state;
	assert_true(tarn_deadline_after(INT64_MAX) == TARN_FOREVER);
	assert_true(tarn_deadline_after(-5) <= tarn_now());
	assert_true(tarn_deadline_after(1000000000) > tarn_now());
}

/* Two words, one of which already has another value: the call comes back at once. */
static void waits_return_when_the_value_differs(void **state)
{
	_Atomic uint32_t a = 1, b = 2;

	(void)state;
	assert_int_equal(tarn__plat_futex_wait(&a, 0, TARN_FOREVER), -EAGAIN);
	assert_int_equal(tarn__plat_futex_wait(&a, 1, tarn_now() + 1000), -ETIMEDOUT);

	struct tarn__futex words[2] = { tarn__futex_of(&a, 1), tarn__futex_of(&b, 0) };
	int r = tarn__plat_futex_waitv(words, 2, TARN_FOREVER);

	if (r == -ENOSYS)
		skip();
	assert_int_equal(r, -EAGAIN);
	words[1].value = 2;
	assert_int_equal(tarn__plat_futex_waitv(words, 2, tarn_now() + 1000), -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_up_refuses_overflow),
		cmocka_unit_test(inside_never_wraps),
		cmocka_unit_test(sizes_read_well),
		cmocka_unit_test(deadlines_saturate),
		cmocka_unit_test(waits_return_when_the_value_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
