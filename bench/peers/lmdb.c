/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lmdb.c - LMDB in /dev/shm, a transaction for each put and each get; nothing is synced to a disk.
 *
 * A message is the value of key (channel, number % KEYS): the sender puts it, the receiver gets it
 * again and again until it is the one expected. So a round trip has two puts and at least two
 * gets, and "write" is what a put costs. What a get costs is a row of its own, under "write", where
 * what one side does alone is measured; it reads one of the keys that were put before.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peers.h"

enum { KEYS = 16, ROOM = 256 << 20 };

static MDB_env *env;
static MDB_txn *reader;
static MDB_dbi table;
static char folder[64];

struct key {
	uint32_t channel, number;
};

static void must(struct bench *b, const char *what, int r)
{
	char text[96];

	if (r == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, mdb_strerror(r));
	bench_fail(b, text, 0);
}

static void open_env(struct bench *b)
{
	MDB_txn *txn;

	must(b, "mdb_env_create", mdb_env_create(&env));
	must(b, "mdb_env_set_mapsize", mdb_env_set_mapsize(env, ROOM));
	must(b, "mdb_env_open",
	     mdb_env_open(env, folder, MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC, 0600));
	must(b, "mdb_txn_begin", mdb_txn_begin(env, NULL, 0, &txn));
	must(b, "mdb_dbi_open", mdb_dbi_open(txn, NULL, 0, &table));
	must(b, "mdb_txn_commit", mdb_txn_commit(txn));
}

/* An environment must not be carried over a fork: each side opens it for itself. */
static void lmdb_begin(struct bench *b)
{
	snprintf(folder, sizeof(folder), "/dev/shm/tarn-bench-lmdb-%d", (int)getpid());
	if (mkdir(folder, 0700) != 0)
		bench_fail(b, folder, errno);
	b->shm->keep[0] = (uint64_t)getpid();
}

static void lmdb_clean(struct bench *b)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "" };
	char path[96];

	if (b->shm->keep[0] == 0)
		return;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/dev/shm/tarn-bench-lmdb-%d/%s", (int)b->shm->keep[0],
			 names[i]);
		if (names[i][0] != 0)
			(void)unlink(path);
		else
			(void)rmdir(path);
	}
}

static void put(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct key key = { channel, (uint32_t)(number % KEYS) };
	MDB_val name = { sizeof(key), &key }, value = { size, NULL };
	MDB_txn *txn;

	must(b, "mdb_txn_begin", mdb_txn_begin(env, NULL, 0, &txn));
	must(b, "mdb_put", mdb_put(txn, table, &name, &value, MDB_RESERVE));
	bench_fill(b, value.mv_data, size, number);
	must(b, "mdb_txn_commit", mdb_txn_commit(txn));
}

/* Look once: is it @number? Then it is checked where it lies. */
static bool get(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct key key = { channel, (uint32_t)(number % KEYS) };
	MDB_val name = { sizeof(key), &key }, value;
	bool found;

	must(b, "mdb_txn_renew", mdb_txn_renew(reader));
	int r = mdb_get(reader, table, &name, &value);

	if (r != MDB_NOTFOUND)
		must(b, "mdb_get", r);
	found = r == 0 && memcmp(value.mv_data, &number, 8) == 0;
	if (found && value.mv_size != size)
		bench_fail(b, "a value of another size", EBADMSG);
	if (found)
		bench_check(b, value.mv_data, size, number);
	mdb_txn_reset(reader);
	return found;
}

static void value_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	put(b, channel, size, number);
}

static void value_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	while (!get(b, channel, size, number))
		bench_pause(b);
}

static void lmdb_attach(struct bench *b)
{
	/* one after the other: the first one makes the files */
	for (unsigned side = 0; side < b->sides; side++) {
		if (side == b->side)
			open_env(b);
		bench_meet(b);
	}
	must(b, "mdb_txn_begin", mdb_txn_begin(env, NULL, MDB_RDONLY, &reader));
	mdb_txn_reset(reader);
}

static void get_attach(struct bench *b)
{
	lmdb_attach(b);
	if (b->side == 0)
		for (uint64_t number = 0; number < KEYS; number++)
			put(b, 0, b->cell->size, number);
}

static void lmdb_detach(struct bench *b)
{
	(void)b;
	mdb_txn_abort(reader);
	mdb_env_close(env);
}

PEERS_LOOPS_LARGE(run, value_send, value_recv)

static void get_one(struct bench *b, size_t size, uint64_t number)
{
	if (!get(b, 0, size, number % KEYS))
		bench_fail(b, "what was put is not there", ENOENT);
}

static void nothing(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
}

BENCH_LOCK_LOOPS(get_run, get_one, nothing)

enum { VALUE_MAX = 1 << 20 };

static const struct bench_variant variants[] = {
	{ BENCH_BUSY, BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_WRITE), 8, VALUE_MAX, run },
	{ 0 },
};

static const struct bench_variant get_variants[] = {
	{ BENCH_BUSY, BENCH_BIT(BENCH_WRITE), 8, VALUE_MAX, get_run },
	{ 0 },
};

const struct bench_contestant bench_lmdb = {
	.name = "LMDB put",
	.group = BENCH_PEER,
	.what = "LMDB, a transaction a put, polled with one a get",
	.variants = variants,
	.open = lmdb_begin,
	.attach = lmdb_attach,
	.detach = lmdb_detach,
	.clean = lmdb_clean,
};

const struct bench_contestant bench_lmdb_get = {
	.name = "LMDB get",
	.group = BENCH_PEER,
	.what = "LMDB, a read transaction a get; stands under write",
	.variants = get_variants,
	.open = lmdb_begin,
	.attach = get_attach,
	.detach = lmdb_detach,
	.clean = lmdb_clean,
};
