// pool.hpp: who has which slot and which unit of the window. One lock; no system call under it.
//
// Units: a superslab's free units are found through buckets by the longest free run, so that a slab
// or a Large run takes the tightest superslab in a few instructions. Slots: Big blocks and fresh
// superslabs come from cached runs (committed, free) first, then from reserved runs, then from the
// untouched slots behind the top.
//
// INV pool.1  each slot below the top is in exactly one of: units, big, cached, reserved,
//             transit
// INV pool.2  committed runs == number of maximal runs of slots that are not reserved
// INV pool.3  free dirty bytes wait in exactly one queue: a units slot or a dirty cached run in
//             batch or in to_purge, a clean cached run in to_decommit; the unsorted run in none,
//             and its bytes are counted as if it waited
//
// The purge batch is what shall not stay resident for the whole delay. It is purged when it holds
// more than batch_bytes_max, or when the delay is over; until then it is as free as anything else
// and can be taken again at no cost.
//
// The Big run that was freed last lies unsorted (dlmalloc's word for a chunk that is not joined
// with its neighbours yet): a client that allocates and frees one buffer in turn meets no list at
// all. Whoever looks for any other free slots sorts it in first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/lock.hpp"

#include "mem/free_runs.hpp"  // IWYU pragma: export

namespace hak {

struct PoolCounters {
    std::uint64_t commits = 0, decommits = 0, purges = 0, purged_bytes = 0, commit_failures = 0,
                  above_small = 0;
    std::size_t committed_slots = 0, units_slots = 0, big_slots = 0, used_units = 0;
};

// What acquire hands out: address 0 if there is no memory.
struct FreshRun {
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
    // Where what is given back waits. A run that joins its neighbours takes them along: who came
    // last decides for all. A superslab that is divided waits as a whole, in the batch as soon as
    // one of its free units shall.
    enum class Wait : std::uint8_t { decay, batch };

    FreshRun acquire_units(unsigned count, Use use);
    // `now_ms`: of the clock, for callers that need it themselves.
    void release_units(Address address, unsigned count, Wait wait = Wait::decay,
                       std::uint64_t now_ms = W::Pal::now_ms());
    // Grows a run of units in place if the units behind it are free.
    bool extend_units(Address address, unsigned old_count, unsigned new_count);

    FreshRun acquire_slots(std::uint32_t count, std::size_t alignment_bytes, Use use);
    // Gives a Big block's whole run back.
    void release_slots(Address address, Wait wait = Wait::decay,
                       std::uint64_t now_ms = W::Pal::now_ms());
    // Gives the tail of a Big block's run back.
    void shrink_slots(Address address, std::uint32_t new_count);
    bool extend_slots(Address address, std::uint32_t old_count, std::uint32_t new_count);
    // Whether the address lies in a Large or Big block or in a slab's unit; for diagnoses, it walks
    // all runs.
    bool is_in_block(Address address) {
        LockGuard<W> guard(lock_);
        const std::uint32_t wanted = slot_of(address);
        bool found = false;
        for_each_run([&](std::uint32_t first, std::uint32_t count) {
            if (wanted - first >= count) return;
            const SuperSlab<W>& s = slot(first);
            const auto unit =
                static_cast<unsigned>((address - address_of_slot(first)) / kConfig.unit_bytes);
            found = s.kind.get() == SlotKind::units ? (s.used_units.get() >> unit & 1) != 0
                                                    : s.kind.get() == SlotKind::big;
        });
        return found;
    }
    // Visits each slot that is divided into units. The caller holds the lock, or is alone in the
    // process.
    template <class Each>
    void for_each_units_slot(Each each) const {
        for_each_run([&](std::uint32_t first, std::uint32_t) {
            if (slot(first).kind.get() == SlotKind::units) each(first);
        });
    }
    // Of a live Big block: nobody but its owner changes its run.
    static std::uint32_t big_slots(Address address) {
        return slot(slot_of(address)).run_slots.get();
    }

    PoolCounters counters() {
        LockGuard<W> guard(lock_);
        return counters_;
    }
    // How often memory went back to the system.
    std::uint64_t returns() {
        LockGuard<W> guard(lock_);
        return counters_.purges + counters_.decommits;
    }
    // Dirty free bytes in cached runs, and what lies between them: what the cache limit bounds.
    // Read without the lock as a hint.
    std::size_t cached_dirty_slots() const { return cached_dirty_.load(order::relaxed); }
    // Superslabs in the purge batch, and all free dirty bytes. Hints, like the other.
    std::size_t batch_slots() const { return batch_slots_.load(order::relaxed); }
    std::size_t free_dirty_bytes() const {
        return cached_dirty_slots() * kConfig.superslab_bytes() +
               dirty_units_.load(order::relaxed) * kConfig.unit_bytes;
    }
    Lock<W>& lock() { return lock_; }

  private:
    template <World>
    friend class Reclaim;
    template <World>
    friend class Audit;

    static SuperSlab<W>& slot(std::uint32_t i) { return window<W>.superslab(i); }
    static std::uint32_t slot_of(Address a) {
        return static_cast<std::uint32_t>(window<W>.slot_of(a));
    }
    static Address address_of_slot(std::uint32_t i) { return window<W>.slot_address(i); }

    // Visits each run of slots below the top; a slot that is divided into units is one of its
    // own.
    template <class Each>
    void for_each_run(Each each) const {
        for (std::uint32_t i = 0, count = 0; i < top_.get(); i += count) {
            count = slot(i).kind.get() == SlotKind::units ? 1 : slot(i).run_slots.get();
            each(i, count);
        }
    }

    // Buckets of superslabs with free units. All under the lock.
    void link_bucket(std::uint32_t i);
    void unlink_bucket(std::uint32_t i);
    FreshRun take_units(std::uint32_t i, unsigned count, Use use);
    std::uint32_t find_units(unsigned count) const;
    void wait_for_purge(std::uint32_t i, std::uint64_t now_ms, Wait wait = Wait::decay);
    void enter_batch(std::uint32_t i, std::uint64_t now_ms);
    void leave_queue(std::uint32_t i);
    std::uint32_t batch_weight(std::uint32_t i) const {
        return slot(i).kind.get() == SlotKind::units ? 1 : slot(i).dirty_slots.get();
    }
    Wait wait_of(std::uint32_t i) const {
        return slot(i).in_batch.get() ? Wait::batch : Wait::decay;
    }
    void count_dirty_units(std::uint32_t i, bool joins);
    // A sum that is read without the lock, as a hint, and changed under it.
    static void change(Atomic<W, std::size_t>& sum, std::size_t by, bool grows) {
        const std::size_t before = sum.load(order::relaxed);
        sum.store(grows ? before + by : before - by, order::relaxed);  // relaxed, both: a hint
    }

    // The unsorted run. Slots of it say that they are cached, and no bin holds it.
    bool is_unsorted(std::uint32_t i) const { return unsorted_.get() == i + 1; }
    void leave_unsorted(std::uint32_t first, std::uint32_t count, Wait wait,
                        std::uint64_t since_ms);
    void take_unsorted();
    void sort_in();

    void put_cached(std::uint32_t first, std::uint32_t count, DirtyRange dirty,
                    std::uint64_t since_ms, Wait wait = Wait::decay);
    void take_cached(std::uint32_t first);
    void put_reserved(std::uint32_t first, std::uint32_t count);
    // Where the reserved slots begin that end at the top: together with those behind it they
    // are one run.
    std::uint32_t open_end() const {
        const std::uint32_t top = top_.get();
        return top != 0 && slot(top - 1).kind.get() == SlotKind::reserved
                   ? slot(top - 1).run_first.get()
                   : top;
    }
    // what is skipped for a larger alignment is worth a mapping
    static constexpr std::uint32_t kLeadMax = 32;
    std::uint32_t choose_reserved(std::uint32_t count, std::size_t alignment_bytes, bool thorough,
                                  std::uint32_t& lead);
    static bool is_worth_tables(std::uint32_t count);
    bool is_reserved_at(std::uint32_t i) const {
        return i >= top_.get() || slot(i).kind.get() == SlotKind::reserved;
    }
    unsigned neighbours_committed(std::uint32_t first, std::uint32_t count) const {
        return (first > 0 && !is_reserved_at(first - 1) ? 1u : 0u) +
               (!is_reserved_at(first + count) ? 1u : 0u);
    }
    bool commit_slots(std::uint32_t first, std::uint32_t count);
    FreshRun hand_out(std::uint32_t first, std::uint32_t count, Use use, bool zero);

    Lock<W> lock_;
    Plain<W, std::uint32_t> buckets_[kUnits + 1]{};  // slot + 1, by longest free run; 0: empty
    Plain<W, std::uint64_t> bucket_mask_{};
    Plain<W, std::uint32_t> top_{};  // slots from here on were never used
    Plain<W, std::uint32_t> committed_runs_{};
    Plain<W, std::uint32_t> unsorted_{};  // its first slot + 1; 0: there is none
    FreeRuns<W, SlotKind::reserved> reserved_;
    FreeRuns<W, SlotKind::cached> cached_;
    DecayQueue<W> batch_;
    DecayQueue<W> to_purge_;
    DecayQueue<W> to_decommit_;
    Atomic<W, std::size_t> cached_dirty_{}, batch_slots_{}, dirty_units_{};
    PoolCounters counters_;
};

template <World W>
inline constinit Pool<W> pool{};

}  // namespace hak
