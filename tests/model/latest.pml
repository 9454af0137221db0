/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The latest value (src/flow/latest.c): a writer, and readers, who hold or copy. Each may die
 * before any access to shared memory, and is then replaced. Writers have a lock (section.pml), so
 * one process stands for all of them.
 *
 * Memory: words. Stores go through the storing process's own buffer, first in first out, and reach
 * memory later (x86's TSO), so a missing barrier shows; loads see memory. Exchanges empty the
 * buffer first, so does giving the lock back, and the kernel when it ends a process. What is filled
 * in place is stored past the buffer: nothing orders it behind NUMBER.
 *
 *   STATE      the newest buffer, and its number    the writer
 *   SEAT(h)    0 nothing, 1 asks, else the buffer   its reader; the writer makes a hold of "asks".
 *              that it holds                        By exchange, but for letting go
 *   NUMBER(b)  which value it is; 0 none yet, or    the writer
 *              it is being written
 *   VALUE(b), SIZE(b)  what it is; both the same    the writer
 *
 * Shown, for every interleaving, buffering and place of death within the bounds:
 *   - what was copied, or is held, is whole, what was published with its number; held, it stays so
 *   - it is not older than what a write that had ended has left, or any reader was given, before
 *   - a writer finds a buffer, whoever holds, or died holding; nobody waits for another
 *
 * Left out: orders weaker than TSO between the words of a value (tests/tsan has their edges); that
 * numbers are compared modulo 2^26; which buffer a writer takes where it has a choice (here any);
 * loans given back (as a death before STATE); types; who waits for a change (bell.pml).
 *
 * Bounds: WRITES values, READERS with LOOKS each, DEATHS. What readers do, by -D: HOLDS, COPIES,
 * or one of the two each time. FILLED: values are filled in place.
 * AT_ONCE: no store is delayed.
 *
 * Mutants, each of which must be found, by -D; in brackets the edge of latest.c that they break:
 *   PUBLISH_FIRST   it is the newest before it is filled                    [L1 -> L2]
 *   UNMATCHED       a copy of what has a number, before STATE says so       [L1 -> L2]
 *   ASK_BUFFERED    a reader loads STATE before its asking is seen          [L3 <> L4]
 *   NO_ASK          it holds without having asked                           [L3 <> L4]
 *   OWN_CHOICE      it takes what it saw though it was given another        [L3 <> L4]
 *   NO_GRANT        the writer does nothing for who asks                    [L4 <> L3]
 *   BLIND           it does not look who holds
 *   BUFFERS=2       it has a buffer less than one holder takes
 *   EARLY_RELEASE   a hold ends before what it held was read                [L5 -> L6]
 *   KEEP_NUMBER     a buffer keeps its number while it is written           [L7 -> L8]
 *   NO_SECOND_LOOK  a copy is not looked at again                           [L8 <- L7]
 *   NUMBER_ONLY     nor whether it is still the newest, if filled in place  [L10 <- L9]
 */
#ifndef WRITES
#define WRITES 4
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef LOOKS
#define LOOKS 2
#endif

#ifdef HOLDS
#define SEATS READERS
#else
#define SEATS 0
#endif
#ifndef BUFFERS
#define BUFFERS (SEATS + 2)
#endif

#define STATE     0
#define SEAT(h)   (1 + (h))
#define NUMBER(b) (1 + SEATS + 3 * (b))
#define VALUE(b)  (2 + SEATS + 3 * (b))
#define SIZE(b)   (3 + SEATS + 3 * (b))

#define NAMED(number, b) ((number) * BUFFERS + (b)) /* in STATE */
#define INDEX(state)     ((state) % BUFFERS)
#define COUNT(state)     ((state) / BUFFERS)

#define NONE    0 /* in a seat */
#define ASKS    1
#define HELD(b) ((b) + 2)
#define W       READERS /* the writer's buffer of stores; readers have those of their seats */

byte mem[NUMBER(BUFFERS)];
chan buffer[READERS + 1] = [5] of { byte, byte }; /* word, value: stores on their way */
byte deaths = DEATHS;
byte published[WRITES + 1]; /* ghost: the value of each number */
byte past;                  /* ghost: who reads from now on is given nothing older */

#ifdef AT_ONCE
#define STORE(side, word, value) mem[word] = value
#else
#define STORE(side, word, value) buffer[side]!word, value
#endif
#define FENCE(side) (empty(buffer[side]))
#ifdef FILLED
#define FILL(word, value) mem[word] = value
#else
#define FILL(word, value) STORE(W, word, value)
#endif

/* A place where the process may die instead of going on. */
#if DEATHS == 0
#define MAY_DIE
#else
#define MAY_DIE \
	if \
	:: atomic { deaths > 0 -> deaths-- }; goto dead \
	:: true \
	fi;
#endif

/* Stores reach memory, in order, at any time. */
active [READERS + 1] proctype drain()
{
	byte word, value;
end:
	do
	:: atomic { buffer[_pid]?word, value -> mem[word] = value }
	od
}

#define FREE(b) (b < BUFFERS && (held >> b & 1) == 0)

/* The buffers that are held, as bits. Who asks is given the newest. */
inline look_who_holds()
{
	do
	:: h == SEATS -> break
	:: else ->
		MAY_DIE
		seen = mem[SEAT(h)]; /* L4 <> L3, and L6 <- L5 */
		if
#ifndef NO_GRANT
		:: seen == ASKS ->
			MAY_DIE
			d_step {
				seen = (mem[SEAT(h)] == ASKS -> HELD(newest) : mem[SEAT(h)]);
				mem[SEAT(h)] = seen
			}
#endif
		:: else
		fi;
		held = (seen > ASKS -> held | 1 << (seen - HELD(0)) : held);
		h++
	od
}

inline publish()
{
	STORE(W, NUMBER(at), number);
	MAY_DIE
	/* L1 -> L2. A buffered store is as good as made: a death does not lose it. */
	atomic { STORE(W, STATE, NAMED(number, at)); published[number] = id }
}

active proctype writer()
{
	byte newest, held, h, seen, at, number, id;

	goto start;
dead:	atomic { FENCE(W) -> newest = 0; held = 0; seen = 0; at = 0; number = 0 };
start:	do
	:: COUNT(mem[STATE]) == WRITES -> break
	:: else ->
		d_step { newest = INDEX(mem[STATE]); held = 1 << newest; h = 0; id++ };
#ifndef BLIND
		look_who_holds();
#endif
		if
		:: FREE(0) -> at = 0
		:: FREE(1) -> at = 1
		:: FREE(2) -> at = 2
		:: FREE(3) -> at = 3
		:: else -> assert(false)
		fi;
		number = mem[NUMBER(newest)] + 1;
		MAY_DIE
#ifndef KEEP_NUMBER
		STORE(W, NUMBER(at), 0); /* L7 -> L8 */
		MAY_DIE
#endif
#ifdef PUBLISH_FIRST
		publish();
#endif
		FILL(VALUE(at), id); /* L9 -> L10 */
		MAY_DIE
		STORE(W, SIZE(at), id);
		MAY_DIE
#ifndef PUBLISH_FIRST
		publish();
#endif
		MAY_DIE
		/* unlock */
		atomic {
			FENCE(W) -> past = (number > past -> number : past);
			newest = 0; held = 0; seen = 0; at = 0; number = 0
		}
	od
}

/* What a reader is given that began when @least was the past. */
inline given()
{
	d_step {
		assert(value == size && value == published[number]);
		assert(number >= least);
		past = (number > past -> number : past)
	}
}

inline copy()
{
	d_step { least = past; state = mem[STATE]; at = INDEX(state) };
	number = mem[NUMBER(at)]; /* L2 <- L1 */
	if
#ifndef UNMATCHED
	:: number != COUNT(state) -> goto next
#endif
	:: number == 0 -> goto next
	:: else
	fi;
	size = mem[SIZE(at)];
	value = mem[VALUE(at)];
#ifndef NO_SECOND_LOOK
	if
	:: mem[NUMBER(at)] != number -> goto next /* L8 <- L7 */
	:: else
	fi;
#endif
#if defined(FILLED) && !defined(NUMBER_ONLY)
	if
	:: mem[STATE] != state -> goto next /* L10 <- L9 */
	:: else
	fi;
#endif
	given()
}

inline hold()
{
	least = past;
#ifdef ASK_BUFFERED
	STORE(me, SEAT(me), ASKS);
#elif !defined(NO_ASK)
	atomic { FENCE(me) -> mem[SEAT(me)] = ASKS }; /* L3 <> L4 */
#endif
	MAY_DIE
	at = INDEX(mem[STATE]);
	MAY_DIE
	atomic {
		FENCE(me); /* unless the writer has done it */
		mem[SEAT(me)] = (mem[SEAT(me)] <= ASKS -> HELD(at) : mem[SEAT(me)]);
#ifndef OWN_CHOICE
		at = mem[SEAT(me)] - HELD(0)
#endif
	};
	MAY_DIE
	number = mem[NUMBER(at)]; /* L2 <- L1 */
	if
	:: number == 0 -> assert(least == 0) /* none yet */
	:: else ->
#ifdef EARLY_RELEASE
		STORE(me, SEAT(me), NONE);
#endif
		size = mem[SIZE(at)];
		value = mem[VALUE(at)];
		given();
		MAY_DIE
		assert(mem[NUMBER(at)] == number && mem[SIZE(at)] == size && mem[VALUE(at)] == value)
	fi;
	MAY_DIE
	STORE(me, SEAT(me), NONE) /* L5 -> L6 */
}

active [READERS] proctype reader()
{
	byte me = _pid - READERS - 2, looks, least, state, at, number, size, value;

#ifdef HOLDS
	goto start;
dead:	FENCE(me);
	STORE(me, SEAT(me), NONE); /* who sits there next */
#endif
start:	do
	:: looks == LOOKS -> break
	:: else ->
		looks++;
		if
#ifdef COPIES
		:: copy()
#endif
#ifdef HOLDS
		:: hold()
#endif
		fi;
next:		at = 0; d_step { least = 0; state = 0; number = 0; size = 0; value = 0 }
	od
}
