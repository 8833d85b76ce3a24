// superslab.hpp: the state of one slot of the window. Touched under the pool's lock only.
//
// A slot is divided into units, or is part of a run of slots: `reserved` (free, no access, no
// commit charge), `cached` (free, committed), a Big block, or in transit (its committer, purger or
// decommitter works on it without the lock).
//
// INV superslab.1  kind == units  =>  used_units has a bit for each unit of a slab or Large run (or
//                                     one that a purger holds)
// INV superslab.2  a unit that is neither used nor dirty is zero
// INV superslab.3  kind == units  =>  the slot is on the pool's list of bucket longest_run(free
//                                     units), none if that is 0
// INV superslab.4  the first and the last slot of a run have the run's kind; the first holds its
//                  length, the last the way back to the first; what the slots in between say has no
//                  meaning
// INV superslab.5  kind == cached  =>  the slots of the run outside its dirty range are zero
#pragma once

#include <cstdint>

#include "sys/world.hpp"  // IWYU pragma: export

namespace hak {

enum class SlotKind : std::uint8_t { reserved = 0, units, big, cached, transit };

// Of a free run, the slots from the first to the last that is not known to be zero. A run grows by
// joining its neighbours; what it is weighed by, for the limits of what may stay resident, is this.
struct DirtyRange {
    std::uint32_t first = 0, slots = 0;

    constexpr bool is_some() const { return slots != 0; }
    // The part of it that lies in these slots.
    constexpr DirtyRange in(std::uint32_t begin, std::uint32_t count) const {
        const std::uint32_t low = first > begin ? first : begin;
        const std::uint32_t high = first + slots < begin + count ? first + slots : begin + count;
        return low < high ? DirtyRange{low, high - low} : DirtyRange{};
    }
    constexpr DirtyRange with(DirtyRange other) const {
        if (!is_some()) return other;
        if (!other.is_some()) return *this;
        const std::uint32_t low = first < other.first ? first : other.first;
        const std::uint32_t end = first + slots, other_end = other.first + other.slots;
        return {low, (end > other_end ? end : other_end) - low};
    }
};

template <World W>
struct alignas(kCacheLine) SuperSlab {
    static constexpr unsigned kUnits = W::kConfig.units_per_superslab;
    static constexpr std::uint32_t kAllUnits = unit_mask(0, kUnits);

    Plain<W, SlotKind> kind;
    Plain<W, bool> in_decay;  // on one of the decay queues
    Plain<W, bool> in_batch;  // on that of the purge batch
    Plain<W, std::uint32_t> used_units;
    Plain<W, std::uint32_t> dirty_units;
    Plain<W, std::uint32_t> run_slots;  // first slot of a run
    Plain<W, std::uint32_t> run_first;  // last slot of a run
    // first slot of a cached run: which of its slots are dirty (DirtyRange)
    Plain<W, std::uint32_t> dirty_first;
    Plain<W, std::uint32_t> dirty_slots;
    // list of the bucket (units) or of the size bin (cached run); slot + 1
    Plain<W, std::uint32_t> next;
    Plain<W, std::uint32_t> prev;
    Plain<W, std::uint32_t> decay_next;  // decay queue; slot + 1
    Plain<W, std::uint32_t> decay_prev;
    Plain<W, std::uint64_t> since_ms;  // when it joined the decay queue

    DirtyRange dirty() const { return {dirty_first.get(), dirty_slots.get()}; }
    std::uint32_t free_units() const { return kAllUnits & ~used_units.get(); }
    std::uint32_t purgeable_units() const { return dirty_units.get() & free_units(); }
};

}  // namespace hak
