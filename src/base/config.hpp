// config.hpp: the geometry of a world, as one constexpr value, and the rules it must satisfy.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"

namespace hak {

struct Config {
    // smallest piece that Pal purges; runtime pages may be larger
    std::size_t page_bytes = 4096;
    std::size_t unit_bytes = std::size_t{64} * 1024;  // piece of a superslab, and of the unit table
    unsigned units_per_superslab = 32;                // one bit each in a 32-bit mask
    std::size_t small_bytes_max = std::size_t{32} * 1024;  // Tiny and Mid: slabs of equal blocks
    // classes in 16-byte steps up to here, then four per doubling
    std::size_t linear_bytes_max = 128;
    // a slab takes as many units as it needs for this many blocks
    unsigned slab_blocks_min = 8;
    // Bin of one class: spills above this many bytes ...
    std::size_t bin_bytes_max = std::size_t{32} * 1024;
    unsigned bin_blocks_min = 8;    // ... but never below this many blocks,
    unsigned bin_blocks_max = 512;  // ... and always above this many
    std::size_t window_bytes = std::size_t{1} << 40;
    std::size_t window_bytes_min = std::size_t{1} << 21;
    unsigned heaps_max = 65536;  // one per live thread; type-stable
    // the longest Large run that a heap keeps when it is freed
    unsigned kept_units_max = 8;
    // how many it keeps: one for plain requests, the others for those that say their site
    unsigned kept_places = 4;
    unsigned visits_max = 64;  // heaps of others that one refill may visit
    // slabs that are drained in one visit, while the heap's thread may wait
    unsigned visit_slabs_max = 16;
    // a living thread's heap is idle after this many looks, times the number of heaps
    unsigned idle_looks_per_heap = 4;
    // so many heaps without a thread keep an empty slab of each class for the next thread
    unsigned warm_orphans_max = 4;
    // committed runs in the window: bounds the number of mappings
    unsigned committed_runs_max = 256;

    constexpr std::size_t superslab_bytes() const { return unit_bytes * units_per_superslab; }
    // Above this a block is Big: whole superslabs. Half, so that a Large run never takes a
    // superslab of its own.
    constexpr std::size_t large_bytes_max() const { return superslab_bytes() / 2; }
};

inline constexpr std::size_t kMinAlignment = 16;

constexpr bool is_valid(const Config& c) {
    return is_power_of_two(c.page_bytes) && is_power_of_two(c.unit_bytes) &&
           is_power_of_two(c.units_per_superslab) && c.units_per_superslab <= 32 &&
           c.unit_bytes >= c.page_bytes && is_power_of_two(c.small_bytes_max) &&
           is_power_of_two(c.linear_bytes_max) && c.linear_bytes_max <= c.small_bytes_max &&
           c.small_bytes_max * c.slab_blocks_min <= c.large_bytes_max() &&
           c.small_bytes_max <= c.unit_bytes && c.unit_bytes / kMinAlignment <= 0xffff &&
           c.bin_blocks_min >= 1 && c.bin_blocks_max >= c.bin_blocks_min &&
           c.window_bytes % c.superslab_bytes() == 0 && c.window_bytes_min >= c.superslab_bytes() &&
           c.window_bytes_min <= c.window_bytes;
}

// What may change at run time; set once from HAKMEM_OPTIONS before the first heap, read on cold
// paths only.
struct Tunables {
    std::size_t window_bytes = 0;  // 0: max(Config::window_bytes, 8 x RAM)
    // a dirty free range is purged when it has been free this long
    std::uint64_t purge_delay_ms = 100;
    // a purged free superslab is decommitted after this much longer
    std::uint64_t decommit_delay_ms = 2000;
    // dirty free bytes kept before the delay is ignored
    std::size_t cache_bytes_max = std::size_t{512} << 20;
    // a freed Large or Big block at least as large goes into the purge batch
    std::size_t batch_threshold = std::size_t{2} << 20;
    // which is purged as soon as it holds more than this
    std::size_t batch_bytes_max = std::size_t{512} << 20;
    bool huge_pages = false;  // MADV_HUGEPAGE on every superslab
    // debug build: freed bytes that wait before their memory is used again
    std::size_t quarantine_bytes = std::size_t{16} << 20;
    // debug build: whether function, size and alignment must match at free
    bool check_claims = true;
};

}  // namespace hak
