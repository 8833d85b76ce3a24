// pool_units.hpp: the pool's units: runs of units inside superslabs, for slabs and Large blocks.
#pragma once

#include <bit>
#include <cstdint>

#include "sys/lock.hpp"

#include "mem/pool_slots.hpp"  // IWYU pragma: export

namespace hak {

// What a slot in a bucket has of free dirty units counts; everything that changes them takes it out
// and puts it back.
template <World W>
void Pool<W>::count_dirty_units(std::uint32_t i, bool joins) {
    change(dirty_units_, static_cast<unsigned>(std::popcount(slot(i).purgeable_units())), joins);
}

template <World W>
void Pool<W>::link_bucket(std::uint32_t i) {
    SuperSlab<W>& s = slot(i);
    const unsigned bucket = longest_run(s.free_units());
    s.run_slots.set(bucket);
    if (bucket == 0) return;
    count_dirty_units(i, true);
    s.prev.set(0);
    s.next.set(buckets_[bucket].get());
    if (s.next.get() != 0) slot(s.next.get() - 1).prev.set(i + 1);
    buckets_[bucket].set(i + 1);
    bucket_mask_.set(bucket_mask_.get() | std::uint64_t{1} << bucket);
}

template <World W>
void Pool<W>::unlink_bucket(std::uint32_t i) {
    SuperSlab<W>& s = slot(i);
    const unsigned bucket = s.run_slots.get();
    if (bucket == 0) return;
    count_dirty_units(i, false);
    if (s.prev.get() != 0) {
        slot(s.prev.get() - 1).next.set(s.next.get());
    } else {
        buckets_[bucket].set(s.next.get());
        if (s.next.get() == 0) bucket_mask_.set(bucket_mask_.get() & ~(std::uint64_t{1} << bucket));
    }
    if (s.next.get() != 0) slot(s.next.get() - 1).prev.set(s.prev.get());
}

template <World W>
std::uint32_t Pool<W>::find_units(unsigned count) const {
    const std::uint64_t fitting = bucket_mask_.get() >> count << count;
    return fitting == 0 ? kNone : buckets_[std::countr_zero(fitting)].get() - 1;
}

template <World W>
FreshRun Pool<W>::take_units(std::uint32_t i, unsigned count, Use use) {
    SuperSlab<W>& s = slot(i);
    unlink_bucket(i);
    // Dirty units first: they are resident already.
    std::uint32_t starts = run_starts(s.purgeable_units(), count);
    if (starts == 0) starts = run_starts(s.free_units(), count);
    HAK_ASSERT(starts != 0);
    const auto first = static_cast<unsigned>(std::countr_zero(starts));
    const std::uint32_t mask = unit_mask(first, count);
    const bool zero = (s.dirty_units.get() & mask) == 0;
    s.used_units.set(s.used_units.get() | mask);
    s.dirty_units.set(s.dirty_units.get() | mask);
    counters_.used_units += count;
    counters_.above_small += use == Use::block;
    link_bucket(i);
    return {address_of_slot(i) + first * kConfig.unit_bytes, zero};
}

template <World W>
FreshRun Pool<W>::acquire_units(unsigned count, Use use) {
    const Timed<W, Activity::pool> timed;
    {
        LockGuard<W> guard(lock_);
        if (const std::uint32_t i = find_units(count); i != kNone) return take_units(i, count, use);
    }
    const FreshRun fresh = acquire_slots(1, Window<W>::kSuperSlabBytes, Use::slab);
    if (fresh.address == 0) return {};
    const std::uint64_t now_ms = W::Pal::now_ms();
    LockGuard<W> guard(lock_);
    const std::uint32_t i = slot_of(fresh.address);
    SuperSlab<W>& s = slot(i);
    s.kind.set(SlotKind::units);
    s.used_units.set(0);
    s.dirty_units.set(fresh.zero ? 0 : SuperSlab<W>::kAllUnits);
    counters_.big_slots -= 1;
    counters_.units_slots += 1;
    link_bucket(i);
    // Threads that found no room at once bring a superslab each: who comes second takes from the
    // first one's.
    const std::uint32_t fullest = find_units(count);
    const FreshRun taken = take_units(fullest, count, use);
    if (fullest == i) {
        if (s.purgeable_units() != 0) wait_for_purge(i, now_ms);
    } else {
        unlink_bucket(i);
        counters_.units_slots -= 1;
        put_cached(i, 1, fresh.zero ? DirtyRange{} : DirtyRange{i, 1}, now_ms);
    }
    return taken;
}

template <World W>
void Pool<W>::wait_for_purge(std::uint32_t i, std::uint64_t now_ms, Wait wait) {
    if (wait == Wait::batch) {
        if (slot(i).in_batch.get()) return;
        leave_queue(i);
        enter_batch(i, now_ms);
    } else if (!slot(i).in_decay.get()) {
        to_purge_.push(i, now_ms);
    }
}

template <World W>
void Pool<W>::release_units(Address address, unsigned count, Wait wait, std::uint64_t now_ms) {
    const Timed<W, Activity::pool> timed;
    LockGuard<W> guard(lock_);
    const std::uint32_t i = slot_of(address);
    SuperSlab<W>& s = slot(i);
    const auto first = static_cast<unsigned>((address - address_of_slot(i)) / kConfig.unit_bytes);
    const std::uint32_t mask = unit_mask(first, count);
    HAK_ASSERT(s.kind.get() == SlotKind::units && (s.used_units.get() & mask) == mask);
    unlink_bucket(i);
    s.used_units.set(s.used_units.get() & ~mask);
    counters_.used_units -= count;
    if (s.used_units.get() != 0) {
        link_bucket(i);
        if (s.purgeable_units() != 0) wait_for_purge(i, now_ms, wait);
        return;
    }
    leave_queue(i);
    counters_.units_slots -= 1;
    put_cached(i, 1, s.dirty_units.get() != 0 ? DirtyRange{i, 1} : DirtyRange{}, now_ms, wait);
}

template <World W>
bool Pool<W>::extend_units(Address address, unsigned old_count, unsigned new_count) {
    const Timed<W, Activity::pool> timed;
    LockGuard<W> guard(lock_);
    const std::uint32_t i = slot_of(address);
    SuperSlab<W>& s = slot(i);
    const auto first = static_cast<unsigned>((address - address_of_slot(i)) / kConfig.unit_bytes);
    if (first + new_count > kUnits) return false;
    const std::uint32_t more = unit_mask(first + old_count, new_count - old_count);
    if ((s.free_units() & more) != more) return false;
    unlink_bucket(i);
    s.used_units.set(s.used_units.get() | more);
    s.dirty_units.set(s.dirty_units.get() | more);
    counters_.used_units += new_count - old_count;
    link_bucket(i);
    return true;
}

}  // namespace hak
