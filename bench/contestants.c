/* SPDX-License-Identifier: BSD-2-Clause */
/* contestants.c - the table: within a measure and a size, rows stand in this order. */
#include "contestants.h"
#include "engine.h"

const struct bench_contestant *const bench_contestants[] = {
	&bench_tarn_ring,
	&bench_tarn_ring_stream,
	&bench_tarn_ring_asleep,
	&bench_tarn_section,
	&bench_tarn_mutex,
	&bench_tarn_sem,
	&bench_tarn_rwlock,
	&bench_tarn_spin,
	&bench_tarn_topic,
	&bench_tarn_latest_write,
	&bench_tarn_latest_read,
	&bench_tarn_latest_hold,
	&bench_tarn_mutex_write,
	&bench_tarn_mutex_read,
	&bench_tarn_rwlock_write,
	&bench_tarn_rwlock_read,
	&bench_hand,
	&bench_pipe,
	&bench_unix_stream,
	&bench_unix_datagram,
	&bench_unix_seqpacket,
	&bench_tcp,
	&bench_mqueue,
	&bench_sysv,
	&bench_vm_readv,
	&bench_vmsplice,
	&bench_io_uring,
	&bench_eventfd,
	&bench_futex,
	NULL,
};
