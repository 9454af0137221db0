/* SPDX-License-Identifier: BSD-2-Clause */
/* relay.c - the relay's state word, on both of its ends. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "relay.h"

bool relay_await(struct relay *relay, uint32_t state, long ns)
{
	const struct timespec most = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	uint32_t now = __atomic_load_n(&relay->state, __ATOMIC_ACQUIRE);

	if (now < state)
		syscall(SYS_futex, &relay->state, FUTEX_WAIT, now, &most, NULL, 0);
	return __atomic_load_n(&relay->state, __ATOMIC_ACQUIRE) >= state;
}

void relay_advance(struct relay *relay, uint32_t state)
{
	__atomic_store_n(&relay->state, state, __ATOMIC_RELEASE);
	syscall(SYS_futex, &relay->state, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}
