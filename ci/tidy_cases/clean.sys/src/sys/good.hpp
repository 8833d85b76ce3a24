// good.hpp: a case of ci/tidy.
#pragma once

#include <atomic>

#include "base/types.hpp"

#if defined(__x86_64__)
inline std::atomic<int> word;
inline int read() { return word.load(std::memory_order_acquire); }
inline int* view(long* p) { return reinterpret_cast<int*>(p); }
#endif
