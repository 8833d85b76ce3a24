// superslab.hpp: the state of one slot of the window. Touched under the pool's lock only.
//
// A slot is divided into units, or is part of a run of slots: `reserved` (free, no access, no commit charge), `cached` (free,
// committed), a Big block, or in transit (its committer, purger or decommitter works on it without the lock).
//
// INV superslab.1  kind == units  =>  used_units has a bit for each unit of a slab or Large run (or one that a purger holds)
// INV superslab.2  a unit that is neither used nor dirty is zero
// INV superslab.3  kind == units  =>  the slot is on the pool's list of bucket longest_run(free units), none if that is 0
// INV superslab.4  the first and the last slot of a run have the run's kind; the first holds its length, the last the way back to
//                  the first; what the slots in between say has no meaning
#pragma once

#include "sys/world.hpp"

namespace hak {

enum class SlotKind : std::uint8_t { reserved = 0, units, big, cached, transit };

template <World W>
struct alignas(kCacheLine) SuperSlab {
    static constexpr unsigned kUnits = W::kConfig.units_per_superslab;
    static constexpr std::uint32_t kAllUnits = unit_mask(0, kUnits);

    Plain<W, SlotKind> kind;
    Plain<W, bool> dirty;                  // run: not known to be zero
    Plain<W, bool> in_decay;               // on one of the decay queues
    Plain<W, bool> in_batch;               // on that of the purge batch
    Plain<W, std::uint32_t> used_units;
    Plain<W, std::uint32_t> dirty_units;
    Plain<W, std::uint32_t> run_slots;     // first slot of a run
    Plain<W, std::uint32_t> run_first;     // last slot of a run
    Plain<W, std::uint32_t> next;          // list of the bucket (units) or of the size bin (cached run); slot + 1
    Plain<W, std::uint32_t> prev;
    Plain<W, std::uint32_t> decay_next;    // decay queue; slot + 1
    Plain<W, std::uint32_t> decay_prev;
    Plain<W, std::uint64_t> since_ms;      // when it joined the decay queue

    std::uint32_t free_units() const { return kAllUnits & ~used_units.get(); }
    std::uint32_t purgeable_units() const { return dirty_units.get() & free_units(); }
};

}  // namespace hak
