// reclaim.hpp: gives memory back to the operating system, in batches, after it has been free for a
// while.
//
// A free range is in exactly one of: a queue of the pool, a batch in here (its units count as used,
// its run is in transit), or returned. It is known to be zero only after purge() returned true;
// after a failed purge it stays dirty and cached. There is no thread of our own: whoever frees
// something large or releases a slab looks at the clock and works off what is due.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "sys/lock.hpp"

#include "mem/pool_units.hpp"  // IWYU pragma: export

namespace hak {

template <World W>
class Reclaim {
  public:
    constexpr Reclaim() = default;

    // After memory became free. Cheap unless something is due.
    void tick(std::uint64_t now = W::Pal::now_ms()) {
        const std::size_t dirty_bytes = pool<W>.cached_dirty_slots() * Window<W>::kSuperSlabBytes;
        const bool over =
            W::Sync::choose(Heuristic::cache_full, dirty_bytes > tunables<W>.get().cache_bytes_max);
        const bool full = W::Sync::choose(Heuristic::flush_batch, is_batch_full());
        // relaxed: a hint; whoever reads an old value comes a little early or late.
        if (!over && !full &&
            !W::Sync::choose(Heuristic::due, now >= next_ms_.load(order::relaxed)))
            return;
        if (!lock_.try_acquire()) return;  // somebody is at it
        // relaxed: as above
        next_ms_.store(now + tunables<W>.get().purge_delay_ms / 4 + 1, order::relaxed);
        work(now, over ? Mode::purge_all : full ? Mode::flush : Mode::due);
        lock_.release();
    }

    // Purges every free dirty range now; `decommit` also gives committed free superslabs back. True
    // if anything was returned.
    bool everything(bool decommit) {
        LockGuard<W> guard(lock_);
        return work(W::Pal::now_ms(), decommit ? Mode::return_all : Mode::purge_all);
    }

    Lock<W>& lock() { return lock_; }

  private:
    // `flush`: what is due, and the whole purge batch.
    enum class Mode : std::uint8_t { due, flush, purge_all, return_all };

    enum class Outcome : std::uint8_t { refused, purged, decommitted };

    // One range taken out of the pool. mask == 0: a run of slots; else units of one slot.
    struct Item {
        std::uint32_t first;
        std::uint32_t count;
        std::uint32_t mask;
        bool decommit;
        bool was_dirty;
        DirtyRange dirty;  // of a run
        Outcome outcome;
    };
    static constexpr unsigned kBatch = 32;

    static SuperSlab<W>& slot(std::uint32_t i) { return window<W>.superslab(i); }

    bool work(std::uint64_t now, Mode mode) {
        const Timed<W, Activity::reclaim> timed;
        bool any = false;
        while (true) {
            Item items[kBatch];
            const unsigned count = collect(items, now, mode);
            if (count == 0) return any;
            bool keeps_pages = false, keeps_charge = false;
            for (Item* item = items; item != items + count; ++item) {
                item->outcome = item->mask != 0 ? return_units(*item) : return_run(*item);
                any |= item->outcome != Outcome::refused;
                keeps_pages |= item->outcome == Outcome::refused && item->was_dirty;
                keeps_charge |= item->decommit && item->outcome != Outcome::decommitted;
            }
            put_back(items, count, now);
            // A range that the system refused waits for another delay; trying it again at once
            // would not end. Where it refuses to decommit, the pages of all other ranges can still
            // go.
            if (keeps_pages || (keeps_charge && mode != Mode::return_all)) return any;
            if (keeps_charge) mode = Mode::purge_all;
        }
    }

    static bool is_batch_full() {
        return pool<W>.batch_slots() * Window<W>::kSuperSlabBytes >
               tunables<W>.get().batch_bytes_max;
    }

    unsigned collect(Item* items, std::uint64_t now, Mode& mode) {
        LockGuard<W> guard(pool<W>.lock_);
        Pool<W>& p = pool<W>;
        p.sort_in();
        // The run that was just sorted in takes its neighbours along.
        if (mode == Mode::due && is_batch_full()) mode = Mode::flush;
        unsigned count = 0;
        unsigned planned = 0;  // committed runs that the batch so far will make
        const auto is_full = [&] {
            return count == kBatch || (count != 0 && W::Sync::choose(Heuristic::batch_full, false));
        };
        const auto is_due = [&](const DecayQueue<W>& queue, std::uint64_t delay_ms) {
            return W::Sync::choose(Heuristic::due, queue.is_due(now, delay_ms));
        };
        const auto take_dirty = [&](const DecayQueue<W>& queue, bool due_only) {
            while (!queue.is_empty() && !is_full()) {
                if (due_only && !is_due(queue, tunables<W>.get().purge_delay_ms)) break;
                const std::uint32_t i = queue.front();
                if (slot(i).kind.get() == SlotKind::units) {
                    p.leave_queue(i);
                    const std::uint32_t mask = slot(i).purgeable_units();
                    if (mask == 0) continue;
                    p.unlink_bucket(i);
                    slot(i).used_units.set(slot(i).used_units.get() | mask);
                    p.link_bucket(i);
                    items[count++] = {i, 1, mask, false, true, {}, Outcome::refused};
                } else {
                    items[count++] =
                        take_run(i, mode == Mode::return_all && fits_islands(i, planned));
                }
            }
        };
        take_dirty(p.batch_, mode == Mode::due);
        take_dirty(p.to_purge_, mode == Mode::due || mode == Mode::flush);
        std::uint32_t aside = UINT32_MAX;  // first run that was put back in this round
        while (mode != Mode::purge_all && !p.to_decommit_.is_empty() && !is_full()) {
            if (mode != Mode::return_all &&
                !is_due(p.to_decommit_, tunables<W>.get().decommit_delay_ms))
                break;
            const std::uint32_t i = p.to_decommit_.front();
            if (i == aside) break;  // once round
            if (!fits_islands(i, planned)) {
                // Decommitting would add a mapping too many: the run stays committed and clean for
                // another delay.
                p.to_decommit_.remove(i);
                p.to_decommit_.push(i, now);
                if (aside == UINT32_MAX) aside = i;
                continue;
            }
            items[count++] = take_run(i, true);
        }
        return count;
    }

    // Decommitting a whole committed run, or one end of it, makes no committed run more and is
    // always allowed.
    bool fits_islands(std::uint32_t i, unsigned& planned) const {
        if (!W::Sync::choose(Heuristic::decommit, true)) return false;
        const unsigned neighbours = pool<W>.neighbours_committed(i, slot(i).run_slots.get());
        if (neighbours <= 1) return true;
        if (pool<W>.committed_runs_.get() + planned + 1 > W::kConfig.committed_runs_max)
            return false;
        planned += 1;
        return true;
    }

    Item take_run(std::uint32_t i, bool decommit) {
        const std::uint32_t count = slot(i).run_slots.get();
        const DirtyRange dirty = slot(i).dirty();
        pool<W>.take_cached(i);
        FreeRuns<W, SlotKind::cached>::form(i, count, SlotKind::transit);
        return {i, count, 0, decommit, dirty.is_some(), dirty, Outcome::refused};
    }

    static Outcome return_run(const Item& item) {
        void* const memory = pointer_to<void>(window<W>.slot_address(item.first));
        const std::size_t bytes = item.count * Window<W>::kSuperSlabBytes;
        if (item.decommit) {
            W::Probe::on_unmap(memory, bytes);
            if (W::Pal::decommit(memory, bytes)) return Outcome::decommitted;
        }
        return item.was_dirty && W::Pal::purge(memory, bytes) ? Outcome::purged : Outcome::refused;
    }

    static Outcome return_units(const Item& item) {
        const Address base = window<W>.slot_address(item.first);
        bool all = true;
        for (std::uint32_t mask = item.mask; mask != 0;) {
            const auto first = static_cast<unsigned>(std::countr_zero(mask));
            const auto length = static_cast<unsigned>(std::countr_one(mask >> first));
            all &= W::Pal::purge(pointer_to<void>(base + first * W::kConfig.unit_bytes),
                                 length * W::kConfig.unit_bytes);
            mask &= ~unit_mask(first, length);
        }
        return all ? Outcome::purged : Outcome::refused;
    }

    void put_back(const Item* items, unsigned count, std::uint64_t now) {
        LockGuard<W> guard(pool<W>.lock_);
        Pool<W>& p = pool<W>;
        for (unsigned k = 0; k < count; ++k) {
            const Item& item = items[k];
            SuperSlab<W>& s = slot(item.first);
            if (item.mask == 0) {
                if (item.outcome == Outcome::decommitted) {
                    p.counters_.decommits += 1;
                    p.put_reserved(item.first, item.count);
                } else {
                    note_purge(item, item.count * Window<W>::kSuperSlabBytes);
                    p.put_cached(item.first, item.count,
                                 item.outcome == Outcome::purged ? DirtyRange{} : item.dirty, now);
                }
                continue;
            }
            note_purge(item,
                       static_cast<std::size_t>(std::popcount(item.mask)) * W::kConfig.unit_bytes);
            p.unlink_bucket(item.first);
            s.used_units.set(s.used_units.get() & ~item.mask);
            if (item.outcome == Outcome::purged)
                s.dirty_units.set(s.dirty_units.get() & ~item.mask);
            if (s.used_units.get() == 0) {
                p.leave_queue(item.first);
                p.counters_.units_slots -= 1;
                p.put_cached(item.first, 1,
                             s.dirty_units.get() != 0 ? DirtyRange{item.first, 1} : DirtyRange{},
                             now);
            } else {
                p.link_bucket(item.first);
                if (s.purgeable_units() != 0) p.wait_for_purge(item.first, now);
            }
        }
    }

    void note_purge(const Item& item, std::size_t bytes) {
        if (item.outcome != Outcome::purged) return;
        pool<W>.counters_.purges += 1;
        pool<W>.counters_.purged_bytes += bytes;
    }

    Lock<W> lock_;
    Atomic<W, std::uint64_t> next_ms_{};
};

template <World W>
inline constinit Reclaim<W> reclaim{};

}  // namespace hak
