/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - processes as coroutines: who runs, who sleeps, who dies. See schedule.h.
 *
 * A coroutine is started by returning to a point at the bottom of its stack, so that one that was
 * left in the middle, dead or cut short, is simply begun again. No switch enters the kernel.
 */
#include <err.h>
#include <errno.h>
#include <link.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "world.h"

enum { STACK = 256 * 1024, POINTS_MAX = 20000, IDLES_MAX = 40, SPINS_MAX = 200 };
#define POLL_NS INT64_C(1000000) /* who sleeps no longer looks again soon, and may */

struct engine engine;

static jmp_buf outside;
static uint64_t points_begin;

/* Each thread has one of its own: which of them is the scheduler's. */
static __thread char own;
static const char *scheduler;

/* --- thread-local variables ------------------------------------------------------------------ */

/* The program's own, the library's among them, lie in one block. */
static unsigned char *tls;
static size_t tls_size;

static int find_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS) {
			tls = info->dlpi_tls_data;
			tls_size = info->dlpi_phdr[i].p_memsz;
		}
	return 1; /* the program is the first */
}

void engine_tls_load(const unsigned char *from)
{
	memcpy(tls, from, tls_size);
}

void engine_tls_save(unsigned char *to)
{
	memcpy(to, tls, tls_size);
}

/* --- coroutines ---------------------------------------------------------------------------- */

static void resume(int to) __attribute__((noreturn));
static void reschedule(void) __attribute__((noreturn));

static void resume(int to)
{
	struct proc *p = &engine.procs[to];

	engine.current = to;
	p->yielded = false;
	engine_tls_load(p->tls);
	if (!p->started) {
		p->started = true;
		_longjmp(p->base, 1);
	}
	_longjmp(p->here, 1);
}

/* Let others run; returns when it is this process's turn again. */
static void leave_to(int to)
{
	struct proc *me = &engine.procs[engine.current];

	engine_tls_save(me->tls);
	if (_setjmp(me->here) != 0)
		return;
	if (to >= 0)
		resume(to);
	reschedule();
}

static void run_process(void)
{
	/* Come back here for each execution; the first time, only to have been here. */
	if (_setjmp(engine.procs[engine.current].base) == 0)
		_longjmp(outside, 1);
	engine.scenario->body(engine.current);
	engine.procs[engine.current].state = PROC_ENDED;
	engine_tell("ends");
	reschedule();
}

static void make_process(struct proc *p)
{
	if (getcontext(&p->context) < 0)
		err(2, "getcontext");
	p->context.uc_stack.ss_sp = malloc(STACK);
	p->context.uc_stack.ss_size = STACK;
	if (p->context.uc_stack.ss_sp == NULL)
		err(2, "memory for a stack");
	makecontext(&p->context, run_process, 0);
	if (_setjmp(outside) == 0)
		setcontext(&p->context);
}

void engine_make(void)
{
	scheduler = &own;
	dl_iterate_phdr(find_tls, NULL);
	if (tls == NULL || tls_size > TLS_MAX)
		errx(2, "%zu bytes of thread-local variables", tls_size);
	for (engine.current = 0; engine.current < SCHED_PROCS; engine.current++)
		make_process(&engine.procs[engine.current]);
}

void engine_end(enum outcome outcome)
{
	engine.running = false;
	_longjmp(outside, (int)outcome);
}

enum outcome engine_run(void)
{
	int r = _setjmp(outside);

	if (r != 0) {
		engine.running = false;
		return (enum outcome)r;
	}
	for (int i = 0; i < engine.count; i++) {
		struct proc *p = &engine.procs[i];

		p->state = PROC_READY;
		p->started = false;
		p->locked = true;
		p->history = 0;
		p->deadline = INT64_MAX;
		p->result = 0;
		p->last_off = SIZE_MAX;
		p->yielded = false;
		memcpy(p->tls, p->tls_at_start, tls_size);
	}
	engine.preemptions = engine.kills = engine.idles = engine.spins = 0;
	engine.now = INT64_C(1000000000);
	engine.naps = 0;
	engine.excused = false;
	points_begin = engine.points;
	engine.running = true;
	engine.current = -1;
	reschedule();
}

enum outcome engine_outside(void (*fn)(void))
{
	int r = _setjmp(outside);

	if (r != 0)
		return (enum outcome)r;
	fn();
	return OUTCOME_DONE;
}

void engine_print(const char *format, ...)
{
	va_list args;

	printf("#   P%d ", engine.current);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* --- sleep and death ----------------------------------------------------------------------- */

static void note(uint64_t what)
{
	struct proc *me = &engine.procs[engine.current];

	me->history = mix(me->history + 1, what);
}

static bool sleeps_on(const struct proc *p, size_t off)
{
	for (int i = 0; i < p->word_count; i++)
		if (p->words[i] == off)
			return true;
	return false;
}

/* Wake at most @count of those who sleep on the word at @off, the one who came first first. */
static int wake(size_t off, int count)
{
	int woken = 0;

	while (woken < count) {
		struct proc *first = NULL;

		for (int i = 0; i < engine.count; i++) {
			struct proc *p = &engine.procs[i];
			bool here = p->state == PROC_ASLEEP && sleeps_on(p, off);

			if (here && (first == NULL || p->since < first->since))
				first = p;
		}
		if (first == NULL)
			break;
		first->state = PROC_READY;
		first->result = 0;
		woken++;
	}
	return woken;
}

static size_t beacon_of(const struct proc *p)
{
	return world_offset(SCHED_PROCS, tarn__member_beacon(world.region[SCHED_PROCS], p->slot));
}

/* The kernel goes through the robust list of one that has ended. */
static void fire(const struct proc *p)
{
	struct tarn_region *region = world.region[SCHED_PROCS];
	_Atomic uint32_t *word = tarn__member_beacon(region, p->slot);
	size_t off = beacon_of(p);
	uint32_t old = atomic_load(word);

	if ((old & FUTEX_TID_MASK) == 0)
		return;
	world_touch(off, sizeof(*word));
	atomic_store(word, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
	world_flush();
	if ((old & FUTEX_WAITERS) != 0)
		(void)wake(off, 1);
}

/* Ought all who sleep to watch the beacon of @p? One that fell asleep while another held the lock
 * watches that one's. */
static bool watched(const struct proc *p)
{
	for (int i = 0; i < engine.count; i++) {
		const struct proc *q = &engine.procs[i];

		if (q->state == PROC_ASLEEP && q != p && q->word_count > 1 &&
		    !sleeps_on(q, beacon_of(p)))
			return false;
	}
	return true;
}

static void die(int who, bool slow)
{
	struct proc *p = &engine.procs[who];
	bool (*holds)(int me) = engine.scenario->holds;

	if (engine.telling)
		printf("#   P%d is killed%s\n", who, slow ? ", and its lock stays for now" : "");
	engine.kills++;
	engine.excused |= slow || holds == NULL || !holds(who) || !watched(p);
	p->state = PROC_DEAD;
	p->locked = slow;
	fire(p);
}

static void time_limit(int who)
{
	struct proc *p = &engine.procs[who];

	if (engine.telling)
		printf("#   P%d has slept as long as it wanted\n", who);
	if (p->until > engine.now)
		engine.now = p->until;
	p->state = PROC_READY;
	p->result = -ETIMEDOUT;
}

/* --- what may happen next ------------------------------------------------------------------ */

static void add(struct option *options, int *count, enum option_kind kind, int who)
{
	options[(*count)++] = (struct option){ .kind = kind, .who = who };
}

static void add_kill(struct option *options, int *count, int who)
{
	add(options, count, OPTION_KILL, who);
	if (engine.scenario->slow)
		add(options, count, OPTION_SLOW, who);
}

/* Would it do anything but look again? Who yields waits for others to store. */
static bool eager(int who)
{
	const struct proc *p = &engine.procs[who];

	return p->state == PROC_READY && !(p->yielded && p->yield_stores == world.stores);
}

static bool mortal(int who)
{
	const struct proc *p = &engine.procs[who];

	return p->started && (p->state == PROC_READY || p->state == PROC_ASLEEP);
}

static void add_others(struct option *options, int *count, bool look)
{
	for (int i = 0; i < engine.count; i++) {
		if (i == engine.current)
			continue;
		if (engine.preemptions < engine.bound.preemptions) {
			if (eager(i))
				add(options, count, OPTION_RUN, i);
			else if (engine.procs[i].state == PROC_ASLEEP && engine.scenario->timers)
				add(options, count, OPTION_TIMER, i);
		}
		if (look && engine.kills < engine.bound.kills && mortal(i))
			add_kill(options, count, i);
	}
}

/* The current process is about to do something. @effect: that others could notice; @look: it
 * could notice who lives. */
static void decide(bool effect, bool look)
{
	struct option options[OPTIONS], option;
	int count = 0;

	add(options, &count, OPTION_RUN, engine.current);
	add_others(options, &count, look);
	if (effect && engine.kills < engine.bound.kills)
		add_kill(options, &count, engine.current);
	if (count == 1)
		return;
	option = options[explore_choose(options, count)];
	if (option.kind == OPTION_KILL || option.kind == OPTION_SLOW) {
		die(option.who, option.kind == OPTION_SLOW);
		if (option.who == engine.current)
			reschedule();
		return;
	}
	if (option.who == engine.current)
		return;
	engine.preemptions++;
	if (option.kind == OPTION_TIMER)
		time_limit(option.who);
	leave_to(option.who);
}

/* The kernel is through with the dead by now. */
static void bury_all(void)
{
	for (int i = 0; i < engine.count; i++)
		if (engine.procs[i].state == PROC_DEAD)
			engine.procs[i].locked = false;
}

/* All who could run look again and again: a little later. */
static void let_them_spin(void)
{
	if (++engine.spins > SPINS_MAX)
		sched_fail("nobody gets on: %d times all have yielded in vain", SPINS_MAX);
	bury_all();
	engine.now += POLL_NS;
	for (int i = 0; i < engine.count; i++)
		engine.procs[i].yielded = false;
}

/* All who are left sleep. Somebody's time limit has to pass: who may need that? */
static void idle(void)
{
	struct proc *first = NULL;

	if (++engine.idles > IDLES_MAX)
		sched_fail("nobody gets on: %d times all have slept until a time limit", IDLES_MAX);
	bury_all();
	for (int i = 0; i < engine.count; i++) {
		struct proc *p = &engine.procs[i];

		if (p->state == PROC_ASLEEP && (first == NULL || p->until < first->until))
			first = p;
	}
	if (!engine.excused && !first->poll && first->until < first->deadline)
		sched_fail("a lost wake-up: P%d sleeps on %s, and nobody is left to wake it",
			   (int)(first - engine.procs), world_name(first->words[0]));
	time_limit((int)(first - engine.procs));
}

/* The one who ran sleeps, has ended or is dead: who goes on? */
static void reschedule(void)
{
	for (;;) {
		struct option options[OPTIONS], option;
		int count = 0, ready = 0, asleep = 0;

		world_flush();
		engine.current = -1;
		for (int i = 0; i < engine.count; i++) {
			ready += engine.procs[i].state == PROC_READY;
			asleep += engine.procs[i].state == PROC_ASLEEP;
			if (eager(i))
				add(options, &count, OPTION_RUN, i);
		}
		if (ready + asleep == 0)
			engine_end(OUTCOME_DONE);
		if (ready != 0 && count == 0) {
			let_them_spin();
			continue;
		}
		if (ready == 0)
			add(options, &count, OPTION_TIMER, -1);
		for (int i = 0; i < engine.count && engine.kills < engine.bound.kills; i++)
			if (mortal(i))
				add_kill(options, &count, i);
		option = options[count > 1 ? explore_choose(options, count) : 0];
		if (option.kind == OPTION_RUN)
			resume(option.who);
		if (option.kind == OPTION_TIMER)
			idle();
		else
			die(option.who, option.kind == OPTION_SLOW);
	}
}

uint64_t engine_state(void)
{
	uint64_t h = mix(world.hash, (uint64_t)engine.now);

	h = mix(h, world_ghosts());
	h = mix(h, (uint64_t)(engine.current + 1) << 8 | (uint64_t)engine.excused << 7 |
			   (uint64_t)engine.idles | (uint64_t)engine.spins << 16);
	for (int i = 0; i < engine.count; i++) {
		const struct proc *p = &engine.procs[i];

		bool over = p->state == PROC_ENDED || p->state == PROC_DEAD;

		h = mix(h, over ? 0 : p->history);
		h = mix(h, (uint64_t)p->state | (uint64_t)p->started << 4 |
				   (uint64_t)p->locked << 5 | (uint64_t)eager(i) << 6 |
				   (uint64_t)(uint32_t)(over ? 0 : p->result) << 8);
		if (p->state != PROC_ASLEEP)
			continue;
		for (int j = 0; j < engine.count; j++)
			if (engine.procs[j].state == PROC_ASLEEP)
				h = mix(h, p->since < engine.procs[j].since);
		h = mix(h, (uint64_t)p->until);
	}
	return h;
}

/* --- the hooks' side ----------------------------------------------------------------------- */

/* Words of any alignment and type; not by memcpy(), which comes by here. */
struct any64 {
	uint64_t value;
} __attribute__((packed, may_alias));
struct any32 {
	uint32_t value;
} __attribute__((packed, may_alias));

static uint64_t value_at(const unsigned char *at, size_t size)
{
	uint64_t value = 0, h = 0;

	for (; size > 8; size -= 8, at += 8)
		h = mix(h, ((const struct any64 *)(const void *)at)->value);
	if (size == 8)
		return h ^ ((const struct any64 *)(const void *)at)->value;
	if (size == 4)
		return h ^ ((const struct any32 *)(const void *)at)->value;
	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return h ^ value;
}

/* Nobody has stored since it looked at the same word the last time. */
static bool looks_again(struct proc *me, size_t off, enum sched_access kind)
{
	bool again = me->last_off == off && me->last_stores == world.stores;

	me->last_off = kind == SCHED_LOAD || kind == SCHED_ATTEMPT ? off : SIZE_MAX;
	me->last_stores = world.stores;
	return again && me->last_off == off;
}

static void meet_rival(const void *at, size_t off, size_t size, enum sched_access kind)
{
	if (engine.scenario->rival == NULL)
		return;
	world_touch(off, size);
	engine.running = false; /* what it does is no step of anybody's */
	engine.scenario->rival(at, kind);
	engine.running = true;
}

void sched_access(const void *at, size_t size, enum sched_access kind)
{
	static const char *const words[] = { "loads", "stores to", "changes", "tries" };
	uint64_t value;
	size_t off;

	if (!sched_running() || engine.current < 0)
		return;
	off = world_offset(engine.current, at);
	if (off >= world.size || size == 0)
		return;
	if (++engine.points - points_begin > POINTS_MAX)
		sched_fail("no end: more than %d accesses", POINTS_MAX);
	world_flush();
	if (world.heat[off / 8] == WORLD_COLD) {
		SCHED_CHECK(kind == SCHED_LOAD, "P%d %s %s, which nobody is to change",
			    engine.current, words[kind], world_name(off));
		return;
	}
	if (!looks_again(&engine.procs[engine.current], off, kind))
		decide(kind == SCHED_STORE || kind == SCHED_CHANGE,
		       world.heat[off / 8] == WORLD_BEACON);
	meet_rival(at, off, size, kind);
	value = value_at(at, size);
	engine_tell("%s %s: 0x%llx", words[kind], world_name(off), (unsigned long long)value);
	note(kind == SCHED_STORE ? 1 : value);
	if (kind != SCHED_LOAD)
		world_touch(off, size);
}

bool sched_running(void)
{
	return engine.running && &own == scheduler;
}

bool sched_verifying(void)
{
	return engine.verifying;
}

int sched_locked(uint32_t slot)
{
	int who = -1;

	for (int i = 0; i < engine.count; i++)
		if (engine.procs[i].slot == slot)
			who = i;
	if (sched_running()) {
		world_flush();
		decide(false, true);
		engine_tell("asks whether P%d lives: %d", who, who < 0 || engine.procs[who].locked);
		note(who < 0 || engine.procs[who].locked);
	}
	return who < 0 || engine.procs[who].locked;
}

int sched_sleep(const struct tarn__futex *words, int count, int64_t until)
{
	struct proc *me = &engine.procs[engine.current];

	SCHED_CHECK(engine.running, "who verifies would have to wait");
	world_flush();
	decide(true, true);
	SCHED_CHECK(count <= WORDS, "sleeps on %d words, not %d at most", count, WORDS);
	for (int i = 0; i < count; i++) {
		me->words[i] = world_offset(engine.current, (void *)(uintptr_t)words[i].word);
		if (*(const uint32_t *)(uintptr_t)words[i].word != words[i].value) {
			note(2);
			engine_tell("would sleep on %s, which has changed",
				    world_name(me->words[i]));
			return -EAGAIN;
		}
	}
	engine_tell("sleeps on %s%s", world_name(me->words[0]), count > 1 ? " and others" : "");
	engine.sleeps++;
	me->word_count = count;
	me->until = until;
	me->poll = until - engine.now <= POLL_NS;
	me->since = engine.naps++;
	me->state = PROC_ASLEEP;
	leave_to(-1);
	engine_tell("is awake: %d", me->result);
	note((uint64_t)(uint32_t)me->result);
	note((uint64_t)engine.now);
	return me->result;
}

int sched_wake(const void *word, int count)
{
	size_t off = world_offset(engine.current, word);
	int woken;

	world_flush();
	decide(true, true);
	woken = wake(off, count);
	engine_tell("wakes %d on %s", woken, world_name(off));
	note((uint64_t)woken);
	return woken;
}

void sched_yield_now(void)
{
	struct proc *me = &engine.procs[engine.current];

	world_flush();
	engine_tell("yields");
	note(3);
	me->yielded = true;
	me->yield_stores = world.stores;
	leave_to(-1);
}

/* A process with a deadline may find that it has passed. */
static void be_late(void)
{
	struct proc *me = &engine.procs[engine.current];
	struct option options[OPTIONS];
	int count = 0;

	if (!engine.scenario->timers || engine.now >= me->deadline || me->deadline == INT64_MAX ||
	    engine.preemptions >= engine.bound.preemptions)
		return;
	world_flush();
	add(options, &count, OPTION_RUN, engine.current);
	add(options, &count, OPTION_TIMER, engine.current);
	if (explore_choose(options, count) == 0)
		return;
	engine.preemptions++;
	engine.now = me->deadline;
	engine_tell("is late");
}

int64_t sched_now(void)
{
	if (engine.running) {
		be_late();
		note((uint64_t)engine.now);
	}
	return engine.now;
}

void sched_deadline(int64_t deadline)
{
	engine.procs[engine.current].deadline = deadline;
}

bool sched_dead(int p)
{
	return engine.procs[p].state == PROC_DEAD;
}

void sched_as(int p)
{
	engine_tls_save(engine.procs[engine.current].tls);
	engine.current = p;
	engine_tls_load(engine.procs[p].tls);
}

uint32_t sched_tid(void)
{
	return 1000u + (uint32_t)engine.current;
}

void **sched_robust_list(void)
{
	void **head = &engine.procs[engine.current].list[1];

	if (head[0] == NULL) {
		head[0] = head;
		head[1] = (void *)(intptr_t)-32;
	}
	return head;
}
