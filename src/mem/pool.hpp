// pool.hpp: who has which slot and which unit of the window. One lock; no system call under it.
//
// Units: a superslab's free units are found through buckets by the longest free run, so that a slab or a Large run takes the
// tightest superslab in a few instructions. Slots: Big blocks and fresh superslabs come from cached runs (committed, free) first,
// then from reserved runs, then from the untouched slots behind the frontier.
//
// INV pool.1  each slot below the frontier is in exactly one of: units, big, cached, reserved, transit
// INV pool.2  islands == number of maximal runs of slots that are not reserved
// INV pool.3  free dirty bytes wait in exactly one queue: a units slot or a dirty cached run in to_purge, a clean cached run in
//             to_decommit
#pragma once

#include "mem/runs.hpp"

namespace hak {

struct PoolCounters {
    std::uint64_t commits = 0, decommits = 0, purges = 0, purged_bytes = 0, commit_failures = 0, above_small = 0;
    std::size_t committed_slots = 0, units_slots = 0, big_slots = 0, used_units = 0;
};

// What acquire hands out: address 0 if there is no memory.
struct Range {
    Address address = 0;
    bool zero = false;  // every byte is known to be zero
};

template <World W>
class Pool {
public:
    static constexpr Config kConfig = W::kConfig;
    static constexpr unsigned kUnits = kConfig.units_per_superslab;
    static constexpr std::uint32_t kNone = UINT32_MAX;

    constexpr Pool() = default;

    // What units and slots are taken for; only the statistics care.
    enum class Use : std::uint8_t { slab, block };

    Range acquire_units(unsigned count, Use use);
    void release_units(Address address, unsigned count);
    // Grows a run of units in place if the units behind it are free.
    bool extend_units(Address address, unsigned old_count, unsigned new_count);

    Range acquire_slots(std::uint32_t count, std::size_t alignment_bytes, Use use);
    // Gives a Big block's whole run back.
    void release_slots(Address address);
    // Gives the tail of a Big block's run back.
    void shrink_slots(Address address, std::uint32_t new_count);
    bool extend_slots(Address address, std::uint32_t old_count, std::uint32_t new_count);
    // Whether the address lies in a Large or Big block or in a slab's unit; for diagnoses, it walks all runs.
    bool is_in_block(Address address) {
        LockGuard<W> guard(lock_);
        const std::uint32_t wanted = slot_of(address);
        for (std::uint32_t i = 0; i < frontier_.get();) {
            const SuperSlab<W>& s = slot(i);
            const bool is_units = s.kind.get() == SlotKind::units;
            const std::uint32_t end = i + (is_units ? 1 : s.run_slots.get());
            if (wanted < end) {
                const auto unit = static_cast<unsigned>((address - address_of_slot(i)) / kConfig.unit_bytes);
                return is_units ? (s.used_units.get() >> unit & 1) != 0 : s.kind.get() == SlotKind::big;
            }
            i = end;
        }
        return false;
    }
    std::uint32_t big_slots(Address address) {
        LockGuard<W> guard(lock_);
        return slot(slot_of(address)).run_slots.get();
    }

    PoolCounters counters() {
        LockGuard<W> guard(lock_);
        return counters_;
    }
    // Dirty free bytes in cached runs: what the cache limit bounds. Read without the lock as a hint.
    std::size_t cached_dirty_slots() const { return cached_dirty_.load(order::relaxed); }
    Lock<W>& lock() { return lock_; }

private:
    template <World>
    friend class Reclaim;
    template <World>
    friend class Audit;

    static SuperSlab<W>& slot(std::uint32_t i) { return window<W>.superslab(i); }
    static std::uint32_t slot_of(Address a) { return static_cast<std::uint32_t>(window<W>.slot_of(a)); }
    static Address address_of_slot(std::uint32_t i) { return window<W>.slot_address(i); }

    // Buckets of superslabs with free units. All under the lock.
    void link_bucket(std::uint32_t i);
    void unlink_bucket(std::uint32_t i);
    Range take_units(std::uint32_t i, unsigned count);
    std::uint32_t find_units(unsigned count) const;
    void wait_for_purge(std::uint32_t i, std::uint64_t now_ms);

    void put_cached(std::uint32_t first, std::uint32_t count, bool dirty, std::uint64_t now_ms);
    void take_cached(std::uint32_t first);
    void put_reserved(std::uint32_t first, std::uint32_t count);
    std::uint32_t choose_reserved(std::uint32_t count, std::size_t alignment_bytes);
    bool is_reserved_at(std::uint32_t i) const { return i >= frontier_.get() || slot(i).kind.get() == SlotKind::reserved; }
    unsigned neighbours_committed(std::uint32_t first, std::uint32_t count) const {
        return (first > 0 && !is_reserved_at(first - 1) ? 1u : 0u) + (!is_reserved_at(first + count) ? 1u : 0u);
    }
    bool commit_slots(std::uint32_t first, std::uint32_t count);

    Lock<W> lock_;
    Plain<W, std::uint32_t> buckets_[kUnits + 1]{};  // slot + 1, by longest free run; 0: empty
    Plain<W, std::uint64_t> bucket_mask_{};
    Plain<W, std::uint32_t> frontier_{};             // slots from here on were never used
    Plain<W, std::uint32_t> islands_{};
    Runs<W, SlotKind::reserved> reserved_;
    Runs<W, SlotKind::cached> cached_;
    DecayQueue<W> to_purge_;
    DecayQueue<W> to_decommit_;
    Atomic<W, std::size_t> cached_dirty_{};
    PoolCounters counters_;
};

template <World W>
inline constinit Pool<W> pool{};

// ---- units

template <World W>
void Pool<W>::link_bucket(std::uint32_t i) {
    SuperSlab<W>& s = slot(i);
    const unsigned bucket = longest_run(s.free_units());
    s.run_slots.set(bucket);
    if (bucket == 0) return;
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
Range Pool<W>::take_units(std::uint32_t i, unsigned count) {
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
    link_bucket(i);
    return {address_of_slot(i) + first * kConfig.unit_bytes, zero};
}

template <World W>
Range Pool<W>::acquire_units(unsigned count, Use use) {
    {
        LockGuard<W> guard(lock_);
        counters_.above_small += use == Use::block;
        if (const std::uint32_t i = find_units(count); i != kNone) return take_units(i, count);
    }
    const Range fresh = acquire_slots(1, Window<W>::kSuperSlabBytes, Use::slab);
    if (fresh.address == 0) return {};
    LockGuard<W> guard(lock_);
    const std::uint32_t i = slot_of(fresh.address);
    SuperSlab<W>& s = slot(i);
    s.kind.set(SlotKind::units);
    s.used_units.set(0);
    s.dirty_units.set(fresh.zero ? 0 : SuperSlab<W>::kAllUnits);
    counters_.big_slots -= 1;
    counters_.units_slots += 1;
    link_bucket(i);
    const Range taken = take_units(i, count);
    if (s.purgeable_units() != 0) wait_for_purge(i, W::Pal::now_ms());
    return taken;
}

template <World W>
void Pool<W>::wait_for_purge(std::uint32_t i, std::uint64_t now_ms) {
    if (!slot(i).in_decay.get()) to_purge_.push(i, now_ms);
}

template <World W>
void Pool<W>::release_units(Address address, unsigned count) {
    const std::uint64_t now_ms = W::Pal::now_ms();
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
        if (s.purgeable_units() != 0) wait_for_purge(i, now_ms);
        return;
    }
    if (s.in_decay.get()) to_purge_.remove(i);
    counters_.units_slots -= 1;
    put_cached(i, 1, s.dirty_units.get() != 0, now_ms);
}

template <World W>
bool Pool<W>::extend_units(Address address, unsigned old_count, unsigned new_count) {
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

// ---- slots

template <World W>
void Pool<W>::put_cached(std::uint32_t first, std::uint32_t count, bool dirty, std::uint64_t now_ms) {
    if (dirty) cached_dirty_.fetch_add(count, order::relaxed);  // relaxed: a hint, changed under the lock
    const std::uint32_t run = cached_.insert(first, count, frontier_.get(), [&](std::uint32_t neighbour) {
        SuperSlab<W>& s = slot(neighbour);
        if (s.in_decay.get()) (s.dirty.get() ? to_purge_ : to_decommit_).remove(neighbour);
        // A clean neighbour becomes part of a dirty run and the other way round: what is not known to be zero is dirty.
        if (dirty != s.dirty.get()) {
            cached_dirty_.fetch_add(dirty ? s.run_slots.get() : count, order::relaxed);
            dirty = true;
        }
        count += s.run_slots.get();
    });
    slot(run).dirty.set(dirty);
    (dirty ? to_purge_ : to_decommit_).push(run, now_ms);
}

// Takes a cached run out of its bin and its queue; it is formed, of no queue, and the caller gives it a kind.
template <World W>
void Pool<W>::take_cached(std::uint32_t first) {
    SuperSlab<W>& s = slot(first);
    if (s.in_decay.get()) (s.dirty.get() ? to_purge_ : to_decommit_).remove(first);
    if (s.dirty.get()) cached_dirty_.fetch_sub(s.run_slots.get(), order::relaxed);  // relaxed: a hint
    cached_.remove(first);
}

template <World W>
void Pool<W>::put_reserved(std::uint32_t first, std::uint32_t count) {
    islands_.set(islands_.get() + neighbours_committed(first, count) - 1);
    counters_.committed_slots -= count;
    reserved_.insert(first, count, frontier_.get(), [](std::uint32_t) {});
}

// Picks `count` slots that are reserved and marks them in transit; kNone if the window has no room, or if the frontier would pass
// the slots whose records are ready (the caller makes them ready and asks again).
template <World W>
std::uint32_t Pool<W>::choose_reserved(std::uint32_t count, std::size_t alignment_bytes) {
    std::uint32_t at = 0;
    if (const std::uint32_t run = reserved_.find(count, alignment_bytes, &at); run != kNone) {
        const std::uint32_t length = slot(run).run_slots.get();
        reserved_.remove(run);
        if (at > run) reserved_.insert(run, at - run, at, [](std::uint32_t) {});
        Runs<W, SlotKind::reserved>::form(at, count, SlotKind::transit);
        if (const std::uint32_t end = at + count; end < run + length) {
            reserved_.insert(end, run + length - end, frontier_.get(), [](std::uint32_t) {});
        }
    } else {
        at = Runs<W, SlotKind::reserved>::aligned_slot(frontier_.get(), alignment_bytes);
        if (at + std::size_t{count} > window<W>.slots_ready()) return kNone;
        const std::uint32_t gap = frontier_.get();
        frontier_.set(at + count);
        Runs<W, SlotKind::reserved>::form(at, count, SlotKind::transit);
        if (at > gap) reserved_.insert(gap, at - gap, at, [](std::uint32_t) {});
    }
    islands_.set(islands_.get() + 1 - neighbours_committed(at, count));
    counters_.committed_slots += count;
    return at;
}

template <World W>
bool Pool<W>::commit_slots(std::uint32_t first, std::uint32_t count) {
    void* const memory = pointer_to<void>(address_of_slot(first));
    const std::size_t bytes = count * Window<W>::kSuperSlabBytes;
    if (!W::Pal::commit(memory, bytes)) return false;
    if (tunables<W>.huge_pages) W::Pal::advise_huge(memory, bytes);
    W::Probe::on_map(memory, bytes);
    return true;
}

template <World W>
Range Pool<W>::acquire_slots(std::uint32_t count, std::size_t alignment_bytes, Use use) {
    std::uint32_t first = kNone;
    while (true) {
        std::size_t needed = 0;
        {
            LockGuard<W> guard(lock_);
            std::uint32_t at = 0;
            if (const std::uint32_t run = cached_.find(count, alignment_bytes, &at); run != kNone) {
                const std::uint32_t length = slot(run).run_slots.get();
                const bool dirty = slot(run).dirty.get();
                const std::uint64_t since = slot(run).since_ms.get();
                take_cached(run);
                Runs<W, SlotKind::cached>::form(at, count, SlotKind::big);
                if (at > run) put_cached(run, at - run, dirty, since);
                if (const std::uint32_t end = at + count; end < run + length) put_cached(end, run + length - end, dirty, since);
                counters_.big_slots += count;
                counters_.above_small += use == Use::block;
                return {address_of_slot(at), !dirty};
            }
            first = choose_reserved(count, alignment_bytes);
            if (first != kNone) {
                counters_.commits += 1;
                break;
            }
            needed = Runs<W, SlotKind::reserved>::aligned_slot(frontier_.get(), alignment_bytes) + std::size_t{count};
        }
        if (needed > window<W>.slot_count() || !window<W>.make_ready(needed)) return {};
    }
    const bool committed = commit_slots(first, count);
    LockGuard<W> guard(lock_);
    if (!committed) {
        counters_.commit_failures += 1;
        put_reserved(first, count);
        return {};
    }
    Runs<W, SlotKind::reserved>::form(first, count, SlotKind::big);
    counters_.big_slots += count;
    counters_.above_small += use == Use::block;
    return {address_of_slot(first), true};
}

template <World W>
void Pool<W>::release_slots(Address address) {
    const std::uint64_t now_ms = W::Pal::now_ms();
    LockGuard<W> guard(lock_);
    const std::uint32_t first = slot_of(address), count = slot(first).run_slots.get();
    HAK_ASSERT(slot(first).kind.get() == SlotKind::big);
    counters_.big_slots -= count;
    put_cached(first, count, true, now_ms);
}

template <World W>
void Pool<W>::shrink_slots(Address address, std::uint32_t new_count) {
    const std::uint64_t now_ms = W::Pal::now_ms();
    LockGuard<W> guard(lock_);
    const std::uint32_t first = slot_of(address), rest = slot(first).run_slots.get() - new_count;
    HAK_ASSERT(slot(first).kind.get() == SlotKind::big && new_count > 0);
    Runs<W, SlotKind::cached>::form(first, new_count, SlotKind::big);
    counters_.big_slots -= rest;
    put_cached(first + new_count, rest, true, now_ms);
}

// Grows a Big block in place into the free slots behind it, cached or reserved.
template <World W>
bool Pool<W>::extend_slots(Address address, std::uint32_t old_count, std::uint32_t new_count) {
    const std::uint32_t first = slot_of(address), next = first + old_count, more = new_count - old_count;
    if (first + std::size_t{new_count} > window<W>.slot_count()) return false;
    if (!window<W>.make_ready(first + std::size_t{new_count})) return false;
    {
        LockGuard<W> guard(lock_);
        if (next < frontier_.get() && slot(next).kind.get() == SlotKind::cached && slot(next).run_slots.get() >= more) {
            const std::uint32_t length = slot(next).run_slots.get();
            const bool dirty = slot(next).dirty.get();
            const std::uint64_t since = slot(next).since_ms.get();
            take_cached(next);
            Runs<W, SlotKind::cached>::form(first, new_count, SlotKind::big);
            if (length > more) put_cached(next + more, length - more, dirty, since);
            counters_.big_slots += more;
            return true;
        }
        if (next == frontier_.get()) {
            frontier_.set(next + more);
        } else if (slot(next).kind.get() == SlotKind::reserved && slot(next).run_slots.get() >= more) {
            const std::uint32_t length = slot(next).run_slots.get();
            reserved_.remove(next);
            Runs<W, SlotKind::reserved>::form(next, more, SlotKind::transit);
            if (length > more) reserved_.insert(next + more, length - more, frontier_.get(), [](std::uint32_t) {});
        } else {
            return false;
        }
        Runs<W, SlotKind::reserved>::form(next, more, SlotKind::transit);
        islands_.set(islands_.get() + 1 - neighbours_committed(next, more));
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
    Runs<W, SlotKind::reserved>::form(first, new_count, SlotKind::big);
    counters_.big_slots += more;
    return true;
}

}  // namespace hak
