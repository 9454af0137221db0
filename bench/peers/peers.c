/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peers.c - the table of peers. One whose package was not there when this was compiled has a row
 * that says so, and nothing of it is measured.
 */
#include "../engine.h"
#include "peers.h"

/* Never called: a row with a reason is not measured. */
static void nothing(struct bench *b)
{
	(void)b;
}

__attribute__((unused)) static const struct bench_variant absent[] = {
	{ BENCH_BUSY, BENCH_BIT(BENCH_ROUND_TRIP), 8, 8, nothing },
	{ 0 },
};

#define ABSENT(id, name, what, package)                                                            \
	static const char *missing_##id(void)                                                      \
	{                                                                                          \
		return "it was built without the package " package ": dev/setup peers";            \
	}                                                                                          \
	const struct bench_contestant bench_##id = {                                               \
		name, BENCH_PEER, what, absent, NULL, NULL, NULL, NULL, missing_##id, 0, 0,        \
	};

#ifndef PEERS_BOOST
ABSENT(boost_mq, "Boost", "Boost.Interprocess and Boost.Lockfree", "libboost-dev")
#endif
#ifndef PEERS_QB
ABSENT(qb, "libqb ring", "libqb, qb_rb between processes", "libqb-dev")
#endif
#ifndef PEERS_CK
ABSENT(ck_spsc, "CK ring", "Concurrency Kit, ck_ring", "libck-dev")
#endif
#ifndef PEERS_DPDK
ABSENT(dpdk_spsc, "DPDK ring", "DPDK, rte_ring", "libdpdk-dev")
#endif
#ifndef PEERS_ZMQ
ABSENT(zmq, "ZeroMQ", "ZeroMQ over ipc://", "libzmq3-dev")
#endif
#ifndef PEERS_NNG
ABSENT(nng, "nng", "nng over UNIX sockets", "libnng-dev")
#endif
#ifndef PEERS_LMDB
ABSENT(lmdb, "LMDB put", "LMDB", "liblmdb-dev")
#endif

const struct bench_contestant *const bench_more[] = {
	&bench_boost_mq,
#ifdef PEERS_BOOST
	&bench_boost_cond,
	&bench_boost_spsc,
	&bench_boost_mutex,
#endif
	&bench_qb,
	&bench_ck_spsc,
#ifdef PEERS_CK
	&bench_ck_mpmc,
#endif
	&bench_dpdk_spsc,
#ifdef PEERS_DPDK
	&bench_dpdk_mpmc,
#endif
	&bench_zmq,
	&bench_nng,
	&bench_ompi,
	&bench_mpich,
	&bench_pthread_mutex,
	&bench_pthread_robust,
	&bench_pthread_read,
	&bench_pthread_write,
	&bench_pthread_spin,
	&bench_pthread_cond,
	&bench_posix_sem,
	&bench_sysv_sem,
	&bench_lmdb,
#ifdef PEERS_LMDB
	&bench_lmdb_get,
#endif
	NULL,
};
