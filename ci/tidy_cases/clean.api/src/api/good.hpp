// good.hpp: a case of ci/tidy.
#pragma once

#include <cstdlib>

#include "debug/invariants.hpp"
#include "hakmem/hakmem.h"
#include "policy/counters.hpp"

#if HAKMEM_OVERRIDE
inline thread_local void* heap = nullptr;
void* operator new(std::size_t n);
inline const char* options() { return std::getenv("HAKMEM_OPTIONS"); }
inline void* served(std::size_t n) { return malloc(n); }
#endif
