/* SPDX-License-Identifier: BSD-2-Clause */
/* section_ops.c - see section_ops.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <tarn/set.h>

#include "section_ops.h"
#include "sync/section.h"

const struct content at_first = { .one = 1u << 2 | 1u << 4 | 1u << 6, .two = 1u << 3 };
struct tarn_region *region;
struct tarn_section *one, *two;
struct tarn_tx *tx;
struct pool *pool;

static const struct tarn_section_opts small = { .journal_size = JOURNAL };

struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

/* --- the pool ------------------------------------------------------------------------------ */

static struct node *node_at(uint64_t index)
{
	return &pool->nodes[index];
}

/* All inside of section "one", and of the list's own; results are told by leave. */
int insert(struct list *list, uint64_t key)
{
	uint64_t x = pool->free, at = list->head, before;

	if (x == 0)
		return -ENOMEM;
	tarn_tx_set64(tx, &pool->free, node_at(x)->next);
	tarn_tx_set64(tx, &pool->free_count, pool->free_count - 1);
	while (at != 0 && node_at(at)->key < key)
		at = node_at(at)->next;
	before = at != 0 ? node_at(at)->prev : list->tail;
	tarn_tx_set64(tx, &node_at(x)->key, key);
	tarn_tx_set32(tx, &node_at(x)->fill32, (uint32_t)(key * 0x01010101));
	tarn_tx_set16(tx, &node_at(x)->fill16, (uint16_t)(key * 0x0101));
	tarn_tx_set8(tx, &node_at(x)->fill8, (uint8_t)key);
	tarn_tx_set64(tx, &node_at(x)->next, at);
	tarn_tx_set64(tx, &node_at(x)->prev, before);
	tarn_tx_set64(tx, before != 0 ? &node_at(before)->next : &list->head, x);
	tarn_tx_set64(tx, at != 0 ? &node_at(at)->prev : &list->tail, x);
	return tarn_tx_set64(tx, &list->count, list->count + 1);
}

int take_out(struct list *list, uint64_t key)
{
	uint64_t x = list->head, before, after;

	while (x != 0 && node_at(x)->key != key)
		x = node_at(x)->next;
	if (x == 0)
		return -ENOENT;
	before = node_at(x)->prev;
	after = node_at(x)->next;
	tarn_tx_set64(tx, before != 0 ? &node_at(before)->next : &list->head, after);
	tarn_tx_set64(tx, after != 0 ? &node_at(after)->prev : &list->tail, before);
	tarn_tx_set64(tx, &node_at(x)->next, pool->free);
	tarn_tx_set64(tx, &pool->free, x);
	tarn_tx_set64(tx, &pool->free_count, pool->free_count + 1);
	return tarn_tx_set64(tx, &list->count, list->count - 1);
}

static int walk(const struct list *list, unsigned *ret_keys, uint64_t *count,
		struct harness_report *report)
{
	uint64_t before = 0, seen = 0, last = 0;

	for (uint64_t x = list->head; x != 0; x = node_at(x)->next) {
		const struct node *n = x <= NODES ? node_at(x) : NULL;

		if (n == NULL || seen++ > NODES)
			return harness_say(report, KILL_VIOLATION, "a list leads to node %d",
					   (int)x);
		if (n->prev != before || n->key <= last || n->key > 31)
			return harness_say(report, KILL_VIOLATION, "node %d is linked wrongly",
					   (int)x);
		if (n->fill32 != n->key * 0x01010101 || n->fill16 != n->key * 0x0101 ||
		    n->fill8 != n->key)
			return harness_say(report, KILL_VIOLATION, "node %d is half written",
					   (int)x);
		*ret_keys |= 1u << n->key;
		before = x;
		last = n->key;
	}
	if (list->tail != before || list->count != seen)
		return harness_say(report, KILL_VIOLATION, "%d nodes, and the list says %d",
				   (int)seen, (int)list->count);
	*count += seen;
	return 0;
}

int second_content(struct content *ret, struct harness_report *report)
{
	uint64_t count = 0;

	memset(ret, 0, sizeof(*ret));
	return walk(&pool->two, &ret->two, &count, report);
}

int pool_content(struct content *ret, struct harness_report *report)
{
	uint64_t count = 0, unused = 0;

	memset(ret, 0, sizeof(*ret));
	if (walk(&pool->one, &ret->one, &count, report) < 0 ||
	    walk(&pool->two, &ret->two, &count, report) < 0)
		return KILL_VIOLATION;
	for (uint64_t x = pool->free; x != 0; x = node_at(x)->next)
		if (x > NODES || unused++ > NODES)
			return harness_say(report, KILL_VIOLATION, "the free list is broken");
	if (unused != pool->free_count || unused + count != NODES)
		return harness_say(report, KILL_VIOLATION, "%d nodes of %d, %d said to be free",
				   (int)(unused + count), NODES, (int)pool->free_count);
	ret->note = pool->note[0];
	for (int i = 1; i < NOTE; i++)
		if (pool->note[i] != ret->note)
			return harness_say(report, KILL_VIOLATION, "the note is torn");
	return 0;
}

/* --- worlds before ------------------------------------------------------------------------- */

int open_pool(struct kill_world *world, struct harness_report *report)
{
	void *data;
	int r = 0;

	if (region == NULL && survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	if (one == NULL)
		r = tarn_section_open(region, "one", NULL, &one);
	if (r == 0 && two == NULL)
		r = tarn_section_open(region, "two", NULL, &two);
	if (r == 0 && pool == NULL)
		r = tarn_object_open(region, "pool", &data, NULL);
	if (r < 0)
		return survivor_say(report, "open", r, NULL);
	if (pool == NULL)
		pool = data;
	return 0;
}

void close_pool(void)
{
	tarn_section_close(one);
	tarn_section_close(two);
	if (pool != NULL)
		tarn_object_close(region, pool);
	tarn_region_close(region);
	one = two = NULL;
	pool = NULL;
	region = NULL;
}

int no_sections(struct kill_world *world, struct harness_report *report)
{
	void *data;
	int r = survivor_create(world, 0, &region, report);

	if (r == 0)
		r = survivor_keep(region, report);
	if (r == 0)
		r = tarn_object_create(region, "pool", sizeof(*pool), &data, NULL);
	if (r < 0)
		return r;
	pool = data;
	for (uint64_t i = 1; i <= NODES; i++)
		node_at(i)->next = i < NODES ? i + 1 : 0;
	pool->free = 1;
	pool->free_count = NODES;
	return 0;
}

static int enter_both(void)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	return r == 0 ? tarn_section_enter(two, TARN_FOREVER, &tx, NULL) : r;
}

static int leave_both(void)
{
	int r = tarn_section_leave(two);

	return r == 0 ? tarn_section_leave(one) : r;
}

/* With something in both lists. */
static int filled(struct kill_world *world, struct harness_report *report)
{
	int r = no_sections(world, report);

	if (r == 0)
		r = tarn_section_open(region, "one", &small, &one);
	if (r == 0)
		r = tarn_section_open(region, "two", &small, &two);
	for (uint64_t key = 2; key <= 6 && r == 0; key++) {
		r = key != 5 ? enter_both() : 0;
		if (r == 0 && key != 5)
			r = insert(key == 3 ? &pool->two : &pool->one, key);
		if (r == 0 && key != 5)
			r = leave_both();
	}
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

int fresh(struct kill_world *world, struct harness_report *report)
{
	int r = filled(world, report);

	close_pool();
	return r;
}

/* Its owner has died in the middle. */
int left_changed(struct kill_world *world, struct harness_report *report)
{
	int r = filled(world, report);

	if (r == 0)
		r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);
	return r == 0 ? insert(&pool->one, 5) : r;
}

int move(void)
{
	int r = take_out(&pool->one, 4);

	return r == 0 ? insert(&pool->two, 4) : r;
}

int left_changed_two(struct kill_world *world, struct harness_report *report)
{
	int r = filled(world, report);

	if (r == 0)
		r = enter_both();
	return r == 0 ? move() : r;
}

/* What its owner left cannot be rolled back: the newest entry is damaged. */
int left_aside(struct kill_world *world, struct harness_report *report)
{
	int r = filled(world, report);

	if (r == 0)
		r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);
	if (r == 0)
		r = insert(&pool->one, 5);
	if (r == 0)
		r = tarn_tx_set8(tx, &pool->nodes[NODES].pad, 0);
	one->shm->journal[atomic_load(&one->shm->count) - 1].where ^= 1u << 4;
	return r == 0 && tarn_section_abort(one) == -ENOTRECOVERABLE ? 0 : -1;
}

/* --- prepare ------------------------------------------------------------------------------- */

/* A thread's first enter asks the kernel for its id: not part of an operation. */
static int warm_up(void)
{
	struct tarn_tx *t;

	if (tarn_section_try(two, &t, NULL) == 0)
		return tarn_section_leave(two);
	return 0;
}

/* Has the region and its pool open. */
int join(struct kill_world *world, struct harness_report *report)
{
	void *data;

	if (survivor_open(world, &region, report) != 0)
		return -1;
	if (tarn_object_open(region, "pool", &data, NULL) < 0)
		return -1;
	pool = data;
	return 0;
}

/* A member in the very slot that the dead owner of "one" had. */
int join_its_slot(struct kill_world *world, struct harness_report *report)
{
	uint32_t owner;
	int r = open_pool(world, report);

	for (int i = 0; i < 4 * SURVIVOR_MEMBERS && r == 0; i++) {
		owner = atomic_load(&one->shm->lock);
		if (tarn__id_slot(owner) == tarn__id_slot(region->id))
			return warm_up();
		(void)!tarn_region_gc(region, NULL); /* a slot of the dead is the last choice */
		close_pool();
		r = open_pool(world, report);
	}
	return -1;
}

/* In a recoverer and others that must not touch the sections yet. */
int ready(struct kill_world *world, struct harness_report *report)
{
	return open_pool(world, report);
}

/* Has been inside before. */
int prepared(struct kill_world *world, struct harness_report *report)
{
	int r = open_pool(world, report);

	return r == 0 ? warm_up() : r;
}

int inside_changed(struct kill_world *world, struct harness_report *report)
{
	int r = prepared(world, report);

	if (r == 0)
		r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);
	return r == 0 ? insert(&pool->one, 5) : r;
}

/* The same, and the peer asleep in enter. */
int inside_beside_sleeper(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);
	struct tarn_section_stat stat = { 0 };
	int r = inside_changed(world, report);

	atomic_store(&st->held, 1);
	(void)tarn__plat_futex_wake(&st->held, 1);
	while (r == 0 && stat.waiter_count == 0) {
		harness_sleep_us(100);
		r = tarn_section_stat(one, &stat);
	}
	return r == 0 && harness_await_futex(atomic_load(&st->peer), 5000) ? 0 : -1;
}

int inside_two(struct kill_world *world, struct harness_report *report)
{
	int r = open_pool(world, report);

	if (r == 0)
		r = enter_both();
	return r == 0 ? move() : r;
}

static void hold(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (open_pool(world, report) < 0 || tarn_section_enter(one, TARN_FOREVER, &tx, NULL) < 0 ||
	    insert(&pool->one, 1) < 0)
		_exit(1);
	atomic_store(&st->held, 1);
	while (atomic_load(&st->go) == 0)
		(void)tarn__plat_futex_wait(&st->go, 0, TARN_FOREVER);
	(void)!tarn_section_abort(one);
	for (;;) /* its end wakes a sleeper, too, and only the abort is to */
		pause();
}

void await_holder_end(const struct kill_world *world)
{
	int pid = atomic_load(&state_of(world)->holder);
	char path[40], state = 'R';

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 20000 && pid > 0 && state != 'Z'; i++) {
		FILE *f = fopen(path, "re");

		if (f == NULL)
			return;
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'R';
		fclose(f);
		if (state != 'Z')
			harness_sleep_us(200);
	}
}

/* Another process is inside, and changes the list; it ends when this one does. Who is stepped
 * through takes longer to fall asleep than a sleep lasts. */
int beside_holder(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);
	pid_t pid;
	int r;

	atomic_store(&st->held, 0);
	atomic_store(&st->go, 0);
	tarn__section_net_ns = INT64_C(5000000000);
	pid = fork();
	if (pid == 0)
		hold(world, report);
	atomic_store(&st->holder, (int32_t)pid);
	r = open_pool(world, report);
	for (int i = 0; i < 20000 && atomic_load(&st->held) == 0; i++)
		harness_sleep_us(200);
	return r == 0 ? warm_up() : r;
}

/* --- operations ---------------------------------------------------------------------------- */

int open_creating(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_open(region, "one", &small, &one);
}

int enter_leave(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	return r == 0 ? tarn_section_leave(one) : r;
}

int try_leave(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_try(one, &tx, NULL);

	(void)world, (void)report;
	return r == 0 ? tarn_section_leave(one) : r;
}

int op_insert(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = insert(&pool->one, 5);
	return r == 0 ? tarn_section_leave(one) : r;
}

int op_remove(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = take_out(&pool->one, 4);
	return r == 0 ? tarn_section_leave(one) : r;
}

int op_write(struct kill_world *world, struct harness_report *report)
{
	unsigned char note[NOTE];
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	memset(note, 'w', sizeof(note));
	if (r == 0)
		r = tarn_tx_write(tx, pool->note + 3, note, NOTE - 3); /* unaligned */
	if (r == 0)
		r = tarn_tx_write(tx, pool->note, note, 11); /* some of it for the second time */
	return r == 0 ? tarn_section_leave(one) : r;
}

/* The note as fields of every type. */
struct typed_note {
	double f64;
	uint64_t u64;
	float f32[2];
	uint32_t u32;
	uint16_t u16;
	int8_t i8;
	char letter;
	char text[8];
};
static_assert(sizeof(struct typed_note) == NOTE, "all of the note");

int op_set(struct kill_world *world, struct harness_report *report)
{
	struct typed_note *to = (struct typed_note *)(void *)pool->note, from;
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r < 0)
		return r;
	memset(&from, 'w', sizeof(from));
	TARN_SET(tx, &to->f64, from.f64);
	TARN_SET(tx, &to->u64, from.u64);
	TARN_SET(tx, &to->f32[0], 0.0F); /* the next one has it again */
	TARN_COPY(tx, &to->f32, &from.f32);
	TARN_SET(tx, &to->u32, from.u32);
	TARN_SET(tx, &to->u16, from.u16);
	TARN_SET(tx, &to->i8, from.i8);
	TARN_SET(tx, &to->letter, 'w');
	TARN_SET_TEXT(tx, to->text, "wwwwwwww");
	return tarn_section_leave(one);
}

int op_log(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_tx_log(tx, pool->note, NOTE);
	for (int i = 0; i < NOTE && r == 0; i++)
		pool->note[i] = 'w';
	return r == 0 ? tarn_section_leave(one) : r;
}

int op_move(struct kill_world *world, struct harness_report *report)
{
	int r = enter_both();

	(void)world, (void)report;
	if (r == 0)
		r = move();
	return r == 0 ? leave_both() : r;
}

/* The second section is entered, left, and entered again, in the middle. */
int op_move_nested(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = take_out(&pool->one, 4);
	for (int i = 0; i < 2 && r == 0; i++) {
		r = tarn_section_enter(two, TARN_FOREVER, &tx, NULL);
		if (r == 0 && i == 1)
			r = insert(&pool->two, 4);
		if (r == 0)
			r = tarn_section_leave(two);
	}
	return r == 0 ? tarn_section_leave(one) : r;
}

int op_abort(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = insert(&pool->one, 5);
	if (r == 0)
		r = tarn_tx_write(tx, pool->note, "0123456789", 10);
	return r == 0 ? tarn_section_abort(one) : r;
}

int op_abort_two(struct kill_world *world, struct harness_report *report)
{
	int r = enter_both();

	(void)world, (void)report;
	if (r == 0)
		r = move();
	return r == 0 ? tarn_section_abort(two) : r;
}

/* More than the journal takes: undone, and told. */
int op_full(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	for (uint64_t key = 11; key < 15 && r == 0; key++)
		(void)insert(&pool->one, key);
	return tarn_section_leave(one);
}

int op_read(struct kill_world *world, struct harness_report *report)
{
	struct list seen;

	(void)world, (void)report;
	return tarn_section_read(one, &seen, &pool->one, sizeof(seen), TARN_FOREVER);
}

int op_leave(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_leave(one);
}

int op_leave_two(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return leave_both();
}

int op_abort_inside(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_abort(one);
}

int op_close_inside(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_section_close(one);
	return 0;
}

int op_recover(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_recover(region, NULL, 0, NULL);
}

int op_recover_force(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_recover(region, "one", TARN_SECTION_FORCE, NULL);
}

int op_section_remove(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_remove(region, "one", NULL);
}

/* The follower first. */
int enter_second(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(two, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	return r == 0 ? tarn_section_leave(two) : r;
}

int enter_timed_out(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_enter(one, tarn_deadline_after(3000000), &tx, NULL);
}

/* --- wakers and peers ---------------------------------------------------------------------- */

int let_holder_go(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);

	(void)report;
	atomic_store(&st->go, 1);
	(void)tarn__plat_futex_wake(&st->go, 1);
	return 0;
}

/* Long enough for whoever is stepped through on a busy machine. */
#define PATIENCE_NS INT64_C(10000000000)
#define TOLD_NS     INT64_C(8000000000)

/* Lives beside the op, asleep in enter: gets the section, finds it whole, and changes it. */
int sleeping_enterer(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);
	struct content found;
	int64_t begin;
	int r;

	if (open_pool(world, report) < 0)
		return -1;
	/* The engine wants it asleep before the op begins. */
	atomic_store(&st->held, 0);
	atomic_store(&st->peer, (int32_t)getpid());
	while (atomic_load(&st->held) == 0)
		(void)tarn__plat_futex_wait(&st->held, 0, tarn_deadline_after(PATIENCE_NS));
	begin = harness_now();
	r = tarn_section_enter(one, tarn_deadline_after(PATIENCE_NS), &tx, NULL);
	if (r < 0)
		return survivor_say(report, "the sleeper", r, NULL);
	if (harness_now() - begin > TOLD_NS)
		return harness_say(report, -1, "the sleeper was not told");
	if (pool_content(&found, report) < 0 || insert(&pool->one, 9) < 0)
		return -1;
	r = tarn_section_leave(one);
	atomic_store(&st->finished, 1);
	close_pool();
	return r < 0 ? survivor_say(report, "the sleeper's leave", r, NULL) : 0;
}
