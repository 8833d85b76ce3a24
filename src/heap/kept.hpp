// kept.hpp: the Large runs that a heap keeps: those that its thread freed last, for the next
// allocations of their lengths. A program that allocates and frees a buffer in turn so meets
// neither the pool's lock nor the clock. Touched by the heap's thread alone, like the bins, and
// flushed with them; the bound is kept_places runs of kept_units_max units for each thread.
//
// A run has a place: blocks that nobody said a site for share place 0, and each site
// (hak_alloc_at) has one of the others, and takes from place 0 what that does not have. So two
// buffers of two sites that take turns both stay, where the second of two plain ones drives the
// first out.
//
// This file alone decides whether a freed run is kept: is_kept_when_freed(), and whether without
// the slow path: is_kept_at_once().
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/hooks.hpp"

#include "mem/reclaim.hpp"

#include "heap/heap.hpp"  // IWYU pragma: export

namespace hak {

// Sites may share a place, then the last freed run is the one that is kept. Fibonacci hashing; 0:
// no site.
template <World W>
HAK_INLINE unsigned place_of(Address site) {
    constexpr unsigned kSited = W::kConfig.kept_places - 1;
    static_assert(kSited > 0);
    if (site == 0) return 0;
    return 1 + static_cast<unsigned>(
                   wrapping_mul(std::uint64_t{site}, std::uint64_t{0x9e3779b97f4a7c15u}) >> 32) %
                   kSited;
}

// Bytes from a Large block's start to the end of its run.
template <World W>
HAK_INLINE std::size_t bytes_to_run_end(const UnitRecord<W>* record, Address start) {
    return record->units.get() * W::kConfig.unit_bytes - start % W::kConfig.unit_bytes;
}

// What a run has in front of a block whose client asked for no alignment is less (color_of in
// large.hpp).
inline constexpr std::size_t kColorsEnd = 4096;

// A block of so many bytes in the place's kept run, where the last one began, if a fresh run of
// units for it would be as long; null if not.
template <World W>
HAK_INLINE void* take_kept(Heap<W>& heap, unsigned place, std::size_t bytes,
                           std::size_t alignment) {
    UnitRecord<W>* const record = heap.kept[place].get();
    if (record == nullptr) return nullptr;
    // relaxed, both: the record is this thread's
    const Address start = record->start.load(order::relaxed);
    // or callers ask again whether they got a block
    if (start == 0) __builtin_unreachable();
    constexpr std::size_t kUnit = W::kConfig.unit_bytes, kPage = W::kConfig.page_bytes;
    const bool colored = alignment <= kCacheLine;
    const std::size_t length = record->units.get() * kUnit,
                      most = colored ? length - kPage : length;
    if (bytes > most || most - bytes >= kUnit) return nullptr;
    // Where a page is no less than any color, what is colored fits.
    if ((!colored || kPage < kColorsEnd) && start % kUnit + bytes > length) return nullptr;
    if (alignment > kMinAlignment && (start & (alignment - 1)) != 0) return nullptr;
    heap.kept[place].set(nullptr);
    record->state.store(UnitState::large, order::relaxed);
    bump_counter<W>(heap.kept_taken);
    void* const p = pointer_to<void>(start);
    W::Probe::on_hand_out(p, bytes, bytes_to_run_end(record, start));
    return p;
}

template <World W>
HAK_NOINLINE void release_kept(Heap<W>& heap, unsigned place) {
    UnitRecord<W>* const record = heap.kept[place].get();
    if (record == nullptr) return;
    heap.kept[place].set(nullptr);
    // relaxed, both: no live block is left; a reader has a stale pointer
    const Address run = align_down(record->start.load(order::relaxed), W::kConfig.unit_bytes);
    record->state.store(UnitState::free, order::relaxed);
    pool<W>.release_units(run, record->units.get(), Pool<W>::Wait::decay);
}

// Once in so many runs the thread that keeps one looks at the clock, or a program that allocates
// and frees nothing else would leave its older garbage resident for ever.
inline constexpr std::uint32_t kTickEvery = 16;
template <World W>
HAK_INLINE bool is_tick_due(const Heap<W>& heap) {
    return heap.keeps.get() % kTickEvery == kTickEvery - 1;
}

// In units: shorter than what goes into the purge batch, whatever is learned.
template <World W>
unsigned longest_kept_run() {
    const std::size_t threshold = Hooks<W>::lowest_threshold(tunables<W>.get().batch_threshold);
    unsigned units = W::kConfig.kept_units_max;
    while (units != 0 && units * W::kConfig.unit_bytes >= threshold) --units;
    return units;
}

// Precondition: the record is a Large block's.
template <World W>
HAK_INLINE bool is_kept_when_freed(const Heap<W>* heap, const UnitRecord<W>* record) {
    return W::Sync::choose(Heuristic::keep_run, true) &&
           record->units.get() <= heap->kept_units_max.get();
}

// The same where no other run must go for it, no tick is due and nobody watches.
template <World W>
HAK_INLINE bool is_kept_at_once(const Heap<W>* heap, const UnitRecord<W>* record) {
    if (!is_kept_when_freed(heap, record) || heap->kept[record->place.get()].get() != nullptr)
        return false;
    if (is_tick_due(*heap) || Hooks<W>::is_watching(heap->keeps)) return false;
    return true;
}

// Keeps a run whose state the caller has just changed from large to kept. Precondition: nothing is
// kept in its place. A tick that is due is the caller's.
template <World W>
HAK_INLINE void keep_in_empty_place(Heap<W>& heap, UnitRecord<W>* record) {
    heap.kept[record->place.get()].set(record);
    heap.keeps.set(heap.keeps.get() + 1);
}

// The same in place of what is kept there, whatever is due.
template <World W>
HAK_INLINE void keep(Heap<W>& heap, UnitRecord<W>* record) {
    const bool ticks = is_tick_due(heap);
    release_kept(heap, record->place.get());
    keep_in_empty_place(heap, record);
    if (ticks) reclaim<W>.tick();
}

}  // namespace hak
