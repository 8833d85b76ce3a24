// attrs.hpp: what the compiler must be told and cannot infer. The only compiler-specific spellings
// outside sys/.
#pragma once

#define HAK_INLINE __attribute__((always_inline)) inline
#define HAK_NOINLINE __attribute__((noinline))
// Cold functions stay out of the hot text and never lend their register pressure to a caller.
#define HAK_COLD __attribute__((noinline, cold))
// A function whose unsigned arithmetic is meant to wrap around. Anywhere else, a sum, difference or
// product of sizes that does is a defect, and the asan build reports it.
#if defined(__clang__)
#    define HAK_WRAPS __attribute__((no_sanitize("unsigned-integer-overflow")))
#else
#    define HAK_WRAPS
#endif

namespace hak {

// Two lines: adjacent-line prefetchers pair them, and UnitRecord relies on this for its remote
// word.
inline constexpr unsigned kCacheLine = 64;

}  // namespace hak
