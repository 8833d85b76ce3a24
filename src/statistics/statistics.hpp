// statistics.hpp: one snapshot of the allocator's state, for hak_stats, mallinfo and the reports of
// report.hpp.
#pragma once

#include <malloc.h>

#include "sys/text.hpp"

#include "heap/heaps.hpp"

#include "hakmem/hakmem.h"

namespace hak {

template <World W>
struct hak_stats collect_stats() {
    struct hak_stats s{};
    if (!window<W>.is_open()) return s;
    const Config& c = W::kConfig;
    const PoolCounters p = pool<W>.counters();
    s.window_bytes = window<W>.bytes();
    s.committed_bytes = p.committed_slots * c.superslab_bytes();
    s.units_bytes = p.units_slots * c.superslab_bytes();
    s.used_units_bytes = p.used_units * c.unit_bytes;
    s.big_bytes = p.big_slots * c.superslab_bytes();
    s.cached_bytes = (p.committed_slots - p.units_slots - p.big_slots) * c.superslab_bytes();
    s.commits = p.commits;
    s.commit_failures = p.commit_failures;
    s.decommits = p.decommits;
    s.purges = p.purges;
    s.purged_bytes = p.purged_bytes;
    s.above_small = p.above_small;
    s.heaps = heaps<W>.count();
    for (unsigned i = 0; i < s.heaps; ++i) {
        const Heap<W>& heap = heaps<W>.at(i);
        // relaxed, all of these: each is a counter of its own
        const Token token = heap.token.load(order::relaxed);
        s.heaps_orphan += token == Token::orphan;
        s.heaps_frozen += token == Token::frozen;
        s.slabs += heap.slabs.load(order::relaxed);
        s.refills += heap.refills_total.load(order::relaxed);
        s.refills_own += heap.refills_own.load(order::relaxed);
        s.refills_others += heap.refills_others.load(order::relaxed);
        s.refills_opened += heap.refills_opened.load(order::relaxed);
        s.refills_failed += heap.refills_failed.load(order::relaxed);
        s.frees_local += heap.frees_local.load(order::relaxed);
        s.frees_remote += heap.frees_remote.load(order::relaxed);
        s.slab_opens += heap.slab_opens.load(order::relaxed);
        s.slab_releases += heap.slab_releases.load(order::relaxed);
        s.remote_drains += heap.remote_drained.load(order::relaxed);
        s.slabs_tended += heap.slabs_tended.load(order::relaxed);
        s.above_small += heap.kept_taken.load(order::relaxed);
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
