/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.h - the bytes of a region. design/format.md says the same in words; the assertions
 * below pin every offset that either of them names.
 *
 *        0 +---------------------------------+
 *          | superblock                      |  4096 bytes
 *     4096 +---------------------------------+
 *          | directory: object_max entries   |  128 bytes each
 *  members +---------------------------------+  a multiple of 4096
 *          | member pages, 4 members each    |  4096 bytes each
 *     heap +---------------------------------+  a multiple of 4096
 *          | objects, at multiples of 64     |
 *     size +---------------------------------+  grows up to max_size
 *
 * All numbers are of the creator's byte order; a reader of the other one refuses. No field is wider
 * than its alignment on any supported machine, so that 32- and 64-bit programs agree.
 *
 * A member id is a word:
 *
 *     31           11 10        1   0
 *     | generation 21 | slot+1 10 | * |   0 is nobody
 *
 * where * is 0 in an id, "live" in the member's own slot, and "somebody waits" in a lock word. The
 * generation counts the members that a slot has had, so an id that is kept after its member died
 * is not taken for the next one in that slot: for that it would have to be kept for exactly a
 * multiple of 2^21 joins of one slot, while slots are handed out in turn.
 *
 * Liveness: a member holds an open file description write lock on byte LOCK_BASE + slot of the
 * region's file (for System V: of its control file, see control.c). The kernel drops it when the
 * member dies. The words in the slot say who it is, never whether it lives.
 */
#ifndef TARN_REGION_FORMAT_H
#define TARN_REGION_FORMAT_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TARN__MAGIC      "TARN\r\n\x1a\n"
#define TARN__BYTE_ORDER 0x01020304u
#define TARN__VERSION    1u
#define TARN__PAGE       4096u /* the format's unit; not the machine's page size */
#define TARN__LOCK_BASE  (UINT64_C(1) << 62)

#define TARN__MEMBERS_MAX 1000u
#define TARN__OBJECTS_MAX 1024u
#define TARN__NAME_SIZE   64u

/* super_shm.state */
enum {
	TARN__MAKING = 0, /* System V only: other kinds have no name until they are open */
	TARN__OPEN = 1,
	TARN__CLOSED = 2, /* the last member of an ephemeral region left: not to be joined */
};

/* super_shm.flags */
enum {
	TARN__EPHEMERAL = 1u << 0,
};

struct super_shm {
	/* written by the creator before anybody can see them, then constant */
	uint8_t magic[8];
	uint32_t byte_order;
	uint32_t version;
	uint32_t layout;   /* tarn__layout_hash() */
	uint32_t checksum; /* FNV-1a of bytes [0, 20) and [24, 128) */
	uint8_t uuid[16];
	uint8_t boot_id[16];
	int64_t created_ns;
	uint32_t creator_pid;
	uint32_t creator_uid;
	uint32_t flags;
	uint32_t page_size; /* of the segment */
	uint32_t member_max;
	uint32_t object_max;
	uint64_t member_off;
	uint64_t directory_off;
	uint64_t heap_off;
	uint64_t max_size; /* bytes of the whole segment after all growth */
	uint32_t kind;     /* enum tarn_segment_kind */
	uint32_t zero;

	/* changing */
	alignas(64) _Atomic uint32_t lock; /* region lock: a member id, bit 0: somebody waits */
	_Atomic uint32_t state;
	_Atomic uint32_t size_pages; /* of the whole segment, in units of 4096; only grows */
	_Atomic uint32_t used_pages; /* beyond them every byte is still zero; only grows */
	_Atomic uint32_t next_slot;  /* where the next joiner starts looking: a hint */
	_Atomic uint32_t trace;      /* 0: off; else the entry that is logged to, see trace.h */
	_Atomic uint32_t deaths;     /* members that were found dead, and their slots freed */
	uint8_t pad[4096 - 128 - 28];
};

#define TARN__SUPER_STATIC 128u

static_assert(offsetof(struct super_shm, byte_order) == 8, "layout");
static_assert(offsetof(struct super_shm, version) == 12, "layout");
static_assert(offsetof(struct super_shm, layout) == 16, "layout");
static_assert(offsetof(struct super_shm, checksum) == 20, "layout");
static_assert(offsetof(struct super_shm, uuid) == 24, "layout");
static_assert(offsetof(struct super_shm, boot_id) == 40, "layout");
static_assert(offsetof(struct super_shm, created_ns) == 56, "layout");
static_assert(offsetof(struct super_shm, creator_pid) == 64, "layout");
static_assert(offsetof(struct super_shm, creator_uid) == 68, "layout");
static_assert(offsetof(struct super_shm, flags) == 72, "layout");
static_assert(offsetof(struct super_shm, page_size) == 76, "layout");
static_assert(offsetof(struct super_shm, member_max) == 80, "layout");
static_assert(offsetof(struct super_shm, object_max) == 84, "layout");
static_assert(offsetof(struct super_shm, member_off) == 88, "layout");
static_assert(offsetof(struct super_shm, directory_off) == 96, "layout");
static_assert(offsetof(struct super_shm, heap_off) == 104, "layout");
static_assert(offsetof(struct super_shm, max_size) == 112, "layout");
static_assert(offsetof(struct super_shm, kind) == 120, "layout");
static_assert(offsetof(struct super_shm, zero) == 124, "layout");
static_assert(offsetof(struct super_shm, lock) == 128, "layout");
static_assert(offsetof(struct super_shm, state) == 132, "layout");
static_assert(offsetof(struct super_shm, size_pages) == 136, "layout");
static_assert(offsetof(struct super_shm, used_pages) == 140, "layout");
static_assert(offsetof(struct super_shm, next_slot) == 144, "layout");
static_assert(offsetof(struct super_shm, trace) == 148, "layout");
static_assert(offsetof(struct super_shm, deaths) == 152, "layout");
static_assert(sizeof(struct super_shm) == 4096, "layout");

/* entry_shm.state: generation << 2 | one of these */
enum {
	TARN__ENTRY_FREE = 0,
	TARN__ENTRY_LIVE = 1,
	TARN__ENTRY_REMOVED = 2, /* no name; memory kept for those who hold it */
};

/* What an entry says, as words: copied word by word, since readers take no lock. */
struct entry {
	uint64_t off;
	uint64_t size;
	int64_t created_ns;
	uint32_t kind;
	uint32_t zero[7];
	char name[TARN__NAME_SIZE];
};

#define TARN__ENTRY_WORDS 30u
static_assert(sizeof(struct entry) == TARN__ENTRY_WORDS * 4, "layout");

struct entry_shm {
	_Atomic uint32_t state;
	_Atomic uint32_t check;                    /* FNV-1a of words */
	_Atomic uint32_t words[TARN__ENTRY_WORDS]; /* struct entry */
};

static_assert(offsetof(struct entry, off) == 0, "layout");
static_assert(offsetof(struct entry, size) == 8, "layout");
static_assert(offsetof(struct entry, created_ns) == 16, "layout");
static_assert(offsetof(struct entry, kind) == 24, "layout");
static_assert(offsetof(struct entry, name) == 56, "layout");
static_assert(offsetof(struct entry_shm, words) == 8, "layout");
static_assert(sizeof(struct entry_shm) == 128, "layout");

/* Who a member is, as words, for the same reason. */
struct member_who {
	int64_t joined_ns;
	uint32_t pid;
	uint32_t uid;
	char comm[16];
};

#define TARN__WHO_WORDS 8u
static_assert(sizeof(struct member_who) == TARN__WHO_WORDS * 4, "layout");

struct member_shm {
	_Atomic uint32_t state; /* id, bit 0: live (in a slot given back it is 0) */
	_Atomic uint32_t zero;
	_Atomic uint32_t who[TARN__WHO_WORDS];
	uint8_t pad0[64 - 8 - 4 * TARN__WHO_WORDS];
	_Atomic uint32_t holds[TARN__OBJECTS_MAX / 32]; /* bit n: object n is open here */
	uint8_t pad1[960 - 64 - TARN__OBJECTS_MAX / 8];
};

static_assert(offsetof(struct member_shm, who) == 8, "layout");
static_assert(offsetof(struct member_shm, holds) == 64, "layout");
static_assert(sizeof(struct member_shm) == 960, "layout");

#define TARN__PAGE_MEMBERS 4u

/*
 * Four members and, in the last 16 bytes of the page, their beacons: a word each that the kernel
 * marks with FUTEX_OWNER_DIED when the thread that joined ends. They stand at the very end so that
 * the list node which the kernel wants 24 to 40 bytes behind the word falls into the next page of
 * the member's own address space, which is private: no pointer is ever kept in shared memory. See
 * beacon.c.
 */
struct member_page_shm {
	struct member_shm member[TARN__PAGE_MEMBERS];
	uint8_t pad[240];
	_Atomic uint32_t beacon[TARN__PAGE_MEMBERS]; /* thread id | FUTEX_WAITERS | OWNER_DIED */
};

static_assert(offsetof(struct member_page_shm, beacon) == 4080, "layout");
static_assert(sizeof(struct member_page_shm) == 4096, "layout");

static_assert(sizeof(_Atomic uint32_t) == 4 && alignof(_Atomic uint32_t) == 4, "layout");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "a lock inside an atomic would be one per process");

/* --- member ids ---------------------------------------------------------------------------- */

#define TARN__ID_FLAG 1u /* live, or somebody waits */

static inline uint32_t tarn__id_of(uint32_t slot, uint32_t generation)
{
	return generation << 11 | (slot + 1) << 1;
}

/* The slot of @id; >= member_max for an id that is none. */
static inline uint32_t tarn__id_slot(uint32_t id)
{
	return ((id >> 1) & 0x3ffu) - 1u;
}

static inline uint32_t tarn__id_generation(uint32_t id)
{
	return id >> 11;
}

#endif /* TARN_REGION_FORMAT_H */
