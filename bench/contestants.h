/* SPDX-License-Identifier: BSD-2-Clause */
/* contestants.h - one line each; contestants.c lists them. */
#ifndef BENCH_CONTESTANTS_H
#define BENCH_CONTESTANTS_H

#include "contestant.h"

extern const struct bench_contestant bench_pipe; /* kernel_stream.c */
extern const struct bench_contestant bench_unix_stream;
extern const struct bench_contestant bench_tcp;
extern const struct bench_contestant bench_unix_datagram; /* kernel_packet.c */
extern const struct bench_contestant bench_unix_seqpacket;
extern const struct bench_contestant bench_mqueue; /* kernel_queue.c */
extern const struct bench_contestant bench_sysv;
extern const struct bench_contestant bench_eventfd; /* kernel_signal.c */
extern const struct bench_contestant bench_futex;
extern const struct bench_contestant bench_vm_readv; /* kernel_memory.c */
extern const struct bench_contestant bench_vmsplice;
extern const struct bench_contestant bench_io_uring; /* kernel_uring.c */

extern const struct bench_contestant bench_tarn_ring; /* tarn_ring.c */
extern const struct bench_contestant bench_tarn_ring_stream;
extern const struct bench_contestant bench_tarn_ring_asleep;
extern const struct bench_contestant bench_tarn_section; /* tarn_locks.c */
extern const struct bench_contestant bench_tarn_mutex;
extern const struct bench_contestant bench_tarn_sem;
extern const struct bench_contestant bench_tarn_rwlock;
extern const struct bench_contestant bench_tarn_spin;
extern const struct bench_contestant bench_tarn_recursive;
extern const struct bench_contestant bench_tarn_owned;
extern const struct bench_contestant bench_tarn_shared;
extern const struct bench_contestant bench_tarn_seqlock;
extern const struct bench_contestant bench_tarn_once;
extern const struct bench_contestant bench_tarn_event; /* tarn_signals.c */
extern const struct bench_contestant bench_tarn_event_manual;
extern const struct bench_contestant bench_tarn_cond;
extern const struct bench_contestant bench_tarn_cond_in;
extern const struct bench_contestant bench_tarn_barrier;
extern const struct bench_contestant bench_tarn_topic; /* tarn_topic.c */
extern const struct bench_contestant bench_tarn_topic_timed;
extern const struct bench_contestant bench_tarn_topic_lossy;
extern const struct bench_contestant bench_tarn_topic_newest;
extern const struct bench_contestant bench_tarn_topic_apart;
extern const struct bench_contestant bench_tarn_call; /* tarn_call.c */
extern const struct bench_contestant bench_tarn_call_asleep;
extern const struct bench_contestant bench_tarn_waiter; /* tarn_waiter.c */
extern const struct bench_contestant bench_tarn_waiter_epoll;
extern const struct bench_contestant bench_tarn_latest; /* tarn_latest.c */
extern const struct bench_contestant bench_tarn_latest_write;
extern const struct bench_contestant bench_tarn_latest_read;
extern const struct bench_contestant bench_tarn_latest_hold;
extern const struct bench_contestant bench_tarn_mutex_write;
extern const struct bench_contestant bench_tarn_mutex_read;
extern const struct bench_contestant bench_tarn_rwlock_write;
extern const struct bench_contestant bench_tarn_rwlock_read;
extern const struct bench_contestant bench_tarn_seqlock_write;
extern const struct bench_contestant bench_tarn_seqlock_read;
extern const struct bench_contestant bench_own_add; /* tarn_counters.c */
extern const struct bench_contestant bench_shared_add;
extern const struct bench_contestant bench_shared_add_8;
extern const struct bench_contestant bench_tarn_counter_add;
extern const struct bench_contestant bench_tarn_counter_add_8;
extern const struct bench_contestant bench_tarn_histogram;
extern const struct bench_contestant bench_tarn_counters_read;
extern const struct bench_contestant bench_tarn_counters_read_8;
extern const struct bench_contestant bench_hand; /* hand_queue.c */

#endif /* BENCH_CONTESTANTS_H */
