/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock and the journal of a section (src/sync): PROCS processes pass through it, each of which
 * may die before any access to shared memory, or asleep, and may be replaced by a member of another
 * generation; whoever rolls back may die, too.
 *
 *   lock     id of who is inside, 0 nobody         by exchange
 *   waits    its bit 0: somebody sleeps            with lock, as one word
 *   seq      odd while the journal counts          who has the lock
 *   count, old[]   entries of the journal          who has the lock
 *   data[]   two words, equal when nobody is inside
 *
 * The kernel: life[] of ids; who sleeps watches the lock word and the beacon of the id it saw; a
 * death wakes one of those who watch it, who passes the wake on.
 *
 * Each access takes effect at once. What a weak processor adds is bounded by the edges that
 * tests/tsan checks; a death adds nothing, since it is seen through the kernel.
 *
 * Shown, for every interleaving and place of death within the bounds:
 *   - one at a time is inside, and sees what the last commit left, whole
 *   - a reader that found the version even and unchanged has read what was there at once
 *   - nobody sleeps for ever, and nobody needs the time limit of its sleep but after a death of
 *     one that did not have the lock, or of one whom a sleeper does not watch, since it fell
 *     asleep while another had the lock
 *
 * Bounds: PROCS processes, PASSES passes each, DEATHS deaths, GIVE_UPS waits that end at a
 * deadline, READS looks of a reader; the first process may have passes of its own, FIRST.
 *
 * Mutants, each of which must be found, by -D:
 *   NO_WAKE        giving the lock back wakes nobody
 *   NO_FLAG        who has slept takes the lock without saying that others may sleep behind
 *   KEEP_WAKE      who gives up at its deadline keeps a wake to itself (takes FIRST=2, GIVE_UPS=1)
 *   NO_BEACON      a death wakes nobody
 *   TAKE_LIVING    the lock is taken from the living
 *   NO_GENERATION  a successor has the id of the dead
 *   LATE_LOG       the store before its entry
 *   EARLY_COUNT    an entry counts before it is written
 *   NO_UNDO        what the dead left is not put back
 *   EARLY_EVEN     the version is even before all is put back
 *   EAT_JOURNAL    putting back uses the journal up
 *   LATE_COMMIT    the lock is given back before the commit
 *   STALE_COUNT    the journal is not emptied after the commit
 *   NO_SECOND_LOOK a reader does not look at the version again
 *   ANY_VERSION    a reader takes an odd version, too
 *   SAME_VERSION   a commit leaves the version as it was before
 */
#ifndef PROCS
#define PROCS 3
#endif
#ifndef PASSES
#define PASSES 1
#endif
#ifndef FIRST
#define FIRST PASSES
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 0
#endif
#ifndef READS
#define READS 0
#endif

/* What one does that has the lock is seen by readers only, or when it is dead: without readers the
 * only thing that can come between is its death. */
#if READS == 0 && !defined(TAKE_LIVING)
#define ALONE_BEGIN atomic {
#define ALONE_END   }
#else
#define ALONE_BEGIN
#define ALONE_END
#endif

#define GENERATIONS (DEATHS + 1)
#ifdef NO_GENERATION
#define ID(p, generation) ((p) + 1)
#else
#define ID(p, generation) ((p) * GENERATIONS + (generation) + 1)
#endif
#define IDS (PROCS * GENERATIONS + 1)

byte lock;
bool waits;
byte seq;
byte count;
byte old[2];
byte data[2];

bool life[IDS];
bool sleeping[PROCS];
byte watched[PROCS]; /* the id whose beacon a sleeper watches */
byte deaths = DEATHS;
byte give_ups = GIVE_UPS;
bool excused;  /* a death may have cost a wake-up */
byte inside;   /* ghost: id of who is */
byte final;    /* ghost: what the last commit left */

#define MAY_DIE \
	if \
	:: atomic { deaths > 0 -> deaths-- }; goto dead \
	:: true \
	fi

/* FUTEX_WAKE on the lock word: any one sleeper. */
inline wake_one()
{
	if
	:: sleeping[0] -> sleeping[0] = false
#if PROCS > 1
	:: sleeping[1] -> sleeping[1] = false
#endif
#if PROCS > 2
	:: sleeping[2] -> sleeping[2] = false
#endif
	:: else
	fi
}

/* ... on the beacon of @id. */
inline wake_watcher(id)
{
	if
	:: sleeping[0] && watched[0] == id -> sleeping[0] = false
#if PROCS > 1
	:: sleeping[1] && watched[1] == id -> sleeping[1] = false
#endif
#if PROCS > 2
	:: sleeping[2] && watched[2] == id -> sleeping[2] = false
#endif
	:: else
	fi
}

#define UNWATCHED(p, id) (sleeping[p] && watched[p] != (id))
#if PROCS > 2
#define ALL_WATCH(id) (!UNWATCHED(0, id) && !UNWATCHED(1, id) && !UNWATCHED(2, id))
#else
#define ALL_WATCH(id) (!UNWATCHED(0, id) && !UNWATCHED(1, id))
#endif

proctype process(byte me)
{
	byte id, mine, seen, passes, at, generation;
	bool seen_waits, slept;

start:
	id = ID(me, generation);
	life[id] = true;
	do
	:: passes == (me == 0 -> FIRST : PASSES) -> goto done
	:: else ->
		/* --- enter */
		slept = false;
		MAY_DIE;
		if
		:: atomic { lock == 0 && !waits -> lock = id }; goto started
		:: true
		fi;
look:
		atomic { seen = lock; seen_waits = waits };
		MAY_DIE;
		if
		:: seen == 0 ->
			if
			:: atomic { lock == seen && waits == seen_waits ->
				lock = id;
#ifdef NO_FLAG
				waits = seen_waits
#else
				waits = seen_waits || slept
#endif
				}; goto started
			:: atomic { lock != seen || waits != seen_waits }; goto look
			fi
#ifdef TAKE_LIVING
		:: seen != 0 ->
#else
		:: seen != 0 && !life[seen] ->
#endif
			MAY_DIE;
			if
			:: atomic { lock == seen && waits == seen_waits ->
				lock = id;
				waits = seen_waits || slept
				}; goto roll_back
			:: atomic { lock != seen || waits != seen_waits }; goto look
			fi
#ifndef TAKE_LIVING
		:: seen != 0 && life[seen]
#endif
		fi;
		if
		:: atomic { give_ups > 0 && slept -> give_ups-- }; goto give_up
		:: true
		fi;
		MAY_DIE;
		/* --- say that somebody sleeps */
		if
		:: seen_waits
		:: atomic { !seen_waits && lock == seen && !waits -> waits = true }
		:: atomic { !seen_waits && (lock != seen || waits) }; goto look
		fi;
		slept = true;
		MAY_DIE;
		/* --- sleep: the kernel compares both words as it falls asleep */
		atomic {
			if
			:: lock == seen && waits && life[seen] ->
				sleeping[me] = true;
				watched[me] = seen
			:: else -> goto look
			fi
		};
		if
		:: !sleeping[me]
		:: atomic { sleeping[me] && excused -> sleeping[me] = false } /* the time limit */
		:: atomic { sleeping[me] && give_ups > 0 -> give_ups--; sleeping[me] = false };
			goto give_up
		:: atomic { sleeping[me] && deaths > 0 -> deaths-- }; goto dead
		fi;
		MAY_DIE;
		/* --- pass a death on */
		if
		:: atomic { !life[seen] -> wake_watcher(seen) }
		:: life[seen]
		fi;
		goto look;

		/* --- the lock is ours, taken from the dead */
roll_back:
		ALONE_BEGIN
		if
		:: (seq & 1) == 1 ->
#ifdef EARLY_EVEN
			MAY_DIE;
			seq++;
#endif
			at = count;
			do
			:: at == 0 -> break
			:: else ->
				at--;
				MAY_DIE;
#ifdef EAT_JOURNAL
				count = at;
				MAY_DIE;
#endif
#ifndef NO_UNDO
				data[at] = old[at]
#endif
			od;
#ifndef EARLY_EVEN
			MAY_DIE;
			seq++
#endif
		:: else
		fi;
		MAY_DIE;
		count = 0
		ALONE_END;

started:
		atomic {
#ifndef LATE_COMMIT
			assert(inside == 0);
#endif
			inside = id;
			assert(data[0] == final && data[1] == final)
		};
		ALONE_BEGIN
		MAY_DIE;
		seq++;
		assert((seq & 1) == 1);
		/* --- two logged stores: entry at is for word at */
		at = 0;
		do
		:: at == 2 -> break
		:: else ->
			MAY_DIE;
#ifdef LATE_LOG
			data[at] = final + 1;
			MAY_DIE;
			old[at] = final;
			MAY_DIE;
			count = at + 1;
#else
#ifdef EARLY_COUNT
			count = at + 1;
			MAY_DIE;
			old[at] = data[at];
			MAY_DIE;
#else
			old[at] = data[at];
			MAY_DIE;
			count = at + 1;
			MAY_DIE;
#endif
			data[at] = data[at] + 1;
#endif
			at++
		od;
		MAY_DIE;
		if
		:: true
		:: /* --- abort: the same way as whoever rolls back */
			do
			:: at == 0 -> break
			:: else -> at--; MAY_DIE; data[at] = old[at]
			od;
			MAY_DIE
		fi;
		/* --- commit, or the end of the abort */
#ifndef LATE_COMMIT
		atomic {
#ifdef SAME_VERSION
			seq--;
#else
			seq++;
#endif
			final = data[0]; assert(data[0] == data[1]); inside = 0 };
		MAY_DIE;
#endif
#ifndef STALE_COUNT
		count = 0;
#endif
		MAY_DIE
		ALONE_END;
		atomic { seen_waits = waits; lock = 0; waits = false; at = 0 };
#ifdef LATE_COMMIT
		MAY_DIE;
		atomic { seq++; final = data[0]; inside = 0 };
#endif
		MAY_DIE;
		if
#ifndef NO_WAKE
		:: seen_waits -> atomic { wake_one() }
#endif
		:: else
		fi;
		passes++
	od;
give_up:
#ifndef KEEP_WAKE
	MAY_DIE;
	atomic { wake_one() };
#endif
	goto done;
dead:
	atomic {
		life[id] = false;
		sleeping[me] = false;
		excused = excused || lock != id || !ALL_WATCH(id);
		if
		:: inside == id -> inside = 0
		:: else
		fi;
#ifndef NO_BEACON
		wake_watcher(id);
#endif
		generation++
	};
	if
	:: goto start
	:: goto done /* nobody takes its place */
	fi;
done:
	skip
}

/* Without entering. */
proctype reader()
{
	byte reads, version, a, b;

	do
	:: reads == READS -> break
	:: else ->
		reads++;
		version = seq;
		if
#ifdef ANY_VERSION
		:: true ->
#else
		:: (version & 1) == 0 ->
#endif
			a = data[0];
			b = data[1];
#ifdef NO_SECOND_LOOK
			assert(a == b)
#else
			if
			:: seq == version -> assert(a == b)
			:: seq != version
			fi
#endif
#ifndef ANY_VERSION
		:: else
#endif
		fi
	od
}

init
{
	byte i;

	atomic {
		do
		:: i == PROCS -> break
		:: else -> run process(i); i++
		od;
		if
		:: READS > 0 -> run reader()
		:: else
		fi
	}
}
