/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The waiter's descriptor (src/flow/waiter.h): two sources, each with somebody who makes it ready;
 * the waiter's owner, who polls the descriptor; and the thread that sleeps in its place; or by -D
 * URING the kernel (io_uring), which compares and falls asleep in one step, and makes the descriptor
 * readable in the step that wakes it. Its place with the other bell it gives back later, and who
 * rings that one takes it for a sleeper meanwhile.
 *
 * Memory: stores of who makes a source ready go through a buffer of its own, first in first out,
 * and reach memory later (x86's TSO); its exchanges empty it. The owner and the thread store by
 * exchanges, or what only they read.
 *
 *   MSG(s)    so many messages are there        who makes it ready; a plain store
 *   sleep[s]  bit 0: somebody sleeps; above it  the owner sets it; who rings and wakes nobody
 *             how often that was said           clears it, if it was not said again since
 *   bell[s]   how often that one rang           by exchange
 *
 * Shown, for every interleaving and buffering within the bounds: all messages are taken, that is,
 * the owner never sleeps in poll() for ever while something is ready, and nobody waits for another
 * for ever. Sleeps here have no time limit, those of the code have one, so this shows that the
 * limit is a net and no part of the protocol.
 *
 * Bounds: two sources, MESSAGES of each; VISITS times the owner looks though poll() says nothing.
 *
 * Mutants, each of which must be found, by -D:
 *   NO_RECHECK   no look between saying that one sleeps and letting the thread sleep
 *   NO_BARRIER   no barrier before that look
 *   BELL_LATE    what the bells say is read behind that look
 *   NO_RAISE     what that look finds does not make the descriptor readable again
 *   LATE_CLEAR   the descriptor is cleared when the thread sleeps already
 *   NO_ANSWER    the thread does not answer with IDLE
 *   KEEPS_PHASE  the thread, when it has told, stays armed
 *   BLIND_CLEAR  who wakes nobody clears sleep, whatever was said since (takes MESSAGES=2)
 *   NO_COMPARE   the kernel does not compare (URING)
 */
#ifndef MESSAGES
#define MESSAGES 1
#endif

#ifndef VISITS
#define VISITS 1
#endif

#define IDLE     0
#define ARMED    1
#define STOPPING 2

#define MSG(s) (s)

byte mem[2];
byte sleep[2];
byte bell[2];
chan buffer[2] = [4] of { byte, byte }; /* word, value: stores on their way */

byte phase = IDLE;
byte words[2];          /* the thread's copy of what the bells said */
bool readable = true;   /* as far as is known */
bool descriptor = true; /* what poll() says: nobody has looked yet */
bool thread_sleeps;
byte taken[2];

#define NOBODY 0
#define ASLEEP 1
#define TOLD   2

byte kernel = NOBODY;
byte told_by; /* whose bell */

#define DRAINED   (empty(buffer[0]) && empty(buffer[1]))
#define READY(s)  (mem[MSG(s)] != taken[s])
#define ALL_TAKEN (taken[0] == MESSAGES && taken[1] == MESSAGES)
#define CHANGED   (bell[0] != words[0] || bell[1] != words[1])

inline raise_it()
{
	bool was;

	d_step {
		was = readable;
		readable = true;
	}
	if
	:: !was -> descriptor = true
	:: else -> kernel = NOBODY
	fi
}

inline wake(s)
{
	d_step {
#ifdef URING
		if
		:: kernel == ASLEEP ->
			kernel = TOLD;
			told_by = s;
			descriptor = true;
			woken = true
		:: else -> woken = kernel == TOLD && told_by != s
		fi
#else
		woken = thread_sleeps;
		thread_sleeps = false
#endif
	}
}

inline arm()
{
#ifdef URING
	d_step {
		if
#ifndef NO_COMPARE
		:: CHANGED -> descriptor = true
#endif
		:: else -> kernel = ASLEEP
		fi
	}
#else
	phase = ARMED
#endif
}

proctype drain(byte s)
{
	byte word, value;

end:
	do
	:: atomic { buffer[s]?word, value -> mem[word] = value }
	od
}

proctype maker(byte s)
{
	byte n = 1, seen;
	bool woken;

	do
	:: n > MESSAGES -> break
	:: else ->
		buffer[s]!MSG(s), n;
		n++;
		seen = sleep[s];
		if
		:: (seen & 1) == 0
		:: else ->
			/* an exchange: what was stored before is there */
			atomic { empty(buffer[s]) -> bell[s]++ };
			wake(s);
			if
			:: woken
			:: else ->
				d_step {
					if
#ifdef BLIND_CLEAR
					:: true -> sleep[s] = sleep[s] & 254
#else
					:: sleep[s] == seen -> sleep[s] = seen & 254
					:: else
#endif
					fi
				}
			fi
		fi
	od
}

/* It has one word more to sleep on than the bells: phase. */
proctype sleeper()
{
end:
	do
	:: phase == ARMED ->
		atomic {
			if
			:: phase == ARMED && !CHANGED -> thread_sleeps = true
			:: else
			fi
		};
end_asleep:	(!thread_sleeps);
		if
		:: phase == ARMED && CHANGED ->
			raise_it();
#ifndef KEEPS_PHASE
			d_step {
				if
				:: phase == ARMED -> phase = IDLE
				:: else
				fi
			}
#else
			(phase != ARMED)
#endif
		:: else
		fi
#ifndef NO_ANSWER
	:: phase == STOPPING -> phase = IDLE
#endif
	od
}

inline take_all()
{
	do
	:: READY(0) -> taken[0]++
	:: READY(1) -> taken[1]++
	:: !READY(0) && !READY(1) -> break
	:: READY(0) || READY(1) -> break /* or only some of it */
	od
}

proctype owner()
{
	byte seen[2], visits = VISITS;

	do
	:: ALL_TAKEN -> break
	:: else ->
		if
		:: (descriptor) /* poll() */
		:: visits > 0 -> visits-- /* or for another reason */
		fi;
		if
		:: READY(0) || READY(1) ->
			raise_it();
			take_all()
		:: else ->
			/* its words back */
			atomic {
				if
				:: phase == ARMED -> phase = STOPPING
				:: else
				fi
			};
			thread_sleeps = false;
			(phase == IDLE);
			kernel = NOBODY;
#ifndef LATE_CLEAR
			readable = false;
			descriptor = false;
#endif
			/* say of both that one sleeps */
			seen[0] = bell[0];
			sleep[0] = (sleep[0] | 1) + 2;
			seen[1] = bell[1];
			sleep[1] = (sleep[1] | 1) + 2;
#ifndef NO_BARRIER
			(DRAINED);
#endif
			if
#ifndef NO_RECHECK
			:: READY(0) || READY(1) ->
#ifndef NO_RAISE
				raise_it();
#endif
				take_all()
#endif
			:: else ->
#ifdef BELL_LATE
				seen[0] = bell[0];
				seen[1] = bell[1];
#endif
				words[0] = seen[0];
				words[1] = seen[1];
				arm();
#ifdef LATE_CLEAR
				readable = false;
				descriptor = false
#endif
			fi
		fi
	od
}

init
{
	atomic {
		run drain(0);
		run drain(1);
		run maker(0);
		run maker(1);
#ifndef URING
		run sleeper();
#endif
		run owner()
	}
}
