/* SPDX-License-Identifier: BSD-2-Clause */
/* boost.cpp - Boost.Interprocess: its allocator in shared memory, and its mutex. */
#include <new>
#include <string>

#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <unistd.h>

#include "boost.h"

namespace ipc = boost::interprocess;

static ipc::managed_shared_memory *memory;

void boost_open(void)
{
	const std::string name = "tarn-bench-boost-" + std::to_string(getpid());

	memory = new ipc::managed_shared_memory(ipc::create_only, name.c_str(), 4 << 20);
	ipc::shared_memory_object::remove(name.c_str()); /* mapped, and nameless from here on */
}

void boost_close(void)
{
	delete memory;
}

void *boost_alloc(size_t size)
{
	return memory->allocate(size);
}

void boost_free(void *p)
{
	memory->deallocate(p);
}

static_assert(sizeof(ipc::interprocess_mutex) <= BOOST_MUTEX_SIZE, "room");

void boost_mutex_make(void *at)
{
	new (at) ipc::interprocess_mutex;
}

void boost_pass(void *at, uint64_t *data, uint64_t words, uint64_t i, int count)
{
	ipc::interprocess_mutex *mutex = static_cast<ipc::interprocess_mutex *>(at);

	mutex->lock();
	for (int k = 0; k < count; k++)
		__atomic_store_n(&data[(i * 16 + static_cast<uint64_t>(k) * 7) & (words - 1)], i,
				 __ATOMIC_RELAXED);
	mutex->unlock();
}
