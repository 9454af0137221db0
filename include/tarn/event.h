/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/event.h - a flag that others wait for.
 *
 * There are two kinds:
 *
 *   manual  once set it stays so until it is reset, and lets everybody through. Whoever waits when
 *           it is set gets through, even if it is reset before that one has looked.
 *   auto    each set lets one through, and who gets through resets it.
 *
 * What was done before tarn_event_set() is visible to whom it lets through.
 *
 * Callers:   any thread; threads of a process may share a handle. Anybody may set and reset.
 * Progress:  set and reset wait for nobody; they, and a wait for what is set, make no system call
 *            while nobody sleeps. Who waits spins a little, then sleeps.
 * Crash:     there is nothing that the dead could hold. Killed inside of a set: it was set, or it
 *            was not; and if it was, sleepers see it within 10 ms. One that was let through by an
 *            auto event and dies takes that along.
 * Memory:    384 bytes.
 * Trust:     members may set and reset it as they like.
 */
#ifndef TARN_EVENT_H
#define TARN_EVENT_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_event; /* this process's handle */

enum tarn_event_flags {
	TARN_EVENT_AUTO = 1u << 0, /* who gets through resets it */
};

/* All zero means: the default of each. */
struct tarn_event_opts {
	uint32_t flags; /* enum tarn_event_flags */
	uint32_t set;   /* 1: a new one is set */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_event_open - open event @name of @region.
 * @opts:      it is created with them if it is absent; one that exists stays set or not. NULL: it
 *             must exist.
 * @ret_event: handle on success, untouched on failure; tarn_event_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such event
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with other flags; diag has both
 *   -EPROTO   the object is no event, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_event_open(struct tarn_region *region, const char *name,
					    const struct tarn_event_opts *opts,
					    struct tarn_event **ret_event);

/** tarn_event_close - give the handle up. Accepts NULL. No thread waits by it. Since: 0.1 */
TARN_API void tarn_event_close(struct tarn_event *event);

/**
 * tarn_event_wait - wait until it is set.
 * @diag: may be NULL
 *
 * Return: 0, or
 *   -ETIMEDOUT   @deadline has passed
 *   -EPERM       the region was opened to look on
 *   -EIO         the file was truncated
 *   -ENOMEM      a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_event_wait(struct tarn_event *event, int64_t deadline,
					    struct tarn_diag *diag);

/**
 * tarn_event_try - the same without waiting.
 * Return: -EAGAIN while it is not set, or as tarn_event_wait().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_event_try(struct tarn_event *event);

/**
 * tarn_event_set - let those through who wait: all, or of an auto event one. An auto event that is
 * set already stays so, and lets one through.
 * Return: 0; -EPERM (the region was opened to look on), or what becoming a member anew returns.
 * Since: 0.1
 */
TARN_API int tarn_event_set(struct tarn_event *event);

/** tarn_event_reset - let nobody through from now on. Return: as tarn_event_set(). Since: 0.1 */
TARN_API int tarn_event_reset(struct tarn_event *event);

/**
 * tarn_event_is_set - is it, just now? From any thread, and where the region is only looked on.
 * Since: 0.1
 */
TARN_API bool tarn_event_is_set(const struct tarn_event *event);

TARN_END_DECLS

#endif /* TARN_EVENT_H */
