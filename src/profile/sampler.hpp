// sampler.hpp: which allocations a profile samples, and what a sample stands for. Stateless.
//
// Points are strewn over the sequence of allocated bytes as a Poisson process, one in `interval`
// bytes in the mean, and an allocation is sampled if a point falls on it. That has the probability
// 1 - e^(-bytes / interval), so a sample counts as its inverse many, and every sum over samples has
// the true sum as its mean. The process has no memory: after a sample, and in a thread that begins,
// the next gap is drawn anew.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arithmetic.hpp"
#include "base/random.hpp"

namespace hak::profile {

// How many allocations of this size a sampled one stands for. Precondition: bytes != 0, interval !=
// 0.
constexpr double weight_of(std::size_t bytes, std::uint64_t interval) {
    const double x = static_cast<double>(bytes) / static_cast<double>(interval);
    // Where the difference to 1 would lose digits, the first terms of its series.
    const double probability = x < 1e-5 ? x - x * x / 2 : 1 - exp_of(-x);
    return 1 / probability;
}

// Bytes up to and with the next point; at least 1.
constexpr std::int64_t draw_gap(Random& random, std::uint64_t interval) {
    // in (0, 1]
    const double uniform = static_cast<double>((random.next() >> 11) + 1) * power_of_two(-53);
    return static_cast<std::int64_t>(-log_of(uniform) * static_cast<double>(interval)) + 1;
}

// Counts an allocation against the gap that is left; true if a point falls on it, and the caller
// draws the next gap.
constexpr bool is_sampled(std::int64_t& left, std::size_t bytes) {
    if (static_cast<std::uint64_t>(left) <= bytes) return true;
    left -= static_cast<std::int64_t>(bytes);
    return false;
}

}  // namespace hak::profile
