// edges.hpp: the sizes where the allocator changes its ways, computed from what docs/memory.md
// states and not from its own tables, so that a suite can judge those by them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kit {

inline constexpr std::size_t kKiB = 1024, kMiB = 1024 * kKiB, kSmallMost = 32 * kKiB,
                             kUnit = 64 * kKiB, kLargeMost = kMiB, kSlot = 2 * kMiB;

// The block sizes of the classes: 16 byte steps to 128, then four per doubling to 32 KiB.
inline std::vector<std::size_t> documented_blocks() {
    std::vector<std::size_t> blocks;
    for (std::size_t n = 16; n <= 128; n += 16) blocks.push_back(n);
    for (std::size_t low = 128; low < kSmallMost; low *= 2) {
        for (std::size_t quarter = 1; quarter <= 4; ++quarter)
            blocks.push_back(low + low / 4 * quarter);
    }
    return blocks;
}

// Every edge, with what lies one byte beside it: classes, units, where Large ends, slots.
inline std::vector<std::size_t> edge_sizes() {
    std::vector<std::size_t> edges = documented_blocks(), sizes = {0, 1};
    for (const std::size_t units : {1, 2, 3, 4, 7, 8, 15, 16}) edges.push_back(units * kUnit);
    for (const std::size_t slots : {1, 2, 3, 8}) edges.push_back(slots * kSlot);
    for (const std::size_t edge : edges) sizes.insert(sizes.end(), {edge - 1, edge, edge + 1});
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes;
}

// What no allocation can hold, up to where arithmetic on a size, an alignment or a page would wrap
// around.
inline std::vector<std::size_t> impossible_sizes() {
    std::vector<std::size_t> sizes;
    for (const std::size_t k :
         {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17},
          4 * kKiB - 1, 4 * kKiB, 4 * kKiB + 1, kUnit - 1, kUnit, kSlot - 1, kSlot}) {
        sizes.insert(sizes.end(), {SIZE_MAX - k, static_cast<std::size_t>(PTRDIFF_MAX) - k,
                                   static_cast<std::size_t>(PTRDIFF_MAX) + 1 + k});
    }
    return sizes;
}

}  // namespace kit
