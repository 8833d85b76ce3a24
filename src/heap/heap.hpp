// heap.hpp: what one thread has: the TLS singly linked lists, its slabs, its pending list, and the token that says who may touch them.
//
// A slab belongs to a Heap for as long as it holds blocks; a Heap is held through its token. Only the token's holder touches the
// plain fields of the heap and of its slabs. Heaps are type-stable: recycled, never unmapped, so that a late poster's push lands in
// a heap whatever became of its thread.
//
//   unborn -> OWNED (by a thread) -> ORPHAN (the thread exited) -> OWNED (adopted whole) | TENDED (for a moment, by any thread)
//   in a forked child: OWNED by a vanished thread -> FROZEN, for ever
//
// INV heap.1  at most one thread holds the token (OWNED or TENDED); plain fields are written by it alone
// INV heap.2  bin.room == bin_blocks - (length of bin.list), and the list is sealed (block.1)
// INV heap.3  [bin.bump, bin.bump + bin.bump_bytes) is a whole number of untouched blocks of one slab of this heap, counted as used in that slab
// INV heap.4  an ORPHAN's bins are empty: all its free blocks are in its slabs or on their remote lists
#pragma once

#include "mem/remote_list.hpp"
#include "mem/window.hpp"

namespace hak {

enum class Token : std::uint32_t { unborn = 0, owned, orphan, tended, frozen };

template <World W>
struct Heap {
    // One class of the TLS-SLL; a hit reads and writes this line and the block, nothing else of the heap.
    struct alignas(kCacheLine / 2) Bin {
        Plain<W, Address> list;       // sealed blocks, most recently freed first
        Plain<W, Address> bump;       // next untouched block
        Plain<W, std::size_t> bump_bytes;  // 0: the range is used up
        Plain<W, std::int32_t> room;  // how many more blocks the list takes before frees go to the slabs; may be negative
        Plain<W, bool> bump_zero;     // untouched blocks are known to be zero

        // Whether the address lies in the bump range, whose blocks nobody has.
        HAK_INLINE bool is_untouched(Address at) const { return at - bump.get() < bump_bytes.get(); }
    };

    // Written by frees of many classes; a slab leaves when it is full, joins when its first block comes back.
    Bin bins[Classes<W>::kCount];
    Plain<W, Slab<W>*> partial[Classes<W>::kCount];  // slabs with room, most recently joined first
    Plain<W, std::uint64_t> flushed_ms;
    Plain<W, std::uint32_t> refills;
    Plain<W, std::uint32_t> tend_next;               // where the last round over the orphans ended

    // Slow-path counters, holder only; read by statistics as hints.
    Atomic<W, std::uint64_t> slab_opens, slab_releases, remote_drained, slabs_tended, refills_total;
    Atomic<W, std::uint64_t> slabs;                  // slabs of this heap
    Atomic<W, std::uint64_t> partial_classes;        // bit c: partial[c] is not empty; a hint for tenders

    // Any thread writes.
    alignas(2 * kCacheLine) Atomic<W, Slab<W>*> pending;
    alignas(kCacheLine) Atomic<W, Token> token;

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

// What a thread without a heap points at. Its bins are empty and it owns no slab, so that every hit misses and every free is remote.
// `exited` stands in after the exit hook ran: such a thread borrows an orphan for each call and never gets a heap again.
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
    counter.store(counter.load(order::relaxed) + by, order::relaxed);  // relaxed: one writer; readers want a hint
}

}  // namespace hak
