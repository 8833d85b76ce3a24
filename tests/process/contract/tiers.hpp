// Sizes on both sides of every border that the allocator has or may have: each class border lies at
// a power of two, at a quarter between two of them, or beside it.
#pragma once

#include <cstdint>
#include <vector>

inline std::vector<size_t> tier_sizes(size_t largest) {
    std::vector<size_t> sizes;
    for (size_t n = 1; n <= 160; ++n) sizes.push_back(n);
    for (size_t power = 128; power <= largest; power *= 2)
        for (size_t quarter = 0; quarter < 4; ++quarter)
            for (const ptrdiff_t delta : {-17, -16, -1, 0, 1, 16}) {
                const size_t n = power + quarter * (power / 4) + static_cast<size_t>(delta);
                if (n > 160 && n <= largest) sizes.push_back(n);
            }
    return sizes;
}

// One size per tier, for tests whose cost grows with the square of the number of sizes.
inline constexpr size_t kTierSamples[] = {1,       16,        24,        100,       1000,
                                          1024,    5000,      32768,     40'000,    65'536,
                                          300'000, 1'048'576, 3'000'000, 20'000'000};
