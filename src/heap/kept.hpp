// kept.hpp: the Large runs that a heap keeps: those that its thread freed last, for the next allocations of their lengths. A program that
// allocates and frees a buffer in turn so meets neither the pool's lock nor the clock. Touched by the heap's thread alone, like the bins,
// and flushed with them; the bound is kept_ways runs of kept_units_max units for each thread.
//
// A run has a place, its way: blocks that nobody said a site for share way 0, and each site (hak_alloc_at) has one of the others, and takes
// from way 0 what that does not have. So two buffers of two sites that take turns both stay, where the second of two plain ones drives the
// first out.
#pragma once

#include "heap/slabs.hpp"

namespace hak {

// Sites may share a way, then the last freed run is the one that is kept. Fibonacci hashing; 0: no site.
template <World W>
HAK_INLINE unsigned way_of(Address site) {
    constexpr unsigned kSited = W::kConfig.kept_ways - 1;
    static_assert(kSited > 0);
    if (site == 0) return 0;
    return 1 + static_cast<unsigned>(wrapping_mul(std::uint64_t{site}, std::uint64_t{0x9e3779b97f4a7c15u}) >> 32) % kSited;
}

// A block of so many bytes in the way's kept run, if that has exactly so many units: where the last one began, with the record as it was.
// Null if there is none.
template <World W>
HAK_INLINE void* take_kept(Heap<W>& heap, unsigned way, unsigned units, std::size_t bytes, std::size_t alignment) {
    Slab<W>* const record = heap.kept[way].get();
    if (record == nullptr || record->units.get() != units) return nullptr;
    const Address start = record->start.load(order::relaxed);  // relaxed, both: the record is this thread's
    const std::size_t front = start % W::kConfig.unit_bytes;
    if ((start & (alignment - 1)) != 0 || front + bytes > units * W::kConfig.unit_bytes) return nullptr;
    heap.kept[way].set(nullptr);
    bump_counter<W>(heap.kept_taken);
    record->state.store(UnitState::large, order::relaxed);
    void* const p = pointer_to<void>(start);
    W::Probe::on_hand_out(p, bytes, units * W::kConfig.unit_bytes - front);
    return p;
}

template <World W>
HAK_NOINLINE void release_kept(Heap<W>& heap, unsigned way) {
    Slab<W>* const record = heap.kept[way].get();
    if (record == nullptr) return;
    heap.kept[way].set(nullptr);
    // relaxed, both: no live block is left; a reader has a stale pointer
    const Address run = align_down(record->start.load(order::relaxed), W::kConfig.unit_bytes);
    record->state.store(UnitState::free, order::relaxed);
    pool<W>.release_units(run, record->units.get(), Pool<W>::Wait::decay);
}

template <World W>
HAK_NOINLINE void look_at_clock() noexcept(kNothrow<W>) {
    reclaim<W>.tick();
}

// Keeps a run whose state the caller has just changed from large to kept. Now and then the clock is looked at, or a program that allocates
// and frees nothing else would leave its older garbage resident for ever. Precondition: nothing is kept in its way.
template <World W>
HAK_INLINE void keep_in_empty_way(Heap<W>& heap, Slab<W>* record) {
    constexpr std::uint32_t kTickEvery = 16;
    heap.kept[record->way.get()].set(record);
    heap.keeps.set(heap.keeps.get() + 1);
    if (heap.keeps.get() % kTickEvery == 0) [[unlikely]] look_at_clock<W>();
}

// The same in place of what is kept there.
template <World W>
HAK_INLINE void keep(Heap<W>& heap, Slab<W>* record) {
    if (heap.kept[record->way.get()].get() != nullptr) release_kept(heap, record->way.get());
    keep_in_empty_way(heap, record);
}

}  // namespace hak
