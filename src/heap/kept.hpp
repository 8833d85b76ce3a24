// kept.hpp: the Large run that a heap keeps: the one that its thread freed last, for the next allocation of that length. A program that
// allocates and frees a buffer in turn so meets neither the pool's lock nor the clock. Touched by the heap's thread alone, like the bins,
// and flushed with them; the bound is one run of kept_units_max units for each thread.
#pragma once

#include "heap/slabs.hpp"

namespace hak {

// A block of so many bytes in the kept run, if that has exactly so many units: where the last one began, with the record as it was.
// Null if there is none.
template <World W>
HAK_INLINE void* take_kept(Heap<W>& heap, unsigned units, std::size_t bytes, std::size_t alignment) {
    Slab<W>* const record = heap.kept.get();
    if (record == nullptr || record->units.get() != units) return nullptr;
    const Address start = record->start.load(order::relaxed);  // relaxed, both: the record is this thread's
    const std::size_t front = start % W::kConfig.unit_bytes;
    if ((start & (alignment - 1)) != 0 || front + bytes > units * W::kConfig.unit_bytes) return nullptr;
    heap.kept.set(nullptr);
    bump_counter<W>(heap.kept_taken);
    record->state.store(UnitState::large, order::relaxed);
    void* const p = pointer_to<void>(start);
    W::Probe::on_hand_out(p, bytes, units * W::kConfig.unit_bytes - front);
    return p;
}

template <World W>
HAK_NOINLINE void release_kept(Heap<W>& heap) {
    Slab<W>* const record = heap.kept.get();
    if (record == nullptr) return;
    heap.kept.set(nullptr);
    // relaxed, both: no live block is left; a reader has a stale pointer
    const Address run = align_down(record->start.load(order::relaxed), W::kConfig.unit_bytes);
    record->state.store(UnitState::free, order::relaxed);
    pool<W>.release_units(run, record->units.get(), Pool<W>::Wait::decay);
}

// Keeps a run whose state the caller has just changed from large to kept, in place of the one before. Now and then it looks at the clock, or
// a program that allocates and frees nothing else would leave its older garbage resident for ever.
template <World W>
HAK_INLINE void keep(Heap<W>& heap, Slab<W>* record) {
    constexpr std::uint32_t kTickEvery = 16;
    if (heap.kept.get() != nullptr) release_kept(heap);
    heap.kept.set(record);
    heap.keeps.set(heap.keeps.get() + 1);
    if (heap.keeps.get() % kTickEvery == 0) reclaim<W>.tick();
}

}  // namespace hak
