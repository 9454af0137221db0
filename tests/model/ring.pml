/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring's protocol (src/flow/ring.h): one producer, one consumer, either of which may die
 * before any access to shared memory, or asleep, and is then replaced.
 *
 * Memory: words. A record takes two cells of the ring, its header and its payload, and cells are
 * used in turn, so what was payload in one lap is a header in the next. Stores go through the
 * storing process's own buffer, first in first out, and reach memory later (x86's TSO), so a
 * missing barrier shows; loads see memory. The kernel empties the buffer of a process that it
 * ends. Records are of one size: what their size does to positions is arithmetic, and the unit
 * tests' business.
 *
 *   HDR(n)   0 unpublished, else published   the producer; publication is this store
 *   PAY(n)   what record n holds             the producer
 *   TAIL     records published so far        the producer, after publication: for its successor
 *   WAKE_AT  the HEAD that it waits for      the producer
 *   HEAD     records consumed so far         the consumer
 *   ASLEEP(side)  that side is about to sleep; the other side clears it and then wakes
 *
 * Shown, for every interleaving, buffering and place of death within the bounds:
 *   - the consumer sees each record whole, unchanged while it looks, in order, none missing
 *     (again, where it died before releasing)
 *   - no record is published twice
 *   - nobody sleeps for ever: sleeps here have no time limit, those of the code have one, so this
 *     shows that the limit is a net and not a part of the protocol
 *
 * Bounds: RECORDS records through CELLS cells, P_DEATHS and C_DEATHS deaths.
 *
 * Mutants, each of which must be found, by -D:
 *   PUBLISH_FIRST  publication before the payload is filled
 *   NO_ZERO        the header that follows is not zeroed before publication
 *   STALE_TAIL     a new producer starts at TAIL though that record is published already
 *   LAZY_TAIL      it goes over that record, but leaves TAIL as it was (takes P_DEATHS=2, CELLS=4)
 *   NO_FOLLOWER    room is counted without the header that follows the record (takes CELLS=4)
 *   EARLY_RELEASE  HEAD is stored before the payload was read
 *   NO_RECHECK     no look at the awaited word between announcing the sleep and sleeping
 *   NO_BARRIER     no barrier between announcing the sleep and that look
 *   NO_BEACON      the peer's death wakes nobody
 *   NO_CLAIM_WAKE  a successor does not wake the other side
 */
#ifndef RECORDS
#define RECORDS 4
#endif
#ifndef P_DEATHS
#define P_DEATHS 1
#endif
#ifndef C_DEATHS
#define C_DEATHS 1
#endif
#ifndef CELLS
#define CELLS 5
#endif

#define HDR(n)       ((2 * (n)) % CELLS)
#define PAY(n)       ((2 * (n) + 1) % CELLS)
#define TAIL         CELLS
#define HEAD         (CELLS + 1)
#define WAKE_AT      (CELLS + 2)
#define ASLEEP(side) (CELLS + 3 + (side))
#define WORDS        (CELLS + 5)

/* Room for record @tail and for the header that follows it. */
#ifdef NO_FOLLOWER
#define ROOM (2 * (tail - head) + 2 <= CELLS)
#else
#define ROOM (2 * (tail - head) + 3 <= CELLS)
#endif

#define P 0 /* the producer's side */
#define C 1 /* the consumer's side */

byte mem[WORDS];
chan buffer[2] = [6] of { byte, byte }; /* word, value: stores on their way */
bool sleeping[2];
bool alive[2] = true;
byte deaths[2] = { P_DEATHS, C_DEATHS };
byte record[RECORDS]; /* ghost: what was published, 0 for not yet */

#define STORE(side, word, value) buffer[side]!word, value
#define DRAINED(side) (empty(buffer[side]))

/* A place where the side may die instead of going on. */
#define MAY_DIE(side) \
	if \
	:: deaths[side] > 0 -> goto dead \
	:: true \
	fi

/* membarrier(): the caller's stores are out, and so are those that the other side has made. */
#ifdef NO_BARRIER
#define BARRIER true
#else
#define BARRIER (DRAINED(P) && DRAINED(C))
#endif

#ifdef NO_RECHECK
#define UNREADY(condition) true
#else
#define UNREADY(condition) (condition)
#endif

/* Announce, barrier, look again, sleep. The kernel compares the announcement and the peer's
 * beacon as one step with falling asleep. */
#define SLEEP(side, unready) \
	STORE(side, ASLEEP(side), 1); \
	DRAINED(side); \
	MAY_DIE(side); \
	BARRIER; \
	if \
	:: UNREADY(unready) -> \
		MAY_DIE(side); \
		atomic { \
			if \
			:: mem[ASLEEP(side)] == 1 && alive[1 - side] -> sleeping[side] = true \
			:: else \
			fi \
		}; \
		if \
		:: !sleeping[side] \
		:: deaths[side] > 0 && sleeping[side] -> goto dead \
		fi \
	:: !UNREADY(unready) \
	fi; \
	STORE(side, ASLEEP(side), 0)

/* Take the other side's announcement away, then wake it. Both are full barriers. */
#define WAKE(side) \
	DRAINED(side); \
	if \
	:: atomic { mem[ASLEEP(1 - side)] == 1 -> mem[ASLEEP(1 - side)] = 0 }; \
		MAY_DIE(side); \
		sleeping[1 - side] = false \
	:: mem[ASLEEP(1 - side)] == 0 \
	fi

/* After a store that the other side may wait for. */
#define NOTIFY(side, satisfied) \
	if \
	:: mem[ASLEEP(1 - side)] != 0 && (satisfied) -> \
		MAY_DIE(side); \
		WAKE(side) \
	:: mem[ASLEEP(1 - side)] == 0 || !(satisfied) \
	fi

/* A process takes the role: the other side may wait for what the dead one did last, and has
 * missed its death if the role was taken again since. */
#ifdef NO_CLAIM_WAKE
#define CLAIM(side) alive[side] = true
#else
#define CLAIM(side) \
	alive[side] = true; \
	MAY_DIE(side); \
	WAKE(side)
#endif

/* The end of a process: its stores get out, the beacon wakes whoever sleeps on it. */
inline die(side)
{
	atomic {
		DRAINED(side) -> deaths[side]--;
		alive[side] = false;
		sleeping[side] = false;
#ifndef NO_BEACON
		sleeping[1 - side] = false
#endif
	}
}

/* Stores reach memory, in order, at any time. */
active [2] proctype drain()
{
	byte word, value;
end:
	do
	:: atomic { buffer[_pid]?word, value -> mem[word] = value }
	od
}

active proctype producer()
{
	byte tail, head, generation;

start:
	CLAIM(P);
	tail = mem[TAIL];
#ifndef STALE_TAIL
	do
	:: tail < RECORDS && mem[HDR(tail)] != 0 -> tail++
	:: else -> break
	od;
#ifndef LAZY_TAIL
	MAY_DIE(P);
	STORE(P, TAIL, tail);
#endif
#endif
	head = mem[HEAD];
	do
	:: tail == RECORDS -> break
	:: else ->
		do
		:: ROOM -> break
		:: else ->
			MAY_DIE(P);
			head = mem[HEAD];
			if
			:: ROOM
			:: else ->
				/* To be woken when there is room, or not before all is free. */
				if
				:: STORE(P, WAKE_AT, head + 1)
				:: STORE(P, WAKE_AT, tail)
				fi;
				MAY_DIE(P);
				SLEEP(P, mem[HEAD] < mem[WAKE_AT]);
				alive[C]; /* if it died, wait for its successor */
				head = mem[HEAD]
			fi
		od;
		MAY_DIE(P);
#ifndef NO_ZERO
		STORE(P, HDR(tail + 1), 0);
		MAY_DIE(P);
#endif
#ifdef PUBLISH_FIRST
		atomic { STORE(P, HDR(tail), 1); record[tail] = 10 * generation + tail + 1 };
		MAY_DIE(P);
		STORE(P, PAY(tail), 10 * generation + tail + 1);
#else
		STORE(P, PAY(tail), 10 * generation + tail + 1);
		MAY_DIE(P);
		/* Publication. A buffered store is as good as made: a death does not lose it. */
		atomic {
			assert(record[tail] == 0);
			STORE(P, HDR(tail), 1);
			record[tail] = 10 * generation + tail + 1
		};
#endif
		MAY_DIE(P);
		STORE(P, TAIL, tail + 1);
		MAY_DIE(P);
		NOTIFY(P, true);
		tail++
	od;
	goto done;
dead:
	die(P);
	generation++;
	goto start;
done:
	skip
}

active proctype consumer()
{
	byte head;

start:
	CLAIM(C);
	head = mem[HEAD];
	do
	:: head == RECORDS -> break
	:: else ->
		do
		:: mem[HDR(head)] != 0 -> break
		:: else ->
			MAY_DIE(C);
			SLEEP(C, mem[HDR(head)] == 0);
			/* If the producer died and left nothing, wait for its successor. */
			alive[P] || mem[HDR(head)] != 0
		od;
		MAY_DIE(C);
#ifdef EARLY_RELEASE
		STORE(C, HEAD, head + 1);
		MAY_DIE(C);
#endif
		/* Twice: it must not change under the eyes of one who reads it in place. */
		assert(mem[PAY(head)] == record[head] && record[head] != 0);
		MAY_DIE(C);
		assert(mem[PAY(head)] == record[head]);
#ifndef EARLY_RELEASE
		MAY_DIE(C);
		STORE(C, HEAD, head + 1);
#endif
		MAY_DIE(C);
		NOTIFY(C, head + 1 >= mem[WAKE_AT]);
		head++
	od;
	goto done;
dead:
	die(C);
	goto start;
done:
	skip
}
