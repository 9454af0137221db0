/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * toy.c - the sweep's own test material. See toy.h.
 *
 * One file, `toy` in the world's directory, holds them all:
 *
 *   slot    one producer's queue: fill, then publish. Wrong: publish, then fill; or sleep for
 *           a wake that a dead producer never sends.
 *   list    a linked list with a free list under an undo journal: log, then store. Wrong:
 *           the entry counted before it is written; a node freed before it is unlinked, with
 *           no log; the journal emptied before it is undone (found by double kills alone).
 *   mutex   a robust pthread mutex. Wrong: a plain one. (What the kernel does to futex words
 *           at a death is part of the image.)
 *   name    a file that appears complete. Wrong: filled after it has its name; or made under
 *           another name first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "toy.h"

enum { SLOTS = 4, WORDS = 5, NODES = 6, LOG = 16, NONE = 0xff };

struct toy_slot {
	_Atomic uint64_t word[WORDS];
};

struct toy {
	_Atomic uint32_t head;
	_Atomic uint32_t tail;
	struct toy_slot slots[SLOTS];

	/* list: every word that a transaction changes, so that a log entry is (index, old) */
	_Atomic uint32_t log_count;
	_Atomic uint32_t log_index[LOG];
	_Atomic uint32_t log_old[LOG];
	_Atomic uint32_t list[2 + 2 * NODES]; /* first, free, then next and value of each node */

	pthread_mutex_t mutex;
	_Atomic uint32_t pair[2]; /* equal unless the mutex is held */
};

enum { FIRST = 0, FREE = 1 };

static struct toy *toy; /* mapped by the process that prepared */

static uint32_t next_of(uint32_t node)
{
	return 2 + 2 * node;
}

static uint32_t value_of(uint32_t node)
{
	return 3 + 2 * node;
}

/* --- the file ------------------------------------------------------------------------------ */

static const char *toy_path(const struct kill_world *world, const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s%s", world->dir, harness_prefix(), name);
	return path;
}

static int toy_map(struct kill_world *world, struct harness_report *report)
{
	int fd = open(toy_path(world, "toy"), O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, sizeof(*toy), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	if (p == MAP_FAILED)
		return harness_say(report, -1, "toy: %s", strerror(errno));
	toy = p;
	return 0;
}

static void fill_slot(struct toy_slot *slot, uint32_t id)
{
	uint64_t sum = id;

	for (int i = 0; i < WORDS - 1; i++) {
		uint64_t word = (uint64_t)id * 1000003u + (uint64_t)i;

		atomic_store_explicit(&slot->word[i], word, memory_order_relaxed);
		sum += word;
	}
	atomic_store_explicit(&slot->word[WORDS - 1], sum, memory_order_relaxed);
}

static bool slot_whole(const struct toy_slot *slot, uint32_t id)
{
	uint64_t sum = id;

	for (int i = 0; i < WORDS - 1; i++)
		sum += slot->word[i];
	return slot->word[0] == (uint64_t)id * 1000003u && sum == slot->word[WORDS - 1];
}

static int toy_setup(struct kill_world *world, struct harness_report *report)
{
	int fd = open(toy_path(world, "toy"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*toy)) < 0)
		return harness_say(report, -1, "toy: %s", strerror(errno));
	close(fd);
	if (toy_map(world, report) < 0)
		return -1;
	fill_slot(&toy->slots[0], 0);
	toy->tail = 1;
	toy->list[FIRST] = 0; /* nodes 0 and 1 are in the list, 2 and up are free */
	toy->list[FREE] = 2;
	for (uint32_t n = 0; n < NODES; n++) {
		toy->list[next_of(n)] = n + 1;
		toy->list[value_of(n)] = n < 2 ? 100 + n : 0;
	}
	toy->list[next_of(1)] = NONE;
	toy->list[next_of(NODES - 1)] = NONE;
	return 0;
}

/* --- slot ---------------------------------------------------------------------------------- */

static int slot_push(struct kill_world *world, struct harness_report *report)
{
	uint32_t tail = toy->tail;

	(void)world, (void)report;
	fill_slot(&toy->slots[tail % SLOTS], tail);
	atomic_store_explicit(&toy->tail, tail + 1, memory_order_release);
	return 0;
}

static int slot_push_published_first(struct kill_world *world, struct harness_report *report)
{
	uint32_t tail = toy->tail;

	(void)world, (void)report;
	atomic_store_explicit(&toy->tail, tail + 1, memory_order_release);
	fill_slot(&toy->slots[tail % SLOTS], tail);
	return 0;
}

static int slot_check(struct kill_world *world, struct harness_report *report)
{
	if (toy_map(world, report) < 0)
		return KILL_VIOLATION;

	uint32_t head = toy->head;
	uint32_t tail = toy->tail;

	for (uint32_t i = head; i != tail; i++)
		if (!slot_whole(&toy->slots[i % SLOTS], i))
			return harness_say(report, KILL_VIOLATION, "record %u is torn", i);
	slot_push(world, report); /* the successor goes on */
	if (!slot_whole(&toy->slots[tail % SLOTS], tail))
		return harness_say(report, KILL_VIOLATION, "the next record is torn");
	return tail == 1 ? 0 : tail == 2 ? 1 : KILL_VIOLATION;
}

static int slot_push_and_wake(struct kill_world *world, struct harness_report *report)
{
	slot_push(world, report);
	syscall(SYS_futex, &toy->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	return 0;
}

/* Waits for the second record in slices of @slice_ms, 0 meaning for ever, @limit of them. */
static int await_second(struct kill_world *world, struct harness_report *report, long slice_ms,
			int limit)
{
	struct timespec slice = { .tv_nsec = slice_ms * 1000000 };

	if (toy_map(world, report) < 0)
		return -1;
	while (toy->tail == 1 && limit-- > 0)
		syscall(SYS_futex, &toy->tail, FUTEX_WAIT, 1, slice_ms != 0 ? &slice : NULL, NULL,
			0);
	return 0; /* content with either: the point is to come back */
}

static int peer_in_slices(struct kill_world *world, struct harness_report *report)
{
	return await_second(world, report, 5, 6);
}

static int peer_for_ever(struct kill_world *world, struct harness_report *report)
{
	return await_second(world, report, 0, 1);
}

/* The operation itself sleeps: wake() makes the record. */
static int slot_await(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	while (toy->tail == 1)
		syscall(SYS_futex, &toy->tail, FUTEX_WAIT, 1, NULL, NULL, 0);
	toy->head = toy->head + 1;
	return 0;
}

static int slot_await_wake(struct kill_world *world, struct harness_report *report)
{
	if (toy_map(world, report) < 0)
		return -1;
	return slot_push_and_wake(world, report);
}

static int slot_await_check(struct kill_world *world, struct harness_report *report)
{
	if (toy_map(world, report) < 0)
		return KILL_VIOLATION;
	if (toy->tail < toy->head || toy->head > 1)
		return KILL_VIOLATION;
	return (int)(toy->head + toy->tail) - 1; /* 0 before, 1 pushed to, 2 taken */
}

/* --- list ---------------------------------------------------------------------------------- */

static void set(uint32_t index, uint32_t value)
{
	uint32_t n = toy->log_count;

	toy->log_index[n] = index;
	toy->log_old[n] = toy->list[index];
	atomic_store_explicit(&toy->log_count, n + 1, memory_order_release);
	atomic_store_explicit(&toy->list[index], value, memory_order_release);
}

static void set_counted_first(uint32_t index, uint32_t value)
{
	uint32_t n = toy->log_count;

	atomic_store_explicit(&toy->log_count, n + 1, memory_order_release);
	toy->log_index[n] = index;
	toy->log_old[n] = toy->list[index];
	atomic_store_explicit(&toy->list[index], value, memory_order_release);
}

static void set_without_log(uint32_t index, uint32_t value)
{
	atomic_store_explicit(&toy->list[index], value, memory_order_release);
}

static void insert_by(void (*store)(uint32_t index, uint32_t value))
{
	uint32_t node = toy->list[FREE];

	store(FREE, toy->list[next_of(node)]);
	store(value_of(node), 102);
	store(next_of(node), toy->list[FIRST]);
	store(FIRST, node);
	toy->log_count = 0;
}

static int list_insert(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	insert_by(set);
	return 0;
}

static int list_insert_counted_first(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	insert_by(set_counted_first);
	return 0;
}

static void remove_by(void (*store)(uint32_t index, uint32_t value), bool free_first)
{
	uint32_t node = toy->list[FIRST];
	uint32_t rest = toy->list[next_of(node)];

	if (!free_first)
		store(FIRST, rest);
	store(next_of(node), toy->list[FREE]);
	store(FREE, node);
	if (free_first)
		store(FIRST, rest);
	toy->log_count = 0;
}

static int list_remove(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	remove_by(set, false);
	return 0;
}

static int list_remove_freed_first(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	remove_by(set_without_log, true);
	return 0;
}

static int list_recover(struct kill_world *world, struct harness_report *report)
{
	if (toy_map(world, report) < 0)
		return -1;
	for (uint32_t n = toy->log_count; n > 0; n--)
		toy->list[toy->log_index[n - 1]] = toy->log_old[n - 1];
	toy->log_count = 0;
	return 0;
}

static int list_recover_emptied_first(struct kill_world *world, struct harness_report *report)
{
	if (toy_map(world, report) < 0)
		return -1;

	uint32_t count = toy->log_count;

	toy->log_count = 0;
	for (uint32_t n = count; n > 0; n--)
		toy->list[toy->log_index[n - 1]] = toy->log_old[n - 1];
	return 0;
}

/* Nodes on the chain from word @index; their count, or -1 if it is no chain. Marks them. */
static int chain(uint32_t index, bool *seen)
{
	int count = 0;

	for (uint32_t node = toy->list[index]; node != NONE; node = toy->list[next_of(node)]) {
		if (node >= NODES || seen[node])
			return -1;
		seen[node] = true;
		count++;
	}
	return count;
}

/* The number of nodes in the list if every node is in one place, else KILL_VIOLATION. */
static int list_length(struct kill_world *world, struct harness_report *report)
{
	bool seen[NODES] = { false };

	if (list_recover(world, report) < 0)
		return KILL_VIOLATION;

	int used = chain(FIRST, seen);
	int idle = chain(FREE, seen);

	if (used < 0 || idle < 0)
		return harness_say(report, KILL_VIOLATION, "a chain is broken");
	if (used + idle != NODES)
		return harness_say(report, KILL_VIOLATION, "%d nodes lost", NODES - used - idle);
	for (uint32_t node = toy->list[FIRST]; node != NONE; node = toy->list[next_of(node)])
		if (toy->list[value_of(node)] < 100 || toy->list[value_of(node)] > 102)
			return harness_say(report, KILL_VIOLATION, "node %u has a wild value",
					   node);
	return used;
}

static int list_insert_check(struct kill_world *world, struct harness_report *report)
{
	int length = list_length(world, report);

	return length < 0 ? length : length - 2;
}

static int list_remove_check(struct kill_world *world, struct harness_report *report)
{
	int length = list_length(world, report);

	return length < 0 ? length : 2 - length;
}

/* --- mutex --------------------------------------------------------------------------------- */

static int mutex_setup_as(struct kill_world *world, struct harness_report *report, int robust)
{
	pthread_mutexattr_t attr;

	if (toy_setup(world, report) < 0)
		return -1;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robust);
	return pthread_mutex_init(&toy->mutex, &attr);
}

static int mutex_setup(struct kill_world *world, struct harness_report *report)
{
	return mutex_setup_as(world, report, PTHREAD_MUTEX_ROBUST);
}

static int mutex_setup_plain(struct kill_world *world, struct harness_report *report)
{
	return mutex_setup_as(world, report, PTHREAD_MUTEX_STALLED);
}

static int mutex_op(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;

	int r = pthread_mutex_lock(&toy->mutex);

	if (r != 0)
		return r;
	toy->pair[0] = 1;
	toy->pair[1] = 1;
	return pthread_mutex_unlock(&toy->mutex);
}

static int mutex_check(struct kill_world *world, struct harness_report *report)
{
	if (toy_map(world, report) < 0)
		return KILL_VIOLATION;

	int r = pthread_mutex_trylock(&toy->mutex);

	if (r == EOWNERDEAD) {
		pthread_mutex_consistent(&toy->mutex);
		toy->pair[0] = toy->pair[1];
		r = 0;
	}
	if (r != 0)
		return harness_say(report, KILL_VIOLATION, "lock: %s", strerror(r));
	if (toy->pair[0] != toy->pair[1])
		return harness_say(report, KILL_VIOLATION, "the pair is torn");
	return (int)toy->pair[0];
}

/* --- name ---------------------------------------------------------------------------------- */

enum { NAME_SIZE = 64 };

static int nothing(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return 0;
}

static int fill_file(int fd)
{
	char text[NAME_SIZE];

	memset(text, 'x', sizeof(text));
	return write(fd, text, sizeof(text)) == sizeof(text) ? 0 : -errno;
}

static int name_link(struct kill_world *world, struct harness_report *report)
{
	char from[40];
	int fd = open(world->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || fill_file(fd) < 0)
		return harness_say(report, -1, "unnamed file: %s", strerror(errno));
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, from, AT_FDCWD, toy_path(world, "made"), AT_SYMLINK_FOLLOW);
}

static int name_then_fill(struct kill_world *world, struct harness_report *report)
{
	int fd = open(toy_path(world, "made"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	(void)report;
	return fd < 0 ? -errno : fill_file(fd);
}

static int name_by_rename(struct kill_world *world, struct harness_report *report)
{
	char from[200];
	int fd = open(toy_path(world, "tmp"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	(void)report;
	if (fd < 0 || fill_file(fd) < 0)
		return -errno;
	snprintf(from, sizeof(from), "%s", toy_path(world, "tmp"));
	return rename(from, toy_path(world, "made"));
}

static void count_other(const char *name, void *arg)
{
	size_t length = strlen(name);

	if (length < 4 || strcmp(name + length - 4, "made") != 0)
		++*(int *)arg;
}

static int name_check(struct kill_world *world, struct harness_report *report)
{
	struct stat st;
	int others = 0;

	harness_names(world->dir, count_other, &others);
	if (others != 0)
		return harness_say(report, KILL_VIOLATION, "%d other files left", others);
	if (stat(toy_path(world, "made"), &st) < 0)
		return 0;
	if (st.st_size != NAME_SIZE)
		return harness_say(report, KILL_VIOLATION, "half made: %d bytes", (int)st.st_size);
	return 1;
}

/* --- the table ----------------------------------------------------------------------------- */

#define SHOWN       .by_image = true, .by_real = true
#define CASE(...)   .op = { __VA_ARGS__ }
#define SLOT        .setup = toy_setup, .prepare = toy_map, .check = slot_check
#define LIST_INSERT .setup = toy_setup, .prepare = toy_map, .check = list_insert_check
#define LIST_REMOVE .setup = toy_setup, .prepare = toy_map, .check = list_remove_check
#define NAME        .setup = nothing, .check = name_check

/* clang-format off */
const struct toy_case toy_cases[] = {
	{ CASE(.name = "slot-push", SLOT, .op = slot_push, .recover = toy_map) },
	{ CASE(.name = "slot-push-published-first", SLOT, .op = slot_push_published_first,
	       .recover = toy_map), SHOWN },
	{ CASE(.name = "slot-push-beside-a-sleeper", SLOT, .op = slot_push_and_wake,
	       .peer = peer_in_slices, .flags = KILL_NO_IMAGES) },
	{ CASE(.name = "slot-push-beside-a-sleeper-for-ever", SLOT, .op = slot_push_and_wake,
	       .peer = peer_for_ever, .flags = KILL_NO_IMAGES), .by_real = true },
	{ CASE(.name = "slot-await", .setup = toy_setup, .prepare = toy_map, .op = slot_await,
	       .wake = slot_await_wake, .check = slot_await_check, .after = 2) },
	{ CASE(.name = "list-insert", LIST_INSERT, .op = list_insert, .recover = list_recover) },
	{ CASE(.name = "list-insert-counted-first", LIST_INSERT, .op = list_insert_counted_first,
	       .recover = list_recover), SHOWN },
	{ CASE(.name = "list-insert-recovery-empties-first", LIST_INSERT, .op = list_insert,
	       .recover = list_recover_emptied_first), .by_double = true },
	{ CASE(.name = "list-remove", LIST_REMOVE, .op = list_remove, .recover = list_recover) },
	{ CASE(.name = "list-remove-freed-first", LIST_REMOVE, .op = list_remove_freed_first,
	       .recover = list_recover), SHOWN },
	{ CASE(.name = "mutex", .setup = mutex_setup, .prepare = toy_map, .op = mutex_op,
	       .check = mutex_check) },
	{ CASE(.name = "mutex-plain", .setup = mutex_setup_plain, .prepare = toy_map,
	       .op = mutex_op, .check = mutex_check), SHOWN },
	{ CASE(.name = "name-link", NAME, .op = name_link) },
	{ CASE(.name = "name-then-fill", NAME, .op = name_then_fill), SHOWN },
	{ CASE(.name = "name-by-rename", NAME, .op = name_by_rename), SHOWN },
};
/* clang-format on */
const int toy_case_count = (int)(sizeof(toy_cases) / sizeof(toy_cases[0]));
