// random.hpp: random numbers for what learns and samples: SplitMix64 (Steele, Lea, Flood: Fast
// Splittable Pseudorandom Number Generators, OOPSLA 2014). The same seed gives the same decisions.
#pragma once

#include <cstdint>

#include "base/attrs.hpp"

namespace hak {

class Random {
  public:
    explicit constexpr Random(std::uint64_t seed = 0) : state_(seed) {}

    HAK_WRAPS constexpr std::uint64_t next() {
        std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        return x ^ x >> 31;
    }
    // Below `bound`, which is small: the bias of the remainder is below bound / 2^64.
    constexpr unsigned below(unsigned bound) { return static_cast<unsigned>(next() % bound); }
    // True once in 1000 / permille calls.
    constexpr bool chance(unsigned permille) { return below(1000) < permille; }

  private:
    std::uint64_t state_;
};

}  // namespace hak
