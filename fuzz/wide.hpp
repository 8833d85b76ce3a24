// wide.hpp: fields for sizes and alignments over the whole range of size_t, in 24 and 8 bits: what
// can be served, exactly or in steps, and what is next to PTRDIFF_MAX and SIZE_MAX.
#pragma once

#include <cstdint>

#include "props/kit/language.hpp"

namespace fuzz {

struct WideSize : kit::Field<'n', 1u << 24, 3> {
    std::size_t size() const {
        const std::size_t low = v & 0x1fffff;
        switch (v >> 21) {
            case 0:
            case 1:
                return low % 1100;
            case 2:
            case 3:
                return low % 70000;
            case 4:
            case 5:
                return low;
            case 6:
                return SIZE_MAX - low;
            default:
                return static_cast<std::size_t>(PTRDIFF_MAX) - 0x8000 + low;
        }
    }
};

// Powers of two by their logarithm, then values that are none. Between 2^26 and 2^47 it depends on
// the machine who can serve it.
struct WideAlign : kit::Field<'a', 52, 1> {
    std::size_t alignment() const {
        constexpr std::size_t kNone[] = {0,       3, 7, 24, 48, 100, 3000, 70000, SIZE_MAX / 2 + 2,
                                         SIZE_MAX};
        if (v < 26) return std::size_t{1} << v;
        if (v < 42) return std::size_t{1} << (v + 22);
        return kNone[v - 42];
    }
};

}  // namespace fuzz
