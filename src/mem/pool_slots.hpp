// pool_slots.hpp: the pool's slots: runs of whole superslabs, for Big blocks and for superslabs
// that become units.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/lock.hpp"

#include "mem/pool.hpp"  // IWYU pragma: export

namespace hak {

template <World W>
void Pool<W>::enter_batch(std::uint32_t i, std::uint64_t now_ms) {
    slot(i).in_batch.set(true);
    change(batch_slots_, batch_weight(i), true);
    batch_.push(i, now_ms);
}

// Takes a slot divided into units, or a cached run, out of the queue in which it waits, if any.
template <World W>
void Pool<W>::leave_queue(std::uint32_t i) {
    SuperSlab<W>& s = slot(i);
    if (!s.in_decay.get()) return;
    if (s.in_batch.get()) {
        s.in_batch.set(false);
        change(batch_slots_, batch_weight(i), false);
        batch_.remove(i);
    } else {
        (s.kind.get() == SlotKind::units || s.dirty().is_some() ? to_purge_ : to_decommit_)
            .remove(i);
    }
}

template <World W>
void Pool<W>::leave_unsorted(std::uint32_t first, std::uint32_t count, Wait wait,
                             std::uint64_t since_ms) {
    FreeRuns<W, SlotKind::cached>::turn(first, count, SlotKind::cached);
    SuperSlab<W>& s = slot(first);
    s.dirty_first.set(first);
    s.dirty_slots.set(count);
    s.since_ms.set(since_ms);
    change(cached_dirty_, count, true);
    s.in_batch.set(wait == Wait::batch);
    if (wait == Wait::batch) change(batch_slots_, count, true);
    unsorted_.set(first + 1);
}

// It stays formed, and the caller gives it a kind.
template <World W>
void Pool<W>::take_unsorted() {
    SuperSlab<W>& s = slot(unsorted_.get() - 1);
    change(cached_dirty_, s.dirty_slots.get(), false);
    if (s.in_batch.get()) change(batch_slots_, s.dirty_slots.get(), false);
    s.in_batch.set(false);
    unsorted_.set(0);
}

template <World W>
HAK_NOINLINE void Pool<W>::sort_in() {
    if (unsorted_.get() == 0) return;
    const std::uint32_t first = unsorted_.get() - 1;
    const Wait wait = wait_of(first);
    take_unsorted();
    put_cached(first, slot(first).run_slots.get(), slot(first).dirty(), slot(first).since_ms.get(),
               wait);
}

// `since_ms` is when the slots became free. A joined run is as old as its slots are in the mean, or
// a block that comes and goes beside it would keep it young, and resident, for ever.
template <World W>
void Pool<W>::put_cached(std::uint32_t first, std::uint32_t count, DirtyRange dirty,
                         std::uint64_t since_ms, Wait wait) {
    sort_in();
    const auto weight = [](std::uint32_t slots, DirtyRange d) {
        return d.is_some() ? d.slots : slots;
    };
    // over the slots whose age counts
    std::uint64_t aged = weight(count, dirty), sum_ms = aged * since_ms;
    const std::uint32_t run =
        cached_.insert(first, count, top_.get(), [&](std::uint32_t neighbour) {
            const SuperSlab<W>& s = slot(neighbour);
            const DirtyRange theirs = s.dirty();
            leave_queue(neighbour);
            change(cached_dirty_, theirs.slots, false);
            // Where one of both is clean the dirty slots' age counts alone.
            if (!dirty.is_some() && theirs.is_some()) aged = sum_ms = 0;
            if (!dirty.is_some() || theirs.is_some()) {
                const std::uint32_t slots = weight(s.run_slots.get(), theirs);
                aged += slots;
                sum_ms += slots * s.since_ms.get();
            }
            dirty = dirty.with(theirs);
        });
    since_ms = sum_ms / aged;
    SuperSlab<W>& s = slot(run);
    s.dirty_first.set(dirty.first);
    s.dirty_slots.set(dirty.slots);
    change(cached_dirty_, dirty.slots, true);
    if (dirty.is_some() && wait == Wait::batch) return enter_batch(run, since_ms);
    (dirty.is_some() ? to_purge_ : to_decommit_).push(run, since_ms);
}

// Takes a cached run out of its bin and its queue; it is formed, of no queue, and the caller gives
// it a kind.
template <World W>
void Pool<W>::take_cached(std::uint32_t first) {
    const SuperSlab<W>& s = slot(first);
    leave_queue(first);
    change(cached_dirty_, s.dirty_slots.get(), false);
    cached_.remove(first);
}

template <World W>
void Pool<W>::put_reserved(std::uint32_t first, std::uint32_t count) {
    committed_runs_.set(committed_runs_.get() + neighbours_committed(first, count) - 1);
    counters_.committed_slots -= count;
    reserved_.insert(first, count, top_.get(), [](std::uint32_t) {});
}

// Picks `count` slots that are reserved and marks them in transit, with the `lead` slots before
// them that only their alignment skips where a hole would make one mapping more than
// committed_runs_max allows; kNone if the window has no room, or if the top would pass the slots
// whose records are ready (the caller makes them ready and asks again).
template <World W>
std::uint32_t Pool<W>::choose_reserved(std::uint32_t count, std::size_t alignment_bytes,
                                       bool thorough, std::uint32_t& lead) {
    std::uint32_t at = 0, run = reserved_.find(count, alignment_bytes, thorough, &at);
    if (run == kNone) {
        run = open_end();
        at = FreeRuns<W, SlotKind::reserved>::aligned_slot(run, alignment_bytes);
        if (at + std::size_t{count} > window<W>.slots_ready()) return kNone;
    }
    const std::uint32_t top = top_.get(), end = at + count;
    const std::uint32_t run_end = run < top ? run + slot(run).run_slots.get() : top;
    if (run < top) reserved_.remove(run);
    if (end > top) top_.set(end);
    lead = committed_runs_.get() >= W::kConfig.committed_runs_max && at - run <= kLeadMax ? at - run
                                                                                          : 0;
    const std::uint32_t first = at - lead;
    FreeRuns<W, SlotKind::reserved>::form(first, end - first, SlotKind::transit);
    if (first > run) reserved_.insert(run, first - run, first, [](std::uint32_t) {});
    if (end < run_end) reserved_.insert(end, run_end - end, top, [](std::uint32_t) {});
    committed_runs_.set(committed_runs_.get() + 1 - neighbours_committed(first, end - first));
    counters_.committed_slots += end - first;
    return at;
}

template <World W>
bool Pool<W>::commit_slots(std::uint32_t first, std::uint32_t count) {
    void* const memory = pointer_to<void>(address_of_slot(first));
    const std::size_t bytes = count * Window<W>::kSuperSlabBytes;
    if (!W::Pal::commit(memory, bytes)) return false;
    if (tunables<W>.get().huge_pages) W::Pal::advise_huge(memory, bytes);
    W::Probe::on_map(memory, bytes);
    return true;
}

// The tables grow with the window's used part, one byte for 500, and never shrink: for memory that
// the system would refuse they must not.
template <World W>
bool Pool<W>::is_worth_tables(std::uint32_t count) {
    constexpr std::uint32_t kManySlots = 256;  // a MiB of tables
    return count < kManySlots || W::Pal::could_commit(count * Window<W>::kSuperSlabBytes);
}

template <World W>
FreshRun Pool<W>::hand_out(std::uint32_t first, std::uint32_t count, Use use, bool zero) {
    counters_.big_slots += count;
    counters_.above_small += use == Use::block;
    return {address_of_slot(first), zero};
}

template <World W>
FreshRun Pool<W>::acquire_slots(std::uint32_t count, std::size_t alignment_bytes, Use use) {
    const Timed<W, Activity::pool> timed;
    std::uint32_t first = kNone, lead = 0;
    for (bool thorough = false, tried = false;;) {
        std::size_t needed = 0;
        {
            LockGuard<W> guard(lock_);
            if (unsorted_.get() != 0) {
                const std::uint32_t last = unsorted_.get() - 1;
                if (slot(last).run_slots.get() == count &&
                    FreeRuns<W, SlotKind::cached>::aligned_slot(last, alignment_bytes) == last) {
                    take_unsorted();
                    FreeRuns<W, SlotKind::cached>::turn(last, count, SlotKind::big);
                    return hand_out(last, count, use, false);
                }
                sort_in();
            }
            std::uint32_t at = 0;
            if (const std::uint32_t run = cached_.find(count, alignment_bytes, thorough, &at);
                run != kNone) {
                const std::uint32_t length = slot(run).run_slots.get();
                const DirtyRange dirty = slot(run).dirty();
                const std::uint64_t since = slot(run).since_ms.get();
                const Wait wait = wait_of(run);
                take_cached(run);
                FreeRuns<W, SlotKind::cached>::form(at, count, SlotKind::big);
                if (at > run) put_cached(run, at - run, dirty.in(run, at - run), since, wait);
                if (const std::uint32_t end = at + count, rest = run + length - end; rest != 0)
                    put_cached(end, rest, dirty.in(end, rest), since, wait);
                return hand_out(at, count, use, !dirty.in(at, count).is_some());
            }
            first = choose_reserved(count, alignment_bytes, thorough, lead);
            if (first != kNone) {
                counters_.commits += 1;
                break;
            }
            needed = FreeRuns<W, SlotKind::reserved>::aligned_slot(open_end(), alignment_bytes) +
                     std::size_t{count};
        }
        if (needed > window<W>.slot_count()) {
            if (thorough) return {};
            thorough = true;
            continue;
        }
        if (!tried && !is_worth_tables(count)) return {};
        tried = true;
        if (!window<W>.make_ready(needed)) return {};
    }
    const bool committed = commit_slots(first - lead, count + lead);
    const std::uint64_t now_ms = lead != 0 ? W::Pal::now_ms() : 0;
    LockGuard<W> guard(lock_);
    if (!committed) {
        counters_.commit_failures += 1;
        put_reserved(first - lead, count + lead);
        return {};
    }
    FreeRuns<W, SlotKind::reserved>::form(first, count, SlotKind::big);
    if (lead != 0) put_cached(first - lead, lead, {}, now_ms);
    return hand_out(first, count, use, true);
}

template <World W>
void Pool<W>::release_slots(Address address, Wait wait, std::uint64_t now_ms) {
    const Timed<W, Activity::pool> timed;
    LockGuard<W> guard(lock_);
    const std::uint32_t first = slot_of(address), count = slot(first).run_slots.get();
    HAK_ASSERT(slot(first).kind.get() == SlotKind::big);
    counters_.big_slots -= count;
    sort_in();
    leave_unsorted(first, count, wait, now_ms);
}

template <World W>
void Pool<W>::shrink_slots(Address address, std::uint32_t new_count) {
    const Timed<W, Activity::pool> timed;
    const std::uint64_t now_ms = W::Pal::now_ms();
    LockGuard<W> guard(lock_);
    const std::uint32_t first = slot_of(address), rest = slot(first).run_slots.get() - new_count;
    HAK_ASSERT(slot(first).kind.get() == SlotKind::big && new_count > 0);
    FreeRuns<W, SlotKind::cached>::form(first, new_count, SlotKind::big);
    counters_.big_slots -= rest;
    put_cached(first + new_count, rest, {first + new_count, rest}, now_ms);
}

// Grows a Big block in place into the free slots behind it, cached or reserved.
template <World W>
bool Pool<W>::extend_slots(Address address, std::uint32_t old_count, std::uint32_t new_count) {
    const Timed<W, Activity::pool> timed;
    const std::uint32_t first = slot_of(address), next = first + old_count,
                        more = new_count - old_count;
    if (first + std::size_t{new_count} > window<W>.slot_count()) return false;
    if (first + std::size_t{new_count} > window<W>.slots_ready()) {
        {
            LockGuard<W> guard(lock_);
            const std::uint32_t top = top_.get();
            const bool is_open = next >= top || (slot(next).kind.get() == SlotKind::reserved &&
                                                 next + slot(next).run_slots.get() == top);
            if (!is_open) return false;
        }
        if (!is_worth_tables(more) || !window<W>.make_ready(first + std::size_t{new_count}))
            return false;
    }
    {
        LockGuard<W> guard(lock_);
        sort_in();
        if (next < top_.get() && slot(next).kind.get() == SlotKind::cached &&
            slot(next).run_slots.get() >= more) {
            const std::uint32_t length = slot(next).run_slots.get();
            const DirtyRange dirty = slot(next).dirty();
            const std::uint64_t since = slot(next).since_ms.get();
            const Wait wait = wait_of(next);
            take_cached(next);
            FreeRuns<W, SlotKind::cached>::form(first, new_count, SlotKind::big);
            if (length > more)
                put_cached(next + more, length - more, dirty.in(next + more, length - more), since,
                           wait);
            counters_.big_slots += more;
            return true;
        }
        const std::uint32_t top = top_.get();
        const bool is_reserved = next < top && slot(next).kind.get() == SlotKind::reserved;
        const std::uint32_t length = is_reserved ? slot(next).run_slots.get() : 0;
        if (length < more && next + length != top) return false;
        if (is_reserved) reserved_.remove(next);
        if (next + more > top) top_.set(next + more);
        FreeRuns<W, SlotKind::reserved>::form(next, more, SlotKind::transit);
        if (length > more) reserved_.insert(next + more, length - more, top, [](std::uint32_t) {});
        committed_runs_.set(committed_runs_.get() + 1 - neighbours_committed(next, more));
        counters_.committed_slots += more;
        counters_.commits += 1;
    }
    const bool committed = commit_slots(next, more);
    LockGuard<W> guard(lock_);
    if (!committed) {
        counters_.commit_failures += 1;
        put_reserved(next, more);
        return false;
    }
    FreeRuns<W, SlotKind::reserved>::form(first, new_count, SlotKind::big);
    counters_.big_slots += more;
    return true;
}

}  // namespace hak
