/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the memory of a topic's lane is used again (src/flow/topic.h): a publisher goes round a lane
 * of SLOTS messages, a subscriber takes them in one of three ways.
 *
 * Memory: words. Stores go through the storing process's own buffer, first in first out, and reach
 * memory later (x86's TSO), so a missing barrier shows; loads see memory. A slot holds one
 * message, so a position is the message's number.
 *
 *   NUMBER(n)  0 nothing is here, else which message     the publisher; publication is this store
 *   PAYLOAD(n) what message n holds                      the publisher
 *   OLDEST     the first that is not about to be         the publisher, before it writes there
 *              written over
 *   LOW        the first that the subscriber needs,      the subscriber
 *              or holds; 0 none
 *
 * Shown, for every interleaving and buffering within the bounds:
 *   - what is held, or was copied and found to be still there, is whole and the right one: of who
 *     is lossless all that it takes
 *   - each message is taken, or counted as missed, once
 *   - who is lossless misses none, and neither side waits for the other for ever
 *
 * Left out: what lies in a slot is of its own lap or an earlier one, never payload that looks
 * like a number. Bounds: MESSAGES messages through SLOTS slots. How it subscribes, by -D: LOSSLESS, HOLDS
 * (lossy, in place), else lossy and copying.
 *
 * Mutants, each of which must be found, by -D:
 *   PUBLISH_FIRST   publication before the payload is filled
 *   LATE_OLDEST     OLDEST is stored when the slot has been written
 *   BLIND           the publisher does not look at LOW
 *   OLDEST_BUFFERED it looks before its OLDEST is seen
 *   LOW_BUFFERED    the subscriber looks at OLDEST before its LOW is seen
 *   NO_LOOK_BEHIND  the subscriber does not look at OLDEST when it holds, or has copied
 *   EARLY_RELEASE   LOW is taken back before the payload was read
 */
#ifndef MESSAGES
#define MESSAGES 5
#endif
#ifndef SLOTS
#define SLOTS 2
#endif

#define NUMBER(n)  (2 * ((n) % SLOTS))
#define PAYLOAD(n) (2 * ((n) % SLOTS) + 1)
#define OLDEST     (2 * SLOTS)
#define LOW        (2 * SLOTS + 1)
#define WORDS      (2 * SLOTS + 2)

#define P 0 /* the publisher */
#define S 1 /* the subscriber */

byte mem[WORDS];
chan buffer[2] = [5] of { byte, byte }; /* word, value: stores on their way */

#define STORE(side, word, value) buffer[side]!word, value
#define FENCE(side)              (empty(buffer[side]))

proctype drain(byte side)
{
	byte word, value;

end:
	do
	:: atomic { buffer[side]?word, value -> mem[word] = value }
	od
}

proctype publisher()
{
	byte n = 1, oldest;

	do
	:: n > MESSAGES -> break
	:: else ->
		if
		:: n > SLOTS ->
			oldest = n - SLOTS + 1;
#ifndef LATE_OLDEST
			STORE(P, OLDEST, oldest);
#endif
#ifndef OLDEST_BUFFERED
			FENCE(P);
#endif
#ifndef BLIND
			(mem[LOW] == 0 || mem[LOW] >= oldest) /* or it waits */
#endif
		:: else
		fi;
		STORE(P, NUMBER(n), 0);
#ifdef PUBLISH_FIRST
		STORE(P, NUMBER(n), n);
		STORE(P, PAYLOAD(n), n);
#else
		STORE(P, PAYLOAD(n), n);
		STORE(P, NUMBER(n), n);
#endif
#ifdef LATE_OLDEST
		STORE(P, OLDEST, oldest);
#endif
		n++
	od
}

/* Message @at was taken, or some were written over. */
inline overtaken()
{
	d_step {
		missed = missed + (mem[OLDEST] - at);
		at = mem[OLDEST]
	}
}

proctype subscriber()
{
	byte at = 1, taken, missed, value;

#ifdef LOSSLESS
	STORE(S, LOW, 1);
	FENCE(S); /* it has come before anything was published: run by init */
#endif
	do
	:: taken + missed == MESSAGES -> break
	:: else ->
		if
		:: mem[NUMBER(at)] == at
#ifndef LOSSLESS
		:: mem[OLDEST] > at -> overtaken(); goto next
#endif
		fi;
#ifdef HOLDS
		STORE(S, LOW, at);
#ifndef LOW_BUFFERED
		FENCE(S);
#endif
#ifndef NO_LOOK_BEHIND
		if
		:: mem[OLDEST] > at ->
			STORE(S, LOW, 0);
			overtaken();
			goto next
		:: else
		fi;
#endif
#ifdef EARLY_RELEASE
		STORE(S, LOW, 0);
		FENCE(S);
#endif
		value = mem[PAYLOAD(at)];
		assert(value == at);
		value = mem[PAYLOAD(at)];
		assert(value == at);
#ifndef EARLY_RELEASE
		STORE(S, LOW, 0);
#endif
#else
#ifdef LOSSLESS
#ifdef EARLY_RELEASE
		STORE(S, LOW, at + 1);
		FENCE(S);
#endif
#endif
		value = mem[PAYLOAD(at)];
#ifdef LOSSLESS
		assert(value == at);
		value = mem[PAYLOAD(at)];
		assert(value == at);
#ifndef EARLY_RELEASE
		STORE(S, LOW, at + 1);
#endif
#else
#ifndef NO_LOOK_BEHIND
		if
		:: mem[OLDEST] > at -> overtaken(); goto next
		:: else
		fi;
#endif
		assert(value == at);
#endif
#endif
		taken++;
		at++;
next:		skip
	od;
#ifdef LOSSLESS
	assert(missed == 0)
#endif
}

init
{
	atomic {
		mem[OLDEST] = 1;
#ifdef LOSSLESS
		mem[LOW] = 1;
#endif
		run drain(P);
		run drain(S);
		run publisher();
		run subscriber()
	}
}
