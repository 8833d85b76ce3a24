// good.hpp: a case of ci/tidy.
#pragma once

#include <cstdlib>

#include "audit/invariants.hpp"
#include "hakmem/hakmem.h"
#include "learning/learner.hpp"

#if HAKMEM_OVERRIDE
inline thread_local void* heap = nullptr;
void* operator new(std::size_t n);
inline void* served(std::size_t n) { return malloc(n); }
#endif
