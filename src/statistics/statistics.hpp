// statistics.hpp: what the allocator counts. Each statistic is one row of kStatistics: its field in
// hak_stats, what it says, and where it is read. The snapshot, JSON and text follow from the table.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <malloc.h>

#include "mem/pool.hpp"

#include "heap/heaps.hpp"

#include "hakmem/hakmem.h"

namespace hak {

// size_t and uint64_t are one type where this runs.
template <World W>
struct Statistic {
    const char* name;
    std::uint64_t hak_stats::* field;
    const char* says;
    // What the pool tells, and what each heap adds; null: nothing.
    std::uint64_t (*of_pool)(const PoolCounters&);
    std::uint64_t (*of_heap)(const Heap<W>&) = nullptr;
};

// Readers of one counter. `kEach`: bytes of what is counted.
template <std::uint64_t PoolCounters::* kCounter, std::size_t kEach = 1>
std::uint64_t in_pool(const PoolCounters& pool) {
    return pool.*kCounter * kEach;
}
template <World W, Atomic<W, std::uint64_t> Heap<W>::* kCounter>
std::uint64_t in_heap(const Heap<W>& heap) {
    const auto& counter = heap.*kCounter;
    return counter.load(order::relaxed);  // relaxed: each is a counter of its own
}
template <World W, Token kToken>
std::uint64_t has_token(const Heap<W>& heap) {
    return heap.token.load(order::relaxed) == kToken;  // relaxed: as in in_heap()
}

// In the order of hak_stats.
#define HAK_ROW(field, ...)                    \
    Statistic<W> {                             \
        #field, &hak_stats::field, __VA_ARGS__ \
    }
#define HAK_HEAP(counter) nullptr, in_heap<W, &Heap<W>::counter>
template <World W, class P = PoolCounters, std::size_t kSlot = W::kConfig.superslab_bytes()>
inline constexpr Statistic<W> kStatistics[] = {
    HAK_ROW(window_bytes, "reserved address space",
            [](const P&) -> std::uint64_t { return window<W>.bytes(); }),
    HAK_ROW(committed_bytes, "of it, readable and writable", (in_pool<&P::committed_slots, kSlot>)),
    HAK_ROW(units_bytes, "of that, superslabs divided into slabs and Large blocks",
            (in_pool<&P::units_slots, kSlot>)),
    HAK_ROW(used_units_bytes, "of that, in slabs and Large blocks",
            (in_pool<&P::used_units, W::kConfig.unit_bytes>)),
    HAK_ROW(big_bytes, "committed in Big blocks", (in_pool<&P::big_slots, kSlot>)),
    HAK_ROW(cached_bytes, "committed free superslabs",
            [](const P& p) { return (p.committed_slots - p.units_slots - p.big_slots) * kSlot; }),
    HAK_ROW(heaps, "heaps ever made", nullptr, [](const Heap<W>&) -> std::uint64_t { return 1; }),
    HAK_ROW(heaps_orphan, "of them, without a thread", nullptr, has_token<W, Token::orphan>),
    HAK_ROW(heaps_frozen, "of them, lost to fork", nullptr, has_token<W, Token::frozen>),
    HAK_ROW(slabs, "slabs in use", HAK_HEAP(slabs)),
    HAK_ROW(refills, "a thread's list and bump range were empty", HAK_HEAP(refills_total)),
    HAK_ROW(slab_opens, "slabs opened", HAK_HEAP(slab_opens)),
    HAK_ROW(slab_releases, "slabs released", HAK_HEAP(slab_releases)),
    HAK_ROW(remote_drains, "slabs drained after other threads freed into them",
            HAK_HEAP(remote_drained)),
    HAK_ROW(slabs_taken_over, "slabs taken over from other heaps", HAK_HEAP(slabs_taken_over)),
    HAK_ROW(above_small, "allocations above 32 KiB", in_pool<&P::above_small>,
            in_heap<W, &Heap<W>::kept_taken>),
    HAK_ROW(commits, "system calls that made memory accessible", in_pool<&P::commits>),
    HAK_ROW(commit_failures, "of them, refused", in_pool<&P::commit_failures>),
    HAK_ROW(decommits, "system calls that gave back the commit charge", in_pool<&P::decommits>),
    HAK_ROW(purges, "system calls that gave back pages", in_pool<&P::purges>),
    HAK_ROW(purged_bytes, "given back by them", in_pool<&P::purged_bytes>),
    HAK_ROW(refills_own, "refills from a slab of the thread's heap", HAK_HEAP(refills_own)),
    HAK_ROW(refills_others, "from a slab of another heap", HAK_HEAP(refills_others)),
    HAK_ROW(refills_opened, "from a fresh slab", HAK_HEAP(refills_opened)),
    HAK_ROW(refills_failed, "for which there was no memory", HAK_HEAP(refills_failed)),
    HAK_ROW(frees_local, "frees past a full list, to the thread's own slabs",
            HAK_HEAP(frees_local)),
    HAK_ROW(frees_remote, "blocks that other threads freed, collected", HAK_HEAP(frees_remote)),
};
#undef HAK_HEAP
#undef HAK_ROW

// Whether row i is the i-th field, and each field has a row.
template <World W>
constexpr bool is_whole_table() {
    struct Fields {
        std::uint64_t all[sizeof(struct hak_stats) / sizeof(std::uint64_t)];
    };
    std::size_t rows = 0;
    for (const Statistic<W>& row : kStatistics<W>) {
        struct hak_stats s{};
        s.*row.field = 1;
        if (std::bit_cast<Fields>(s).all[rows] != 1) return false;
        rows += 1;
    }
    return rows * sizeof(std::uint64_t) == sizeof(struct hak_stats);
}

template <World W>
struct hak_stats collect_stats() {
    static_assert(is_whole_table<W>());
    struct hak_stats s{};
    if (!window<W>.is_open()) return s;
    const PoolCounters counters = pool<W>.counters();
    for (const Statistic<W>& row : kStatistics<W>)
        if (row.of_pool != nullptr) s.*row.field = row.of_pool(counters);
    for (unsigned i = 0, count = heaps<W>.count(); i < count; ++i) {
        for (const Statistic<W>& row : kStatistics<W>)
            if (row.of_heap != nullptr) s.*row.field += row.of_heap(heaps<W>.at(i));
    }
    return s;
}

// As glibc's fields, where something corresponds to them: arena and hblkhd are what is committed
// for blocks up to 1 MiB and above, uordblks what of both is in use.
template <World W>
struct mallinfo2 info_of(const struct hak_stats& s) {
    struct mallinfo2 m{};
    m.arena = s.units_bytes + s.cached_bytes;
    m.hblks = s.big_bytes / W::kConfig.superslab_bytes();
    m.hblkhd = s.big_bytes;
    m.uordblks = s.used_units_bytes + s.big_bytes;
    m.fordblks = s.committed_bytes - m.uordblks;
    m.keepcost = s.cached_bytes;
    return m;
}

}  // namespace hak
