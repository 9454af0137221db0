/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/region.h - a segment with a superblock: identity, members, and a directory of objects.
 *
 * A region is named by the addresses of <tarn/segment.h>. Every process that opens it, other
 * than to look on, is a member: it has a slot, and a lock that the kernel drops when it dies,
 * so who is alive is never guessed from a process id. Objects (rings and what follows them) have
 * names in the region's directory; "REGION/OBJECT" names one from outside.
 *
 * Callers:   any thread; calls on one handle exclude each other where they must. After fork()
 *            the child may go on using the handle: it becomes a member of its own at its
 *            first call. After exec() the handle is gone and the membership with it.
 * Progress:  open, close, grow and directory changes may wait, up to 10 ms past another
 *            member's death, for a lock that is held for microseconds; lookups do not.
 * Crash:     killed anywhere, the name is absent or complete, the directory has the object
 *            whole or not at all, no memory is lost, and the slot is taken over by the next
 *            who needs one.
 *            Whatever changes the directory may fail with -ETIMEDOUT: a live member, stopped or
 *            hostile, has held the region's lock for 2 s; nothing was changed.
 *            Whatever takes a handle may fail with -EIO: the file was truncated under it, see
 *            tarn_segment_guard().
 * Memory:    1024 bytes for each of member_max, attached or not, and the directory.
 * Trust:     members may spoil each other's data. Damage found is -EUCLEAN. A process that
 *            may only read can change nothing; by read locks on the file it can keep others from
 *            becoming members, so give read access to those who may do that.
 */
#ifndef TARN_REGION_H
#define TARN_REGION_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/segment.h>

TARN_BEGIN_DECLS

struct tarn_region; /* this process's handle */

/* Flags of struct tarn_region_opts; those of struct tarn_segment_opts are accepted too. */
#define TARN_REGION_CREATE    (1u << 16) /* open: create it if it is absent */
#define TARN_REGION_EPHEMERAL (1u << 17) /* create: the last member to leave removes it */
#define TARN_REGION_OBSERVE   (1u << 18) /* open: look on, read-only and not a member */

/* All zero means: the default of each. */
struct tarn_region_opts {
	uint64_t size;       /* bytes for objects; create: 0 = 1 MiB; open: what must at least be
	                        there, 0 = any */
	uint64_t max_size;   /* bytes that objects may ever have, by growth; 0 = size */
	uint32_t flags;      /* all but TARN_SEGMENT_LAZY and _PRIVATE */
	uint32_t mode;       /* as in struct tarn_segment_opts */
	uint32_t owner;      /* with TARN_SEGMENT_OWNER */
	uint32_t member_max; /* 1 .. 1000, rounded up to 4s; 0 = 256 */
	uint32_t object_max; /* 1 .. 1024, rounded up to 32s; 0 = 256 */
	uint32_t pages;      /* enum tarn_segment_pages */
	uint32_t numa;       /* enum tarn_segment_numa */
	uint32_t pad;        /* zero */
	uint64_t numa_nodes;
	struct tarn_diag *diag;
	uint64_t reserved[4]; /* zero */
};

#define TARN_OBJECT_NAME_MAX 63 /* bytes */

enum tarn_object_kind {
	TARN_OBJECT_BYTES = 1, /* plain memory: the user's own */
	TARN_OBJECT_RING = 2,
	TARN_OBJECT_SECTION = 3,
	TARN_OBJECT_ARENA = 4,
	TARN_OBJECT_EXTENT = 5,  /* memory that an arena grew by */
	TARN_OBJECT_CHANGES = 6, /* what a section's txs have changed: tarn/changes.h */
	TARN_OBJECT_DIRTY = 7,   /* the pages that they have changed */
	TARN_OBJECT_STRUCT = 8,  /* a struct with its description: tarn/type.h */
	TARN_OBJECT_MUTEX = 9,   /* the primitives: tarn/mutex.h, and so on */
	TARN_OBJECT_RWLOCK = 10,
	TARN_OBJECT_SEM = 11,
	TARN_OBJECT_COND = 12,
	TARN_OBJECT_BARRIER = 13,
	TARN_OBJECT_EVENT = 14,
	TARN_OBJECT_ONCE = 15,
	TARN_OBJECT_SPIN = 16,
	TARN_OBJECT_SEQLOCK = 17,
	TARN_OBJECT_LATEST = 18,   /* the newest whole value: tarn/latest.h */
	TARN_OBJECT_TOPIC = 19,    /* messages: tarn/topic.h */
	TARN_OBJECT_LANE = 20,     /* those of one of its publishers */
	TARN_OBJECT_COUNTERS = 21, /* figures: tarn/counters.h */
	TARN_OBJECT_SERVICE = 22,  /* who calls and who answers: tarn/call.h */
	TARN_OBJECT_BUNDLE = 23,   /* rings between one of its servers and some clients */
	TARN_OBJECT_TRACE = 24,    /* what happened last: tarn/trace.h */
};

struct tarn_region_stat {
	uint8_t uuid[16];    /* drawn at creation */
	uint8_t boot_id[16]; /* of the host's boot in which it was created */
	int64_t created_ns;  /* CLOCK_REALTIME */
	uint64_t size;       /* bytes for objects now */
	uint64_t max_size;
	uint64_t used;       /* bytes that objects occupy */
	uint64_t total_size; /* bytes of the segment, superblock and tables included */
	uint32_t version;    /* of the format */
	uint32_t layout;     /* hash of the format's structures */
	int32_t creator_pid; /* in the creator's PID namespace; for the eye */
	uint32_t creator_uid;
	uint32_t member_max;
	uint32_t member_count; /* alive now */
	uint32_t object_max;
	uint32_t object_count;
	bool ephemeral;
	bool removed;  /* closed by its last member, or its name is gone */
	bool observer; /* this handle is no member */
};

struct tarn_member_stat {
	uint32_t slot;
	uint32_t generation;
	int32_t pid; /* in the member's PID namespace; for the eye */
	uint32_t uid;
	int64_t joined_ns; /* CLOCK_REALTIME */
	char comm[16];     /* the program's name, NUL-terminated */
	bool alive;        /* by the kernel's lock */
	bool self;         /* this handle */
};

struct tarn_object_stat {
	char name[TARN_OBJECT_NAME_MAX + 1];
	uint32_t kind;         /* enum tarn_object_kind */
	uint32_t holder_count; /* live members that have it open */
	uint64_t off;          /* from the region's first byte */
	uint64_t size;         /* bytes */
	int64_t created_ns;    /* CLOCK_REALTIME */
	bool removed;          /* no name any more, kept for those who have it open */
};

/**
 * tarn_region_create - make the region at @addr, which must not exist.
 * @opts:       NULL for all defaults
 * @ret_region: handle on success, untouched on failure; tarn_region_close() it
 *
 * Return: 0, or what tarn_segment_create() returns. On failure nothing is left behind.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_create(const char *addr,
					       const struct tarn_region_opts *opts,
					       struct tarn_region **ret_region);

/**
 * tarn_region_open - become a member of the region at @addr, or look on.
 *
 * Return: 0, or
 *   -ENOENT   there is none and TARN_REGION_CREATE was not asked for
 *   -EPERM    another user's, or of a wider mode than accepted
 *   -EMSGSIZE it has less room than @opts->size asks
 *   -EPROTO   made by an incompatible version of the format, or on a machine of the other
 *             byte order
 *   -EUCLEAN  not a region, truncated, or damaged; diag names the field; not a byte changed
 *   -EUSERS   all member slots are held by live processes
 *   -EAGAIN   a System V segment under that key is still being made by a live process
 *   and what tarn_segment_open() or, with TARN_REGION_CREATE, tarn_region_create() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_open(const char *addr, const struct tarn_region_opts *opts,
					     struct tarn_region **ret_region);

/**
 * tarn_region_open_fd - the same for a descriptor: a memfd that was inherited or received.
 * @fd is duplicated; the caller keeps its own. To become a member, /proc must be mounted and @fd
 * must be open for reading and writing.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_open_fd(int fd, const struct tarn_region_opts *opts,
						struct tarn_region **ret_region);

/**
 * tarn_region_close - leave. Accepts NULL. Close what was opened inside it first.
 * The last member of an ephemeral region removes its name.
 * Since: 0.1
 */
TARN_API void tarn_region_close(struct tarn_region *region);

/**
 * tarn_region_remove - remove the name at @addr if what it names is a region.
 * @opts: owner and mode expectations; TARN_REGION_EPHEMERAL: only if no member is alive
 * Those who have it open keep it. A region so damaged that it cannot be opened is removed
 * too, as long as it can be known for one by its magic.
 * Return: 0, -ENOENT, -EPERM, -EACCES, -EINVAL, -EBUSY (a member is alive, see @opts),
 *   -EUCLEAN (no region; left alone).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_remove(const char *addr,
					       const struct tarn_region_opts *opts);

/**
 * tarn_region_grow - make room for @size bytes of objects, in place.
 * Return: 0 (also where it is that large already), -ENOSPC, -ENOMEM (beyond max_size), -EPERM
 *   (observer), -EOPNOTSUPP (System V).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_grow(struct tarn_region *region, uint64_t size,
					     struct tarn_diag *diag);

/** tarn_region_stat - facts, see the struct. Return: 0, -EUCLEAN. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_region_stat(struct tarn_region *region,
					     struct tarn_region_stat *ret_stat);

/** tarn_region_segment - the segment under the region; owned by @region. Since: 0.1 */
TARN_API struct tarn_segment *tarn_region_segment(const struct tarn_region *region);

/**
 * tarn_region_members - call @fn for each taken slot, dead ones included, until it returns
 * non-zero. @fn may call on the library, and fork, but not close @region.
 * Return: 0, -EUCLEAN, or what @fn returned.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_region_members(struct tarn_region *region,
		    int (*fn)(const struct tarn_member_stat *stat, void *arg), void *arg);

/**
 * tarn_region_objects - call @fn for each object until it returns non-zero.
 * Return: 0, -EUCLEAN, or what @fn returned.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_region_objects(struct tarn_region *region,
		    int (*fn)(const struct tarn_object_stat *stat, void *arg), void *arg);

/* One finding of a checker. */
struct tarn_finding {
	const char *where; /* "superblock", "member 3", "object frames" */
	const char *field; /* "tail" */
	const char *rule;  /* the invariant that does not hold, in words */
	uint64_t found;
	uint64_t expected; /* the value, or the bound, that the rule allows */
	bool repairable;   /* the next open, enter, tarn_region_gc() or, without force,
	                      tarn_section_recover() puts it right */
	bool unseen;       /* nothing is known to be wrong: it could not be looked at, for this */
};
typedef void tarn_report_fn(const struct tarn_finding *finding, void *arg);

/**
 * tarn_region_check - test every invariant of the region and its objects; changes nothing, but see
 * below.
 * @fn: called for each violation, and for what could not be looked at; may be NULL
 * On a region in use, what a live member is changing at that moment is not reported. An arena can
 * be judged while nobody is inside of its section. A member enters that if need be, for which it
 * waits 100 ms; what a dead owner left is undone by that, as by whoever enters. An observer does
 * not, nor one who is inside of another section.
 * Return: 0 all hold, -EUCLEAN one does not, 1 all that could be looked at hold, but there is an
 *   arena that could not: its section's owner stays inside, or is dead and we must not enter, or it
 *   is set aside.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_check(struct tarn_region *region, tarn_report_fn *fn,
					      void *arg);

/**
 * tarn_region_check_super - test the superblock of the region at @addr, which need not be fit to be
 * opened: the findings say why it is not.
 * @opts: owner and mode expectations as for open; NULL for defaults
 * @fn:   called for each violation; may be NULL
 * Return: 0, or -EUCLEAN and -EPROTO as tarn_region_open(), or what tarn_segment_open() returns.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_check_super(const char *addr,
						    const struct tarn_region_opts *opts,
						    tarn_report_fn *fn, void *arg);

/**
 * tarn_region_gc - reclaim the slots of the dead and the memory of removed objects that nobody
 * alive has open.
 * @ret_count: slots and objects reclaimed; may be NULL
 * Return: 0, -EPERM (observer), -EUCLEAN.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_region_gc(struct tarn_region *region, uint32_t *ret_count);

/* Something that a process which died left in shared memory. */
struct tarn_leftover {
	char path[288];  /* the file in /dev/shm */
	char proof[192]; /* why it is known that nobody uses it, in words */
	uint64_t size;   /* bytes of memory it keeps, its half-made segment included */
	int32_t id;      /* of that System V segment; -1 = none */
};

#define TARN_LEFTOVER_REMOVE (1u << 0) /* remove each before @fn is told; else only tell */

/**
 * tarn_leftovers - find what processes that were killed left behind: files that never got their
 * name (where the file system has no O_TMPFILE), control files without a region, System V
 * segments made by half, and files that tarn_host_reclaim() was just removing. What another user
 * owns, or a live process still has, is passed over; a file that was being removed when somebody
 * opened it gets its name back.
 * @fn: called for each until it returns non-zero; may be NULL
 * Return: 0, what @fn returned, or the error of reading /dev/shm.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_leftovers(uint32_t flags, int (*fn)(const struct tarn_leftover *leftover, void *arg),
	       void *arg);

/**
 * tarn_object_create - make object @name of @size zero bytes, kind TARN_OBJECT_BYTES.
 * @ret_data: its first byte, 64-byte aligned; held until tarn_object_close()
 * Return: 0, -EEXIST, -EINVAL (name), -ENOSPC (region full: diag says how large a hole there
 *   is), -ENFILE (directory full), -EPERM (observer).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_object_create(struct tarn_region *region, const char *name,
					       uint64_t size, void **ret_data,
					       struct tarn_diag *diag);

/**
 * tarn_object_open - find object @name of kind TARN_OBJECT_BYTES.
 * @ret_size: its size in bytes; may be NULL
 * Return: 0, -ENOENT, -EINVAL, -EPROTO (another kind), -EUCLEAN.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_object_open(struct tarn_region *region, const char *name,
					     void **ret_data, uint64_t *ret_size);

/** tarn_object_close - give up the hold that create or open took. Since: 0.1 */
TARN_API void tarn_object_close(struct tarn_region *region, void *data);

/**
 * tarn_object_remove - remove the name, whatever its kind. Those who have it open keep it; the
 * memory is reused once none of them is alive or has it open, and what the dead changed there in a
 * section has been undone.
 * Lanes go with their topic.
 * Return: 0, -ENOENT, -EINVAL, -EPERM (observer), -EBUSY (a lane whose topic is there), -EUCLEAN.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_object_remove(struct tarn_region *region, const char *name);

TARN_END_DECLS

#endif /* TARN_REGION_H */
