/* SPDX-License-Identifier: BSD-2-Clause */
/* boost.cpp - Boost.Interprocess's allocator in shared memory, as bench/arena.c calls it. */
#include <string>

#include <boost/interprocess/managed_shared_memory.hpp>
#include <unistd.h>

#include "arena_bench.h"

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
