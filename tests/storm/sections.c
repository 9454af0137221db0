/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sections in a storm: processes of two threads each change two sorted lists in one region, and are
 * killed at random; exact accounts at the end.
 *
 * List a and the free nodes are under section "a", list b under section "b". A thread inserts,
 * removes, moves from one list to the other (both sections in one tx), changes and aborts, writes
 * more than the journal takes, and reads without entering. With each change, in the same tx, it
 * counts it in its own book, which lies in the region too: so that a change and its entry are there
 * together or not at all. Outside the region it says, before leaving, what it is about to make
 * final, and that it is final once leave has returned; so a death leaves a doubt of one change:
 *
 *   the lists' lengths are what all books together say; no node is in two lists, or in none
 *   no book lacks a change that leave had confirmed, or has one that was never begun
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/section.h>

#include "storm.h"

enum { PROCESSES = 4, THREADS = 2, BOOKS = PROCESSES * THREADS, NODES = 48, KEYS = 96 };

enum mutant { NO_MUTANT, UNLOGGED, BOOK_APART, NO_MUTANT_KNOWN };
static const char *const mutant_names[] = { "none", "unlogged", "book-apart" };

struct node {
	uint64_t next, key;
};

struct list {
	uint64_t head, count;
};

struct book {
	uint64_t changes;
	int64_t in_a, in_b; /* what they have added up to */
};

struct pool {
	struct list a, b;
	uint64_t free, free_count;
	struct book books[BOOKS];
	struct node nodes[NODES + 1];
};

/* Outside the region. */
struct ledger {
	_Atomic uint64_t begun;
	_Atomic uint64_t final;
};

struct shared {
	char addr[96];
	enum mutant mutant;
	_Atomic uint32_t stop;
	_Atomic uint64_t reads;
	struct ledger ledgers[BOOKS];
	_Atomic uint32_t log_count;
	char log[LOG_LINES][200];
};

static struct shared *shared;
static struct tarn_region *region;
static struct tarn_section *section_a, *section_b;
static struct pool *pool;

static void violation(const char *what, int64_t one, int64_t other)
{
	uint32_t line = atomic_fetch_add(&shared->log_count, 1);

	if (line < LOG_LINES)
		snprintf(shared->log[line], sizeof(shared->log[line]), "%s (%lld, %lld)", what,
			 (long long)one, (long long)other);
}

static void must(const char *what, int r)
{
	if (r == 0)
		return;
	violation(what, r, 0);
	_exit(1);
}

/* --- changing ------------------------------------------------------------------------------ */

static struct tarn_tx *enter(struct tarn_section *section)
{
	struct tarn_tx *tx;

	must("enter",
	     tarn_section_enter(section, tarn_deadline_after(INT64_C(60000000000)), &tx, NULL));
	return tx;
}

static uint64_t *link_before(struct list *list, uint64_t key)
{
	uint64_t *link = &list->head;

	for (int steps = 0; *link != 0; steps++) {
		if (*link > NODES || steps > NODES)
			must("a list leads astray", (int)*link);
		if (pool->nodes[*link].key >= key)
			break;
		link = &pool->nodes[*link].next;
	}
	return link;
}

static bool insert(struct tarn_tx *tx, struct list *list, uint64_t key)
{
	uint64_t x = pool->free, *link = link_before(list, key);

	if (x == 0 || (*link != 0 && pool->nodes[*link].key == key))
		return false;
	tarn_tx_set64(tx, &pool->free, pool->nodes[x].next);
	tarn_tx_set64(tx, &pool->free_count, pool->free_count - 1);
	tarn_tx_set64(tx, &pool->nodes[x].key, key);
	tarn_tx_set64(tx, &pool->nodes[x].next, *link);
	if (shared->mutant == UNLOGGED)
		*link = x;
	else
		tarn_tx_set64(tx, link, x);
	tarn_tx_set64(tx, &list->count, list->count + 1);
	return true;
}

static bool take_out(struct tarn_tx *tx, struct list *list, uint64_t key)
{
	uint64_t *link = link_before(list, key), x = *link;

	if (x == 0 || pool->nodes[x].key != key)
		return false;
	tarn_tx_set64(tx, link, pool->nodes[x].next);
	tarn_tx_set64(tx, &pool->nodes[x].next, pool->free);
	tarn_tx_set64(tx, &pool->free, x);
	tarn_tx_set64(tx, &pool->free_count, pool->free_count + 1);
	tarn_tx_set64(tx, &list->count, list->count - 1);
	return true;
}

static void write_book(struct tarn_tx *tx, struct book *book, int64_t a, int64_t b)
{
	struct book now = { book->changes + 1, book->in_a + a, book->in_b + b };

	if (shared->mutant == BOOK_APART) {
		*book = now;
		harness_sleep_us(100); /* time to die in */
	} else {
		(void)tarn_tx_write(tx, book, &now, sizeof(now));
	}
}

static void finish(struct tarn_tx *tx, int n, int64_t a, int64_t b)
{
	struct ledger *ledger = &shared->ledgers[n];

	write_book(tx, &pool->books[n], a, b);
	atomic_fetch_add(&ledger->begun, 1);
}

static void final(int n)
{
	atomic_fetch_add(&shared->ledgers[n].final, 1);
}

static void change_one(int n, uint64_t key, bool in)
{
	struct tarn_tx *tx = enter(section_a);
	bool done = in ? insert(tx, &pool->a, key) : take_out(tx, &pool->a, key);

	if (done)
		finish(tx, n, in ? 1 : -1, 0);
	must("leave", tarn_section_leave(section_a));
	if (done)
		final(n);
}

static void move(int n, uint64_t key, bool to_b)
{
	struct tarn_tx *tx = enter(section_a);
	bool done;

	(void)enter(section_b);
	if (to_b)
		done = take_out(tx, &pool->a, key) && insert(tx, &pool->b, key);
	else
		done = take_out(tx, &pool->b, key) && insert(tx, &pool->a, key);
	if (!done) { /* half of it may be */
		must("abort", tarn_section_abort(section_b));
		return;
	}
	finish(tx, n, to_b ? -1 : 1, to_b ? 1 : -1);
	must("leave", tarn_section_leave(section_b));
	must("leave", tarn_section_leave(section_a));
	final(n);
}

static void change_in_vain(uint64_t key)
{
	struct tarn_tx *tx = enter(section_a);

	(void)insert(tx, &pool->a, key);
	(void)take_out(tx, &pool->a, (key * 7) % KEYS + 1);
	must("abort", tarn_section_abort(section_a));
}

static void overflow(void)
{
	struct tarn_tx *tx = enter(section_b);
	int r = 0;

	for (int i = 0; i < 100 && r == 0; i++)
		r = tarn_tx_set64(tx, &pool->b.count, 1000);
	if (r != -ENOSPC)
		violation("overflow", r, -ENOSPC);
	if (tarn_section_leave(section_b) != -ENOSPC)
		violation("a tx that did not fit was kept", 0, 0);
}

static void look(void)
{
	struct list seen;
	int r = tarn_section_read(section_b, &seen, &pool->b, sizeof(seen),
				  tarn_deadline_after(INT64_C(60000000000)));

	must("read", r);
	if ((seen.head == 0) != (seen.count == 0) || seen.count > NODES)
		violation("a reader saw half a change", (int64_t)seen.head, (int64_t)seen.count);
	atomic_fetch_add(&shared->reads, 1);
}

/* --- a process ----------------------------------------------------------------------------- */

static void work(int n, uint64_t seed)
{
	while (atomic_load(&shared->stop) == 0) {
		uint64_t draw = storm_random(&seed);
		uint64_t key = draw / 16 % KEYS + 1;

		switch (draw % 16) {
		case 0:
			change_in_vain(key);
			break;
		case 1:
			overflow();
			break;
		case 2:
		case 3:
			look();
			break;
		case 4:
		case 5:
		case 6:
		case 7:
		case 8:
			move(n, key, (draw & 1u << 20) != 0);
			break;
		default:
			change_one(n, key, (draw & 1u << 21) != 0);
		}
	}
}

static void join(void)
{
	void *data;

	must("open", tarn_region_open(shared->addr, NULL, &region));
	must("section a", tarn_section_open(region, "a", NULL, &section_a));
	must("section b", tarn_section_open(region, "b", NULL, &section_b));
	must("pool", tarn_object_open(region, "pool", &data, NULL));
	pool = data;
}

struct job {
	int n;
	uint64_t seed;
};

static void *run_job(void *arg)
{
	const struct job *job = arg;

	work(job->n, job->seed);
	return NULL;
}

static pid_t start(int process, uint64_t seed)
{
	pid_t pid = fork();
	struct job jobs[THREADS];
	pthread_t thread;

	if (pid != 0)
		return pid;
	join();
	for (int i = 0; i < THREADS; i++)
		jobs[i] = (struct job){ .n = process * THREADS + i, .seed = seed + (uint64_t)i };
	must("thread", pthread_create(&thread, NULL, run_job, &jobs[1]));
	work(jobs[0].n, jobs[0].seed);
	pthread_join(thread, NULL);
	_exit(0);
}

/* --- the account --------------------------------------------------------------------------- */

static int64_t length(const struct list *list, unsigned char *seen)
{
	int64_t count = 0;
	uint64_t last = 0;

	for (uint64_t x = list->head; x != 0; x = pool->nodes[x].next) {
		if (x > NODES || seen[x]++ != 0)
			return -1;
		if (pool->nodes[x].key <= last)
			violation("a list is not in order", (int64_t)x, (int64_t)last);
		last = pool->nodes[x].key;
		count++;
	}
	if ((uint64_t)count != list->count)
		violation("a list's length", count, (int64_t)list->count);
	return count;
}

static void take_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	printf("# %s: %s %s\n", finding->where, finding->field, finding->rule);
	violation("the checker found something", (int64_t)finding->found,
		  (int64_t)finding->expected);
}

static uint64_t settle(void)
{
	unsigned char seen[NODES + 1] = { 0 };
	int64_t a = 0, b = 0, in_a, in_b, unused = 0;
	uint64_t changes = 0;

	join();
	(void)enter(section_a);
	(void)enter(section_b);
	for (int i = 0; i < BOOKS; i++) {
		const struct book *book = &pool->books[i];
		uint64_t final = shared->ledgers[i].final, begun = shared->ledgers[i].begun;

		/* a death leaves one that was begun, and made final or not */
		if (book->changes < final || book->changes > begun)
			violation("a book", (int64_t)book->changes, (int64_t) final);
		changes += book->changes;
		a += book->in_a;
		b += book->in_b;
	}
	in_a = length(&pool->a, seen);
	in_b = length(&pool->b, seen);
	for (uint64_t x = pool->free; x != 0 && x <= NODES && seen[x]++ == 0;
	     x = pool->nodes[x].next)
		unused++;
	if (in_a != a || in_b != b)
		violation("the lists are not what the books say", in_a - a, in_b - b);
	if (in_a + in_b + unused != NODES || pool->free_count != (uint64_t)unused)
		violation("nodes are lost", in_a + in_b, unused);
	must("leave", tarn_section_leave(section_b));
	must("leave", tarn_section_leave(section_a));
	(void)!tarn_region_gc(region, NULL);
	(void)!tarn_region_check(region, take_finding, NULL);
	tarn_section_close(section_a);
	tarn_section_close(section_b);
	tarn_object_close(region, pool);
	tarn_region_close(region);
	return changes;
}

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 64 << 10, .member_max = 32 };
	const struct tarn_section_opts small = { .journal_size = 1024 };
	void *data;

	must("create", tarn_region_create(shared->addr, &opts, &region));
	must("a", tarn_section_open(region, "a", &small, &section_a));
	must("b", tarn_section_open(region, "b", &small, &section_b));
	must("pool", tarn_object_create(region, "pool", sizeof(*pool), &data, NULL));
	pool = data;
	for (uint64_t x = 1; x <= NODES; x++)
		pool->nodes[x].next = x < NODES ? x + 1 : 0;
	pool->free = 1;
	pool->free_count = NODES;
	tarn_section_close(section_a);
	tarn_section_close(section_b);
	tarn_object_close(region, pool);
	tarn_region_close(region);
}

static uint64_t rage(pid_t *pids, int64_t end, uint64_t *seed)
{
	uint64_t kills = 0;

	while (harness_now() < end && shared->log_count == 0) {
		int i = (int)(storm_random(seed) % PROCESSES), status;

		harness_sleep_us((int64_t)(storm_random(seed) % 3000));
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		if (!WIFSIGNALED(status))
			violation("a process ended by itself", status, i);
		kills++;
		pids[i] = start(i, storm_random(seed));
	}
	return kills;
}

static void calm(pid_t *pids)
{
	atomic_store(&shared->stop, 1);
	for (int i = 0; i < PROCESSES; i++) {
		int status = 0;

		if (harness_reap(pids[i], 30000, &status) == 0 && status == 0)
			continue;
		violation("a process hangs or failed", i, status);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
}

static bool parse(int argc, char **argv, int64_t *seconds, uint64_t *seed)
{
	*seconds = 5;
	*seed = (uint64_t)harness_now();
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--seconds=", 10) == 0) {
			*seconds = strtol(argv[i] + 10, NULL, 10);
		} else if (strncmp(argv[i], "--seed=", 7) == 0) {
			*seed = strtoull(argv[i] + 7, NULL, 0);
		} else if (strncmp(argv[i], "--mutant=", 9) == 0) {
			int m = NO_MUTANT_KNOWN - 1;

			while (m > 0 && strcmp(mutant_names[m], argv[i] + 9) != 0)
				m--;
			shared->mutant = (enum mutant)m;
			if (m == 0)
				return false;
		} else {
			return false;
		}
	}
	return *seconds > 0;
}

int main(int argc, char **argv)
{
	pid_t pids[PROCESSES];
	int64_t seconds;
	uint64_t seed, kills, changes;

	shared = harness_shared(sizeof(*shared));
	if (!parse(argc, argv, &seconds, &seed)) {
		fprintf(stderr,
			"usage: %s [--seconds=N] [--seed=N] [--mutant=unlogged|book-apart]\n",
			argv[0]);
		return 2;
	}
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run are looked at\n");
	snprintf(shared->addr, sizeof(shared->addr), "%ssections", harness_prefix());
	printf("# sections: seed %llu, %lld s\n", (unsigned long long)seed, (long long)seconds);
	fflush(stdout);
	make();
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = start(i, storm_random(&seed));
	kills = rage(pids, harness_now() + seconds * INT64_C(1000000000), &seed);
	calm(pids);
	changes = settle();
	for (uint32_t i = 0; i < shared->log_count && i < LOG_LINES; i++)
		printf("# violation: %s\n", shared->log[i]);
	printf("sections: %llu kills, %llu changes, %llu reads, %u violations\n",
	       (unsigned long long)kills, (unsigned long long)changes,
	       (unsigned long long)shared->reads, shared->log_count);
	harness_sweep_away(harness_isolated() ? "/dev/shm" : NULL, harness_sysv_key(9));
	if (shared->mutant != NO_MUTANT) {
		printf("# the mutant was %s\n", shared->log_count != 0 ? "found" : "missed");
		return shared->log_count == 0;
	}
	return shared->log_count != 0 || kills == 0;
}
