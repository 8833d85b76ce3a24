// check.hpp: the two kinds of check. A Fault is the client's broken contract and exists in every
// build; HAK_ASSERT is our own broken invariant and exists in checking builds (HAKMEM_CHECKS) only,
// so that it costs nothing where the library ships.
#pragma once

#include <cstdint>

namespace hak {

// What a client can do wrong. The text after the function and the pointer in the one line that is
// printed before abort().
enum class Fault : std::uint8_t {
    foreign,
    misaligned,
    interior,
    not_allocated,
    double_free,
    overwritten
};

constexpr const char* text_of(Fault fault) {
    switch (fault) {
        case Fault::foreign:
            return "not allocated by hakmem";
        case Fault::misaligned:
            return "not the start of a block (misaligned)";
        case Fault::interior:
            return "not the start of a block";
        case Fault::not_allocated:
            return "not allocated (never handed out, or returned already)";
        case Fault::double_free:
            return "already free (double free)";
        case Fault::overwritten:
            return "a free block was overwritten";
    }
    return "unknown";
}

// The public function that a client called; named in the line that reports a fault.
enum class Entry : std::uint8_t { allocate, free, realloc, usable_size };

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace hak

#if defined(HAKMEM_CHECKS) && HAKMEM_CHECKS
#    define HAK_ASSERT(condition)           \
        ((condition) ? static_cast<void>(0) \
                     : ::hak::assertion_failed(#condition, __FILE__, __LINE__))
#else
#    define HAK_ASSERT(condition) static_cast<void>(0)
#endif
