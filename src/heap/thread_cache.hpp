// thread_cache.hpp: the free blocks that a thread holds, a bin for each class: pop, push, bump,
// flush. The hits of malloc and free are pop and push.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mem/window.hpp"

#include "heap/heap.hpp"  // IWYU pragma: export
#include "heap/kept.hpp"
#include "heap/slabs.hpp"

namespace hak {

template <World W>
using Bin = typename Heap<W>::Bin;

// The block that was freed last; null if the list is empty, or if its first block was overwritten:
// the slow path tells which.
template <World W>
HAK_INLINE Block<W>* pop(Bin<W>& bin) {
    const Address at = bin.list.get();
    if (at == 0) [[unlikely]]
        return nullptr;
    Block<W>* const b = block_at<W>(at);
    const Address link = b->link.get();
    if ((link ^ b->seal.get() ^ at) != window<W>.secret()) [[unlikely]]
        return nullptr;
    bin.list.set(link);
    bin.room.set(bin.room.get() + 1);
    b->open();
    return b;
}

// Whether the client may give this block back now: it was given out, and it is not free.
template <World W>
HAK_INLINE bool is_out(const Bin<W>& bin, const Block<W>* b) {
    return !b->is_closed(window<W>.secret()) && !bin.is_untouched(address_of(b));
}

// False, with nothing changed, if the list is full. Precondition: is_out(bin, b).
template <World W>
HAK_INLINE bool push(Bin<W>& bin, Block<W>* b) {
    const std::int32_t room = bin.room.get() - 1;
    // Where there is no room nothing may be added: a bin of empty_heap has none, and no owner.
    if (room < 0 || W::Sync::choose(Heuristic::bin_full, false)) [[unlikely]]
        return false;
    bin.room.set(room);
    b->close(bin.list.get(), window<W>.secret());
    bin.list.set(address_of(b));
    return true;
}

// Puts a batch of sealed blocks where the list is empty.
template <World W>
HAK_INLINE void fill(Bin<W>& bin, Batch<W> batch) {
    HAK_ASSERT(bin.list.get() == 0);
    bin.list.set(batch.head);
    bin.room.set(bin.room.get() - static_cast<std::int32_t>(batch.count));
}

// Next untouched block; null if the range is used up.
template <World W>
HAK_INLINE Block<W>* bump(Bin<W>& bin, SizeClass c) {
    const std::size_t left = bin.bump_bytes.get();
    if (left == 0) return nullptr;
    const Address at = bin.bump.get();
    bin.bump.set(at + Classes<W>::block_bytes(c));
    bin.bump_bytes.set(left - Classes<W>::block_bytes(c));
    Block<W>* const b = new_block_at<W>(at);
    W::Probe::on_carve(b);
    b->open();  // an earlier life of this memory may have left a seal that holds
    return b;
}

// Empties one bin into the slabs that its blocks came from. Most of them are this heap's; a block
// of a slab that a visitor took over since is posted, as any free of it would be. The untouched
// range goes back as it is. The caller holds the token.
template <World W>
HAK_COLD void flush_bin(Heap<W>& heap, SizeClass c) {
    Bin<W>& bin = heap.bins[c];
    if (const std::size_t untouched = bin.bump_bytes.get(); untouched != 0) {
        UnitRecord<W>* const slab = window<W>.head_record(window<W>.record_of(bin.bump.get()));
        const bool was_full = !slab->has_room();
        slab->give_untouched(static_cast<std::uint32_t>(untouched / Classes<W>::block_bytes(c)),
                             bin.bump_zero.get());
        bin.bump.set(0);
        bin.bump_bytes.set(0);
        if (was_full) join_partial(heap, slab, c);
    }
    heap.bump_slab[c].set(nullptr);
    const std::int32_t limit = Classes<W>::kShapes[c].bin_blocks;
    std::int32_t left = limit - bin.room.get();
    Address at = bin.list.get();
    bin.list.set(0);
    bin.room.set(limit);
    while (at != 0) {
        Block<W>* const b = block_at<W>(at);
        UnitRecord<W>* const record = window<W>.find(at);
        if (record == nullptr || left-- == 0 || !b->is_closed(window<W>.secret())) [[unlikely]] {
            W::fault(Fault::overwritten, Entry::allocate, b);
        }
        at = b->link.get();
        give_back_or_post(heap, window<W>.head_record(record), b);
    }
}

template <World W>
HAK_COLD void flush_all(Heap<W>& heap) {
    const Timed<W, Activity::spill> timed;
    for (unsigned c = 0; c < Classes<W>::kCount; ++c) flush_bin(heap, static_cast<SizeClass>(c));
    for (unsigned place = 0; place < W::kConfig.kept_places; ++place) release_kept(heap, place);
}

}  // namespace hak
