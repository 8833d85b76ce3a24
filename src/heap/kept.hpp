// kept.hpp: the Large run that a heap keeps: the one that its thread freed last, for the next allocation of that length. A program that
// allocates and frees a buffer in turn so meets neither the pool's lock nor the clock. Touched by the heap's thread alone, like the bins,
// and flushed with them; the bound is one run of kept_units_max units for each thread.
#pragma once

#include "heap/slabs.hpp"

namespace hak {

// A kept run of exactly so many units, which is the caller's then; null if there is none.
template <World W>
inline Slab<W>* take_kept(Heap<W>& heap, unsigned units) {
    Slab<W>* const record = heap.kept.get();
    if (record == nullptr || record->units.get() != units) return nullptr;
    heap.kept.set(nullptr);
    return record;
}

template <World W>
inline void release_kept(Heap<W>& heap) {
    Slab<W>* const record = heap.kept.get();
    if (record == nullptr) return;
    heap.kept.set(nullptr);
    const Address run = align_down(record->start.load(order::relaxed), W::kConfig.unit_bytes);
    record->state.store(UnitState::free, order::relaxed);  // relaxed, both: no live block is left; a reader has a stale pointer
    pool<W>.release_units(run, record->units.get(), Pool<W>::Wait::decay);
}

// Keeps a run whose state the caller has just changed from large to kept, in place of the one before. Now and then it looks at the clock, or
// a program that allocates and frees nothing else would leave its older garbage resident for ever.
template <World W>
inline void keep(Heap<W>& heap, Slab<W>* record) {
    constexpr std::uint32_t kTickEvery = 4;
    release_kept(heap);
    heap.kept.set(record);
    heap.keeps.set(heap.keeps.get() + 1);
    if (heap.keeps.get() % kTickEvery == 0) reclaim<W>.tick();
}

}  // namespace hak
