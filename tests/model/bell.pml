/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bell of a primitive (src/sync/prim.h): two processes change what others wait for, here the
 * newest number of a latest value (src/flow/latest.c); SLEEPERS wait until it is another than they
 * have seen. Who changes it may die before any access to shared memory, and is then replaced.
 *
 * Memory: stores of NUMBER go through a buffer of who stores, and reach memory later (x86's TSO);
 * exchanges empty it. All else is stored by exchange.
 *
 *   LOCK    who changes NUMBER           by exchange; section.pml is about it
 *   NUMBER  how often it was changed     who has the lock
 *   sleep   bit 0: somebody sleeps;      who is about to sleep; bit 0 is cleared by who rings and
 *           above it how often that was  wakes nobody, if it was not said again since
 *           said
 *   bell    how often it rang            who has changed NUMBER
 *
 * Shown, for every interleaving, buffering and place of death within the bounds: all who wait see
 * the last number. Nobody sleeps for ever, and nobody needs the time limit of its sleep but once
 * after one has died that had yet to ring.
 *
 * Bounds: CHANGES, SLEEPERS, DEATHS.
 *
 * Mutants, each of which must be found, by -D; in brackets the edge of prim.h that they break:
 *   NO_RING      a change rings for nobody
 *   NO_BARRIER   the lock is given back by a plain store        [B1 -> B2]
 *   RING_BEFORE  who sleeps is looked at before the change      [B1 -> B2]
 *   NO_RECHECK   no look between saying that one sleeps and it  [B3 -> B4]
 *   BELL_LATE    what the bell says is read behind that look
 *   WAKE_ONE     a change wakes one of those who sleep (takes SLEEPERS=2)
 *   BLIND_CLEAR  who wakes nobody clears sleep, whatever was said since
 */
#ifndef CHANGES
#define CHANGES 2
#endif
#ifndef SLEEPERS
#define SLEEPERS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

#define LOCK   0
#define NUMBER 1

byte mem[2];
chan buffer[2] = [2] of { byte, byte }; /* word, value: stores on their way */
byte sleep, bell;
bool asleep[SLEEPERS];
byte deaths = DEATHS;
bool net[SLEEPERS]; /* a death may have cost it a wake-up: the time limit, once */

#define STORE(side, word, value) buffer[side]!word, value
#define FENCE(side)              (empty(buffer[side]))

/* A place where the process may die instead of going on. */
#define MAY_DIE \
	if \
	:: atomic { deaths > 0 -> deaths-- }; goto dead \
	:: true \
	fi

/* Stores reach memory, in order, at any time. */
active [2] proctype drain()
{
	byte word, value;
end:
	do
	:: atomic { buffer[_pid]?word, value -> mem[word] = value }
	od
}

/* tarn__prim_ring_slowly() */
inline ring()
{
	seen = sleep;
	MAY_DIE;
	atomic { FENCE(me) -> bell++ };
	MAY_DIE;
	d_step { /* FUTEX_WAKE */
		woken = asleep[0];
		asleep[0] = false;
#if SLEEPERS > 1
#ifdef WAKE_ONE
		asleep[1] = (woken -> asleep[1] : false);
#else
		woken = woken || asleep[1];
		asleep[1] = false;
#endif
#endif
	};
	if
	:: woken
	:: else ->
		MAY_DIE;
		d_step {
			if
#ifdef BLIND_CLEAR
			:: true -> sleep = sleep & 254
#else
			:: sleep == seen -> sleep = seen & 254
			:: else
#endif
			fi
		}
	fi
}

active [2] proctype changer()
{
	byte me = _pid - 2, seen;
	bool owes, woken;

	goto start;
dead:	atomic {
		FENCE(me) ->
		mem[LOCK] = (mem[LOCK] == me + 1 -> 0 : mem[LOCK]);
		net[0] = net[0] || owes;
#if SLEEPERS > 1
		net[1] = net[1] || owes;
#endif
		owes = false; woken = false; seen = 0
	};
start:	do
	:: atomic { mem[LOCK] == 0 && FENCE(me) -> mem[LOCK] = me + 1 };
		if
		:: mem[NUMBER] == CHANGES -> mem[LOCK] = 0; break
		:: else
		fi;
		MAY_DIE;
#ifdef RING_BEFORE
		seen = sleep;
#endif
		atomic { STORE(me, NUMBER, mem[NUMBER] + 1); owes = true };
		MAY_DIE;
#ifdef NO_BARRIER
		STORE(me, LOCK, 0);
#else
		atomic { FENCE(me) -> mem[LOCK] = 0 };
#endif
		MAY_DIE;
#ifndef RING_BEFORE
		seen = sleep; /* B2 <- B1 */
#endif
		if
#ifndef NO_RING
		:: (seen & 1) != 0 ->
			MAY_DIE;
			ring()
#endif
		:: else
		fi;
		d_step { owes = false; woken = false; seen = 0 }
	od
}

/* tarn__prim_await(); what spins first comes to the same */
active [SLEEPERS] proctype sleeper()
{
	byte me = _pid - 4, seen, at;

	do
	:: seen == CHANGES -> break
	:: mem[NUMBER] != seen -> seen = mem[NUMBER]
	:: mem[NUMBER] == seen && seen != CHANGES ->
		at = bell;
		sleep = (sleep | 1) + 2; /* B3 -> B4 */
		if
#ifndef NO_RECHECK
		:: mem[NUMBER] != seen
#endif
		:: else ->
#ifdef BELL_LATE
			at = bell;
#endif
			atomic {
				if
				:: bell == at -> asleep[me] = true
				:: else
				fi
			};
			if
			:: !asleep[me]
			:: atomic { asleep[me] && net[me] -> asleep[me] = false; net[me] = false }
			fi
		fi;
		at = 0
	od
}
