// bits.hpp: arithmetic on powers of two, on the 32-bit unit masks of a superslab, and modulo 2^32
// or 2^64.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/attrs.hpp"

namespace hak {

// Spelled out: without a popcount instruction in the base architecture std::has_single_bit becomes
// a call.
constexpr bool is_power_of_two(std::size_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}
constexpr std::size_t align_up(std::size_t x, std::size_t alignment) {
    return (x + alignment - 1) & ~(alignment - 1);
}
constexpr std::size_t align_down(std::size_t x, std::size_t alignment) {
    return x & ~(alignment - 1);
}
constexpr std::size_t divide_up(std::size_t x, std::size_t y) {
    return (x + y - 1) / y;
}
constexpr unsigned log2_floor(std::size_t x) {
    return static_cast<unsigned>(std::bit_width(x)) - 1;
}

// Modulo 2^32 or 2^64: hashes spread, inverses divide, one comparison tells whether an address lies
// in a range.
template <class T>
HAK_WRAPS HAK_INLINE constexpr T wrapping_add(T a, T b) {
    return a + b;
}
template <class T>
HAK_WRAPS HAK_INLINE constexpr T wrapping_sub(T a, T b) {
    return a - b;
}
template <class T>
HAK_WRAPS HAK_INLINE constexpr T wrapping_mul(T a, T b) {
    return a * b;
}

// A mask of `count` ones that starts at bit `first`; count may be 32.
constexpr std::uint32_t unit_mask(unsigned first, unsigned count) {
    return static_cast<std::uint32_t>(((std::uint64_t{1} << count) - 1) << first);
}

// Bit i of the result is set if `count` ones of `free` start at i. Doubling: each step joins two
// runs of equal length.
constexpr std::uint32_t run_starts(std::uint32_t free, unsigned count) {
    unsigned have = 1;
    while (have < count) {
        const unsigned step = have < count - have ? have : count - have;
        free &= free >> step;
        have += step;
    }
    return free;
}

// Length of the longest run of ones. starts[k] says where runs of 2^k ones begin; the length is put
// together from its binary digits, the highest first: `at` says where a run of `length` ones
// begins.
constexpr unsigned longest_run(std::uint32_t free) {
    if (free == UINT32_MAX) return 32;
    const std::uint32_t two = free & free >> 1, four = two & two >> 2, eight = four & four >> 4;
    const std::uint32_t starts[] = {free, two, four, eight, eight & eight >> 8};
    std::uint32_t at = UINT32_MAX;
    unsigned length = 0;
    for (unsigned k = 5; k != 0; --k) {
        const std::uint32_t longer = at & starts[k - 1] >> length;
        if (longer == 0) continue;
        at = longer;
        length += 1u << (k - 1);
    }
    return length;
}

// The number x with x * odd == 1 modulo 2^32 (Newton's iteration; each round doubles the correct
// low bits).
constexpr std::uint32_t inverse_of_odd(std::uint32_t odd) {
    std::uint32_t x = odd;
    for (int round = 0; round < 5; ++round)
        x = wrapping_mul(x, wrapping_sub(2u, wrapping_mul(odd, x)));
    return x;
}

}  // namespace hak
