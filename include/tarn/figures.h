/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/figures.h - what every object of a region counts of itself, read as counters are.
 *
 *     r = tarn_figures_open(region, "frames", &diag, &frames);
 *     n = tarn_counters_count(frames);
 *     tarn_counters_describe(frames, 0)->name;   "size_bytes"
 *     r = tarn_counters_read(frames, values, n);
 *
 * Each kind of object has metrics of its own, described as those of counters are (struct
 * tarn_metric); counters have those that a program has declared. So whoever shows figures has one
 * way for all of them, which includes samples (tarn_sample_new()) and differences.
 *
 *     all objects       size_bytes holders
 *     ring              written_bytes_total read_bytes_total used_bytes producer_waits_total
 *                       consumer_waits_total recoveries_total
 *     section           entries_total waits_total rollbacks_total recoveries_total busy
 *     mutex, spin lock  locks_total (mutex) waits_total recoveries_total busy
 *     rwlock            write_locks_total readers waits_total recoveries_total freed_total busy
 *     semaphore         free_permits waits_total freed_total
 *     event             sets_total set waits_total
 *     barrier           rounds_total waits_total freed_total
 *     condition var.    waits_total freed_total
 *     once              done waits_total recoveries_total
 *     sequence lock     writes_total waits_total recoveries_total
 *     latest value      values_total value_bytes held waits_total recoveries_total freed_total
 *     topic             messages_total message_bytes_total publisher_waits_total
 *                       subscriber_waits_total freed_total publishers subscribers missed
 *     lane              messages_total message_bytes_total publisher_waits_total
 *     arena             pool_bytes extents
 *     service           comings_total servers clients server_waits_total client_waits_total
 *                       recoveries_total
 *     bundle            request_bytes_total response_bytes_total
 *     change log        txs_total lost_total logged_bytes_total
 *     dirty map         pages dirty_pages
 *     the region        members joins_total deaths_total objects size_bytes used_bytes
 *
 * A later version may have more of them: they are to be found by name.
 *
 * Cost:      none on any fast path. What a structure stores anyhow is read; the rest is counted
 *            where a thread sleeps, is found dead, or is waited for.
 * Counters   never go backwards, who dies or leaves notwithstanding: what those say who may leave
 *            is a gauge, of those that are there. Some are words of 20 to 35 bits in the region, as
 *            their help says; a handle counts on where such a word begins again, as long as it is
 *            read before the word has come round once more.
 * Callers:   a handle belongs to one thread at a time. The region may be one that is looked on.
 * Progress:  nothing is written but that a member has the object open, nobody is stopped or waited
 *            for. Whether a member lives may be asked of the kernel.
 * Trust:     members may write what they like: figures are wrong then, and damage is -EUCLEAN.
 */
#ifndef TARN_FIGURES_H
#define TARN_FIGURES_H

#include <tarn/counters.h>

TARN_BEGIN_DECLS

#define TARN_FIGURES_MAX 16u /* metrics of an object that is no counters */

/**
 * tarn_figures_open - the figures of object @name of @region, whatever its kind.
 * @name:         NULL: those of the region itself
 * @ret_counters: handle on success, untouched on failure; tarn_counters_close() it. To be read
 *                alone, as with TARN_COUNTERS_READ. To read it is also -ENOENT, where the object
 *                was removed; -EUCLEAN, where its words contradict each other; and -EAGAIN, where
 *                they change all the while
 *
 * Return: 0, or
 *   -ENOENT   there is no such object
 *   -EINVAL   no name that an object may have
 *   -EPROTO   it is of a version, or of a kind, that this library does not know
 *   -EUCLEAN  its header or its entry in the directory is damaged
 *   -ENOMEM
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_figures_open(struct tarn_region *region, const char *name,
					      struct tarn_diag *diag,
					      struct tarn_counters **ret_counters);

TARN_END_DECLS

#endif /* TARN_FIGURES_H */
