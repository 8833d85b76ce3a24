// deallocate.hpp: the free story, top to bottom.
//
//   deallocate(heap, p)           a hit: seal the block and push it onto the class's list         thread_cache.hpp  plain
//     deallocate_overflow         the list is full: the block goes to its slab                    slabs.hpp         plain
//     deallocate_elsewhere        not a block of this heap:
//       post, push_pending        another heap's slab                                             remote_list.hpp   one CAS, or two
//       release_above_small       Large or Big                                                    large.hpp         pool's lock
//       fault                     no block starts here
//
// What is checked on a hit: the address lies in the window, its unit is a slab of this heap, a block starts there, and it is not
// sealed, that is, not free already.
#pragma once

#include "heap/allocate.hpp"

namespace hak {

// Why `p`, which lies in the window, is no live block of a slab. Small blocks lie at multiples of 16 whatever their class.
template <World W>
[[noreturn]] HAK_COLD void bad_block(const void* p, Entry entry) {
    const Address a = address_of(p);
    if (a % kMinAlignment != 0) W::fault(Fault::misaligned, entry, p);
    const UnitState state = window<W>.slab_of(a)->state.load(order::relaxed);  // relaxed: a diagnosis
    W::fault(state == UnitState::free ? Fault::not_allocated : Fault::interior, entry, p);
}

template <World W>
HAK_COLD void deallocate_overflow(Heap<W>* heap, Slab<W>* slab, Block<W>* b) {
    Slab<W>* const head = window<W>.head_record(slab);
    give_back(*heap, head, b);
}

template <World W>
HAK_NOINLINE void deallocate_elsewhere(Slab<W>* slab, void* p) {
    const Address a = address_of(p);
    Heap<W>* const owner = slab->owner.load(order::relaxed);  // relaxed: a live block's slab does not change hands
    if (owner == nullptr) {
        const UnitState state = slab->state.load(order::relaxed);  // relaxed: as above
        if ((state != UnitState::large && state != UnitState::big) || slab->start.load(order::relaxed) != a) bad_block<W>(p, Entry::free);
        if (!release_above_small(slab, state)) W::fault(Fault::double_free, Entry::free, p);
        return;
    }
    if (!slab->is_block_start(a)) [[unlikely]] bad_block<W>(p, Entry::free);
    Block<W>* const b = block_at<W>(a);
    if (b->is_closed(window<W>.secret())) [[unlikely]] W::fault(Fault::double_free, Entry::free, p);
    Slab<W>* const head = window<W>.head_record(slab);
    W::Probe::on_retire(p, head->block_bytes());
    if (post(*head, b, window<W>.secret())) push_pending(owner->pending, head);
}

template <World W>
HAK_COLD void deallocate_outside(void* p) {
    if (p != nullptr) W::fault(Fault::foreign, Entry::free, p);
}

// `p` may be null. Changes no errno.
template <World W>
HAK_INLINE void deallocate(Heap<W>* heap, void* p) {
    const Address a = address_of(p);
    if (!window<W>.contains(a)) [[unlikely]] return deallocate_outside<W>(p);
    Slab<W>* const slab = window<W>.slab_of(a);
    // relaxed: only this thread makes a slab belong to this heap; any other value, stale or not, says "not mine".
    if (slab->owner.load(order::relaxed) != heap) [[unlikely]] return deallocate_elsewhere(slab, p);
    if (!slab->is_block_start(a)) [[unlikely]] bad_block<W>(p, Entry::free);
    Block<W>* const b = block_at<W>(a);
    if (b->is_closed(window<W>.secret())) [[unlikely]] W::fault(Fault::double_free, Entry::free, p);
    const SizeClass c = slab->size_class.load(order::relaxed);  // relaxed: written by this thread when it opened the slab
    W::Probe::on_retire(p, Classes<W>::block_bytes(c));
    Bin<W>& bin = heap->bins[c];
    const std::int32_t room = bin.room.get() - 1;
    if (room < 0) [[unlikely]] return deallocate_overflow(heap, slab, b);
    bin.room.set(room);
    push<W>(bin, b);
}

}  // namespace hak
