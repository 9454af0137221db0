/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn/tarn.h - everything. */
#ifndef TARN_TARN_H
#define TARN_TARN_H

#include <tarn/arena.h>
#include <tarn/atomic.h>
#include <tarn/barrier.h>
#include <tarn/base.h>
#include <tarn/call.h>
#include <tarn/changes.h>
#include <tarn/cond.h>
#include <tarn/counters.h>
#include <tarn/event.h>
#include <tarn/figures.h>
#include <tarn/host.h>
#include <tarn/latest.h>
#include <tarn/lock.h>
#include <tarn/mutex.h>
#include <tarn/once.h>
#include <tarn/region.h>
#include <tarn/ring.h>
#include <tarn/rwlock.h>
#include <tarn/section.h>
#include <tarn/seqlock.h>
#include <tarn/segment.h>
#include <tarn/sem.h>
#include <tarn/set.h>
#include <tarn/spin.h>
#include <tarn/topic.h>
#include <tarn/trace.h>
#include <tarn/waiter.h>
#include <tarn/type.h>

#endif /* TARN_TARN_H */
