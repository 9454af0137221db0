/* SPDX-License-Identifier: BSD-2-Clause */
/* failing.h - one call of plat that fails, whichever, and nothing left open by it. */
#ifndef TESTS_UNIT_FAILING_H
#define TESTS_UNIT_FAILING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plat/plat.h"

/* Which call fails, counted from 0, and how; put fail_one at tarn__plat_fault. */
static struct {
	unsigned calls, at;
	int with;
} failing;

static inline int fail_one(enum tarn_plat_call call)
{
	(void)call;
	return failing.calls++ == failing.at ? failing.with : 0;
}

static inline int count_name(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static inline int descriptors(void)
{
	int count = 0;

	assert_int_equal(tarn__plat_listdir("/proc/self/fd", count_name, &count), 0);
	return count;
}

#endif /* TESTS_UNIT_FAILING_H */
