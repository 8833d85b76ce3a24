// audit_pool.hpp: the part of Audit that walks slots and units: superslab.1 to superslab.5,
// pool.1 to pool.3, runs.1, runs.2, decay.1 and the pool's counters. A list with consistent back
// links cannot hold an element twice.
#pragma once

#include <bit>
#include <cstdint>

#include "sys/world.hpp"

#include "mem/free_runs.hpp"
#include "mem/pool.hpp"
#include "mem/superslab.hpp"
#include "mem/window.hpp"

#include "audit/audit.hpp"

namespace hak {

template <World W>
bool Audit<W>::check_pool() {
    if (!window<W>.is_open()) return true;
    const Pool<W>& p = pool<W>;
    std::uint64_t batch = 0, to_purge = 0, to_decommit = 0;
    return check_slots() && check_buckets() &&
           check_runs(p.reserved_, found_.reserved_runs, found_.reserved_slots) &&
           check_runs(p.cached_, found_.cached_runs, found_.cached_slots) &&
           check_queue(p.batch_, Queue::batch, batch) &&
           check_queue(p.to_purge_, Queue::purge, to_purge) &&
           check_queue(p.to_decommit_, Queue::decommit, to_decommit) &&
           expect(batch + to_purge + to_decommit == found_.in_decay, "decay.1",
                  "slots that say they wait against the queues", 0, found_.in_decay,
                  batch + to_purge + to_decommit) &&
           check_counters();
}

template <World W>
bool Audit<W>::check_slots() {
    const std::uint32_t top = pool<W>.top_.get();
    if (!expect(top <= window<W>.slots_ready() && window<W>.slots_ready() <= window<W>.slot_count(),
                "window.2", "top behind the ready slots", 0, top, window<W>.slots_ready()))
        return false;
    SlotKind before = SlotKind::reserved;
    bool is_behind_unsorted = false, has_met_unsorted = pool<W>.unsorted_.get() == 0;
    for (std::uint32_t i = 0; i < top;) {
        const SuperSlab<W>& s = slot(i);
        const SlotKind kind = s.kind.get();
        if (!expect(kind == SlotKind::reserved || kind == SlotKind::units ||
                        kind == SlotKind::big || kind == SlotKind::cached,
                    "pool.1", "kind of a slot at rest", i, static_cast<std::uint64_t>(kind)))
            return false;
        const std::uint32_t count = kind == SlotKind::units ? 1 : s.run_slots.get();
        if (!expect(count > 0 && count <= top - i, "superslab.4", "length of a run", i, count,
                    top - i))
            return false;
        if (kind == SlotKind::units ? !check_units_slot(i) : !check_run(i, count)) return false;
        const bool is_unsorted = pool<W>.is_unsorted(i) && kind == SlotKind::cached;
        has_met_unsorted |= is_unsorted;
        const bool may_touch = (kind != SlotKind::reserved && kind != SlotKind::cached) ||
                               is_unsorted || is_behind_unsorted;
        if (!expect(kind != before || i == 0 || may_touch, "runs.2",
                    "two free runs of one kind touch", i))
            return false;
        is_behind_unsorted = is_unsorted;
        if (kind != SlotKind::reserved) {
            found_.committed += count;
            found_.committed_runs += i == 0 || before == SlotKind::reserved;
        }
        for (std::uint32_t k = i; k < i + count; ++k) found_.in_decay += slot(k).in_decay.get();
        before = kind;
        i += count;
    }
    return expect(has_met_unsorted, "pool.1", "the unsorted run is no cached one",
                  pool<W>.unsorted_.get());
}

template <World W>
bool Audit<W>::check_units_slot(std::uint32_t i) {
    const SuperSlab<W>& s = slot(i);
    const std::uint32_t used = s.used_units.get(), outside = ~SuperSlab<W>::kAllUnits;
    found_.units += 1;
    found_.used_units += static_cast<unsigned>(std::popcount(used));
    found_.in_bucket += s.free_units() != 0;
    found_.dirty_units += static_cast<unsigned>(std::popcount(s.purgeable_units()));
    if (!expect(((used | s.dirty_units.get()) & outside) == 0, "superslab.1",
                "units that do not exist", i, used, s.dirty_units.get()))
        return false;
    if (!expect(used != 0, "superslab.1", "a divided slot without a used unit is kept", i))
        return false;
    if (!expect(s.run_slots.get() == longest_run(s.free_units()), "superslab.3",
                "bucket against the longest free run", i, s.run_slots.get(),
                longest_run(s.free_units())))
        return false;
    if (!expect(s.purgeable_units() == 0 || s.in_decay.get(), "pool.3",
                "dirty free units that wait in no queue", i, s.purgeable_units()))
        return false;
    const std::uint32_t clean = s.free_units() & ~s.dirty_units.get();
    for (unsigned u = 0; u < kUnits; ++u) {
        if ((clean >> u & 1) != 0 &&
            !expect(is_zero(window<W>.slot_address(i) + u * kConfig.unit_bytes, kConfig.unit_bytes),
                    "superslab.2", "a clean unit is not zero", i, u))
            return false;
    }
    return true;
}

template <World W>
bool Audit<W>::check_run(std::uint32_t i, std::uint32_t count) {
    const SuperSlab<W>& s = slot(i);
    const SlotKind kind = s.kind.get();
    const SuperSlab<W>& last = slot(i + count - 1);
    if (!expect(last.kind.get() == kind && last.run_first.get() == i, "superslab.4",
                "last slot of a run", i, last.run_first.get(), i))
        return false;
    if (kind == SlotKind::big) {
        found_.big += count;
    } else if (kind == SlotKind::reserved) {
        found_.reserved_runs += 1;
        found_.reserved_slots += count;
    } else if (pool<W>.is_unsorted(i)) {
        found_.cached_dirty += count;
        if (s.in_batch.get()) found_.batch_slots += count;
        if (!expect(s.dirty_first.get() == i && s.dirty_slots.get() == count, "superslab.5",
                    "the unsorted run is not all dirty", i, s.dirty_first.get(),
                    s.dirty_slots.get()))
            return false;
    } else {
        found_.cached_runs += 1;
        found_.cached_slots += count;
        if (!expect(s.in_decay.get(), "pool.3", "a cached run waits in no queue", i)) return false;
        const DirtyRange dirty = s.dirty();
        if (!expect(dirty.in(i, count).slots == dirty.slots, "superslab.5", "dirty slots of a run",
                    i, dirty.first, dirty.slots))
            return false;
        found_.cached_dirty += dirty.slots;
        if (dirty.is_some()) {
            const std::uint32_t before = dirty.first - i, behind = dirty.first + dirty.slots;
            return expect(is_zero(window<W>.slot_address(i), before * Window<W>::kSuperSlabBytes) &&
                              is_zero(window<W>.slot_address(behind),
                                      (i + count - behind) * Window<W>::kSuperSlabBytes),
                          "superslab.5", "a clean slot of a dirty run is not zero", i);
        }
        totals_.clean_slots += count;
        const unsigned neighbours = pool<W>.neighbours_committed(i, count);
        if (neighbours <= 1 || pool<W>.committed_runs_.get() < kConfig.committed_runs_max)
            totals_.spare_slots += count;
        return expect(is_zero(window<W>.slot_address(i), count * Window<W>::kSuperSlabBytes),
                      "superslab.2", "a clean cached run is not zero", i);
    }
    return expect(!s.in_decay.get(), "pool.3",
                  "a run that is not cached, or unsorted, waits in a queue", i);
}

template <World W>
bool Audit<W>::check_buckets() {
    const Pool<W>& p = pool<W>;
    std::uint64_t seen = 0;
    for (unsigned b = 0; b <= kUnits; ++b) {
        const bool bit = (p.bucket_mask_.get() >> b & 1) != 0;
        if (!expect(bit == (p.buckets_[b].get() != 0), "superslab.3",
                    "bucket mask against the bucket", b))
            return false;
        std::uint32_t before = 0;
        for (std::uint32_t i = p.buckets_[b].get(); i != 0;
             before = i, i = slot(i - 1).next.get()) {
            if (!expect(i <= p.top_.get(), "superslab.3", "a bucket holds a slot behind the top",
                        i - 1))
                return false;
            const SuperSlab<W>& s = slot(i - 1);
            if (!expect(s.kind.get() == SlotKind::units && s.run_slots.get() == b &&
                            s.prev.get() == before,
                        "superslab.3", "a slot in a bucket", i - 1, s.run_slots.get(), b))
                return false;
            seen += 1;
        }
    }
    return expect(seen == found_.in_bucket, "superslab.3",
                  "slots with free units against the buckets", 0, seen, found_.in_bucket);
}

template <World W>
template <SlotKind kKind>
bool Audit<W>::check_runs(const FreeRuns<W, kKind>& runs, std::uint64_t want_runs,
                          std::uint64_t want_slots) {
    std::uint64_t seen = 0, slots = 0;
    for (unsigned bucket = 0; bucket < FreeRuns<W, kKind>::kBuckets; ++bucket) {
        std::uint32_t before = 0;
        for (std::uint32_t i = runs.heads_[bucket].get(); i != 0;
             before = i, i = slot(i - 1).next.get()) {
            if (!expect(i <= pool<W>.top_.get(), "runs.1", "a bucket holds a run behind the top",
                        i - 1))
                return false;
            const SuperSlab<W>& s = slot(i - 1);
            if (!expect(s.kind.get() == kKind && s.run_slots.get() != 0 &&
                            log2_floor(s.run_slots.get()) == bucket && s.prev.get() == before,
                        "runs.1", "a run in a bucket", i - 1, s.run_slots.get(), bucket))
                return false;
            seen += 1;
            slots += s.run_slots.get();
        }
    }
    return expect(seen == want_runs && slots == want_slots, "runs.1",
                  "runs in the bins against runs in the window", static_cast<std::uint64_t>(kKind),
                  seen, want_runs) &&
           expect(runs.slots() == want_slots, "runs.1", "count of slots in runs",
                  static_cast<std::uint64_t>(kKind), runs.slots(), want_slots);
}

template <World W>
bool Audit<W>::check_queue(const DecayQueue<W>& queue, Queue which, std::uint64_t& length) {
    std::uint32_t before = 0;
    for (std::uint32_t i = queue.head_.get(); i != 0;
         before = i, i = slot(i - 1).decay_next.get()) {
        if (!expect(i <= pool<W>.top_.get(), "decay.1", "a queue holds a slot behind the top",
                    i - 1))
            return false;
        const SuperSlab<W>& s = slot(i - 1);
        if (!expect(s.in_decay.get() && s.decay_prev.get() == before, "decay.1",
                    "a slot in a queue", i - 1, s.decay_prev.get(), before))
            return false;
        const bool cached = s.kind.get() == SlotKind::cached;
        const bool is_dirty = s.kind.get() == SlotKind::units || (cached && s.dirty().is_some());
        const bool right = which == Queue::decommit ? cached && !s.dirty().is_some() : is_dirty;
        if (!expect(right && s.in_batch.get() == (which == Queue::batch), "pool.3",
                    "a slot in the wrong queue", i - 1, static_cast<std::uint64_t>(which)))
            return false;
        if (which == Queue::batch) found_.batch_slots += cached ? s.dirty_slots.get() : 1;
        length += 1;
    }
    return expect(queue.tail_.get() == before, "decay.1", "tail of a queue", 0, queue.tail_.get(),
                  before);
}

template <World W>
bool Audit<W>::check_counters() {
    const Pool<W>& p = pool<W>;
    const PoolCounters& c = p.counters_;
    totals_.committed_runs = found_.committed_runs;
    return expect(p.committed_runs_.get() == found_.committed_runs, "pool.2", "committed runs", 0,
                  p.committed_runs_.get(), found_.committed_runs) &&
           expect(c.committed_slots == found_.committed, "pool.1", "committed slots", 0,
                  c.committed_slots, found_.committed) &&
           expect(c.units_slots == found_.units, "pool.1", "slots divided into units", 0,
                  c.units_slots, found_.units) &&
           expect(c.big_slots == found_.big, "pool.1", "slots of Big blocks", 0, c.big_slots,
                  found_.big) &&
           expect(c.used_units == found_.used_units, "pool.1", "used units", 0, c.used_units,
                  found_.used_units) &&
           expect(p.cached_dirty_slots() == found_.cached_dirty, "pool.3",
                  "count of dirty cached slots", 0, p.cached_dirty_slots(), found_.cached_dirty) &&
           expect(p.batch_slots() == found_.batch_slots, "pool.3",
                  "count of slots in the purge batch", 0, p.batch_slots(), found_.batch_slots) &&
           expect(p.free_dirty_bytes() == found_.cached_dirty * Window<W>::kSuperSlabBytes +
                                              found_.dirty_units * kConfig.unit_bytes,
                  "pool.3", "free dirty bytes", 0, p.free_dirty_bytes(), found_.dirty_units);
}

}  // namespace hak
