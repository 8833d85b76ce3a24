// heap.hpp: what one thread has: its cache of free blocks, its slabs, its pending list, and the
// token that says who may touch them.
//
// A slab belongs to a Heap for as long as it holds blocks; a Heap is held through its token. The
// bins are touched by the heap's thread alone, without the token: that is what a hit does.
// Everything else that is plain, in the heap and in its slabs, is touched by the token's holder: by
// the heap's thread in its slow paths, or by a visitor. Heaps are type-stable: recycled, never
// unmapped, so that a late poster's push lands in a heap whatever became of its thread.
//
//   unborn -> OWNED (has a thread) -> ORPHAN (the thread exited) -> OWNED (adopted whole)
//   OWNED -> BUSY (its thread is in a slow path) -> OWNED
//   OWNED or ORPHAN -> VISITED (for a moment, by another thread) -> OWNED or ORPHAN
//   VISITED -> AWAITED (its thread sleeps meanwhile) -> OWNED
//   in a forked child: OWNED or BUSY, of a vanished thread -> FROZEN, for ever
//
// INV heap.1  at most one thread holds the token (BUSY, VISITED or AWAITED); plain fields but the
//             bins are written by it alone
// INV heap.2  bin.room == bin_blocks - (length of bin.list), and the list is sealed (block.1)
// INV heap.3  [bin.bump, bin.bump + bin.bump_bytes) is a whole number of untouched blocks of one
//             slab of this heap, counted as used in that slab, which is bump_slab
// INV heap.4  an ORPHAN's bins are empty: all its free blocks are in slabs or on their remote
//             lists; it keeps no run
// INV heap.5  a run in state `kept` is kept by exactly one heap, and what a heap keeps is in that
//             state, in the place that its record says
// INV heap.6  refills_total == refills_own + refills_others + refills_opened + refills_failed, of a
//             heap whose token is OWNED or ORPHAN
#pragma once

#include <cstddef>
#include <cstdint>

#include "mem/unit_record.hpp"  // IWYU pragma: export

namespace hak {

enum class Token : std::uint32_t { unborn = 0, owned, busy, orphan, visited, awaited, frozen };

template <World W>
struct Heap {
    // One class's entry in the thread cache; a hit reads and writes this line and the block,
    // nothing else of the heap.
    struct alignas(kCacheLine / 2) Bin {
        Plain<W, Address> list;            // sealed blocks, most recently freed first
        Plain<W, Address> bump;            // next untouched block
        Plain<W, std::size_t> bump_bytes;  // 0: the range is used up
        // how many more blocks the list takes before frees go to the slabs; may be negative
        Plain<W, std::int32_t> room;
        Plain<W, bool> bump_zero;  // untouched blocks are known to be zero

        // Whether the address lies in the bump range, whose blocks nobody has.
        HAK_INLINE bool is_untouched(Address at) const {
            return wrapping_sub(at, bump.get()) < bump_bytes.get();
        }
    };

    Bin bins[Classes<W>::kCount];  // the heap's thread alone
    // A slab leaves when it is full, joins when its first block comes back.
    // slabs with room, most recently joined first
    Plain<W, UnitRecord<W>*> partial[Classes<W>::kCount];
    // where the bin's bump range lies; it stays with the heap as long as there may be one
    Plain<W, UnitRecord<W>*> bump_slab[Classes<W>::kCount];
    // records of the Large runs that were freed last (kept.hpp); the heap's thread alone
    Plain<W, UnitRecord<W>*> kept[W::kConfig.kept_places];
    // the longest run that is kept; 0 in empty_heap and exited_heap
    Plain<W, std::uint8_t> kept_units_max;
    Plain<W, std::uint32_t> keeps;  // runs that were kept so far
    Plain<W, std::uint64_t> flushed_ms;
    Plain<W, std::uint32_t> refills;
    Plain<W, std::uint32_t> visit_next;  // where the last round over the orphans ended

    // bytes to the profiler's next sample, 0: not drawn; the heap's thread alone
    Plain<W, std::int64_t> sample_left;

    // Slow-path counters, holder only; read by statistics as hints.
    Atomic<W, std::uint64_t> slab_opens, slab_releases, remote_drained, slabs_taken_over,
        refills_total;
    // how each of refills_total ended
    Atomic<W, std::uint64_t> refills_own, refills_others, refills_opened, refills_failed;
    // blocks that came back past the lists: from the heap's thread, and collected from others
    Atomic<W, std::uint64_t> frees_local, frees_remote;
    // Large blocks that came from a kept run; the pool counts the others
    Atomic<W, std::uint64_t> kept_taken;
    Atomic<W, std::uint64_t> slabs;  // slabs of this heap
    // bit c: partial[c] is not empty; a hint for visitors
    Atomic<W, std::uint64_t> partial_classes;

    // Any thread writes.
    alignas(2 * kCacheLine) Atomic<W, UnitRecord<W>*> pending;
    alignas(kCacheLine) Atomic<W, Token> token;
    // how often visitors looked since the thread's last refill
    Atomic<W, std::uint32_t> idle_looks;

    static_assert(Classes<W>::kCount <= 64);

    void reset_bins() {
        for (unsigned c = 0; c < Classes<W>::kCount; ++c) {
            bins[c].list.set(0);
            bins[c].bump.set(0);
            bins[c].bump_bytes.set(0);
            bins[c].room.set(Classes<W>::kShapes[c].bin_blocks);
        }
    }
};

// What a thread without a heap points at. Its bins are empty and have no room, and it owns no slab,
// so that every hit misses and every free is remote. `exited` stands in after the exit hook ran:
// such a thread borrows an orphan for each call and never gets a heap again.
template <World W>
inline constinit Heap<W> empty_heap{};
template <World W>
inline constinit Heap<W> exited_heap{};

template <World W>
HAK_INLINE bool has_heap(const Heap<W>* heap) {
    return heap != &empty_heap<W> && heap != &exited_heap<W>;
}

// Adds to a counter that only the holder writes: no read-modify-write is needed.
template <World W>
HAK_INLINE void bump_counter(Atomic<W, std::uint64_t>& counter, std::uint64_t by = 1) {
    // relaxed: one writer; readers want a hint
    counter.store(counter.load(order::relaxed) + by, order::relaxed);
}

}  // namespace hak
