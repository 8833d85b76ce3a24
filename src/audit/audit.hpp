// audit.hpp: walks all that the allocator knows; names the first invariant that does not hold.
//
// Audit needs quiescence: one thread runs, nobody is inside a call. It allocates nothing; the
// caller brings one word of scratch per unit of the window's ready part. Suites call it after every
// step, real-thread programs when their threads are joined.
//
// Why no list needs a set of visited blocks: a list that ends after n steps has n different blocks,
// and two lists that share a block share their last one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mem/reclaim.hpp"

#include "heap/heaps.hpp"
#include "heap/lifecycle.hpp"

namespace hak {

// Converts to true where something is wrong. The texts are literals: a report needs no memory.
struct Violation {
    const char* invariant = nullptr;
    const char* what = "";
    std::uint64_t where = 0;  // address, slot or unit that shows it
    std::uint64_t have = 0, want = 0;

    explicit operator bool() const { return invariant != nullptr; }
};

// What a walk counted. client_blocks: small blocks in no list and no range: the client has them.
struct AuditTotals {
    std::uint64_t client_blocks = 0, listed_blocks = 0, bump_blocks = 0, remote_blocks = 0,
                  free_blocks = 0, untouched_blocks = 0;
    std::uint64_t slabs = 0, large_blocks = 0, big_blocks = 0, frozen_units = 0, orphans = 0;
    // Clean cached slots; spare: those whose decommit makes no committed run too many. A trim
    // leaves none.
    std::uint64_t clean_slots = 0, spare_slots = 0, committed_runs = 0;
};

template <World W>
class Audit {
  public:
    struct Setup {
        std::uint32_t* scratch = nullptr;  // one word per unit of the ready slots
        std::size_t scratch_words = 0;
        bool read_zero = false;  // also read all memory that is said to be zero
        // slabs whose poster set queued and has not pushed yet
        const UnitRecord<W>* const* in_flight = nullptr;
        unsigned in_flight_count = 0;
        // no thread that fork cut off was in a call: frozen heaps' bins can be read
        bool frozen_at_rest = false;
    };

    static std::size_t scratch_words() { return window<W>.slots_ready() * kUnits; }

    explicit Audit(const Setup& setup) : setup_(setup) {}

    // Slots, units, buckets, runs and queues: superslab.*, pool.*, runs.*, decay.1, window.2.
    Violation pool_alone() {
        check_pool();
        return violation_;
    }
    // All of it: block.1, slab.*, remote.*, heap.*, large.1 and the conservation of blocks as well.
    Violation everything() {
        if (!window<W>.is_open()) return {};
        if (!expect(setup_.scratch_words >= scratch_words(), "audit", "scratch is too small", 0,
                    setup_.scratch_words, scratch_words())) {
            return violation_;
        }
        for (std::size_t i = 0; i < scratch_words(); ++i) setup_.scratch[i] = 0;
        check_locks() && check_pool() && check_heaps() && check_records() && check_tails();
        return violation_;
    }
    const AuditTotals& totals() const { return totals_; }

    // Blocks of a slab that the client has, if everything() was right and its heap is not frozen.
    std::uint32_t client_blocks(const UnitRecord<W>* slab) const {
        return setup_.scratch[unit_of(slab)] & kCountMask;
    }
    static bool is_frozen(const UnitRecord<W>* slab) {
        // relaxed: quiescence
        return slab->owner.load(order::relaxed)->token.load(order::relaxed) == Token::frozen;
    }

  private:
    static constexpr Config kConfig = W::kConfig;
    static constexpr unsigned kUnits = kConfig.units_per_superslab;
    static constexpr std::uint32_t kPendingMark = 1u << 31, kPartialMark = 1u << 30,
                                   kLeakedMark = 1u << 29, kCountMask = 0xffffffu;

    bool expect(bool holds, const char* invariant, const char* what, std::uint64_t where,
                std::uint64_t have = 0, std::uint64_t want = 0) {
        if (!holds && !violation_) violation_ = {invariant, what, where, have, want};
        return !violation_;
    }

    static SuperSlab<W>& slot(std::size_t i) { return window<W>.superslab(i); }
    static std::size_t unit_of(const UnitRecord<W>* record) {
        return static_cast<std::size_t>(record - window<W>.record(0));
    }
    std::uint32_t& mark(const UnitRecord<W>* slab) { return setup_.scratch[unit_of(slab)]; }
    static Address unit_address(std::size_t unit) {
        return window<W>.base() + unit * kConfig.unit_bytes;
    }
    bool is_zero(Address at, std::size_t bytes) const {
        if (!setup_.read_zero) return true;
        // As the allocator's own words, which it may read where nobody has the memory.
        for (const Address end = at + bytes; at != end; at += sizeof(Address)) {
            if (pointer_to<const typename Block<W>::Word>(at)->get() != 0) return false;
        }
        return true;
    }

    bool check_locks() {
        return expect(!window<W>.is_open() || !pool<W>.lock().is_held(), "lock",
                      "the pool's lock is held at rest", 0) &&
               expect(!reclaim<W>.lock().is_held(), "lock", "reclaim's lock is held at rest", 0) &&
               expect(!heaps<W>.lock().is_held(), "lock", "the registry's lock is held at rest",
                      0) &&
               expect(!start_lock<W>.is_held(), "lock", "the start-up lock is held at rest", 0);
    }

    // audit_pool.hpp
    bool check_pool();
    bool check_slots();
    bool check_units_slot(std::uint32_t i);
    bool check_run(std::uint32_t i, std::uint32_t count);
    bool check_buckets();
    template <SlotKind kKind>
    bool check_runs(const FreeRuns<W, kKind>& runs, std::uint64_t want_runs,
                    std::uint64_t want_slots);
    enum class Queue : std::uint8_t { batch, purge, decommit };
    bool check_queue(const DecayQueue<W>& queue, Queue which, std::uint64_t& length);
    bool check_counters();

    // audit_slabs.hpp
    bool check_records();
    bool check_record_fields(const UnitRecord<W>* record, const UnitRecord<W>* head);
    bool check_slab(const UnitRecord<W>* slab);
    bool check_free_list(const UnitRecord<W>* slab);
    bool check_remote_list(const UnitRecord<W>* slab, std::uint32_t& length);
    bool check_block(const UnitRecord<W>* slab, Address a, const char* invariant);
    bool is_in_flight(const UnitRecord<W>* slab) const {
        for (unsigned i = 0; i < setup_.in_flight_count; ++i) {
            if (setup_.in_flight[i] == slab) return true;
        }
        return false;
    }
    static Address last_of(Address head) {
        while (block_at<W>(head)->link.get() != 0) head = block_at<W>(head)->link.get();
        return head;
    }

    // audit_heaps.hpp
    bool check_heaps();
    bool check_heap(Heap<W>& heap);
    bool check_bin(Heap<W>& heap, SizeClass c);
    bool check_kept(const Heap<W>& heap);
    bool check_frozen_bins(Heap<W>& heap);
    bool check_partial(Heap<W>& heap, SizeClass c);
    bool check_pending(Heap<W>& heap);
    bool check_nobody(const Heap<W>& heap, const char* what);
    bool check_tails();

    Setup setup_;
    Violation violation_;
    AuditTotals totals_;

    // Counted by check_slots() for the checks behind it.
    struct {
        std::uint64_t committed_runs, committed, units, big, cached_dirty, used_units, dirty_units,
            batch_slots, in_decay, in_bucket;
        std::uint64_t reserved_runs, reserved_slots, cached_runs, cached_slots;
    } found_{};
    std::uint64_t slabs_of_heaps_ = 0, live_slabs_ = 0, runs_of_heaps_ = 0, kept_runs_ = 0;
    bool any_heap_unknown_ = false;
};

}  // namespace hak
