// deallocate.hpp: the free story, top to bottom. Last: what each step costs between threads.
//
//   deallocate(heap, p)       a hit: seal the block, push it onto its list  thread_cache.hpp  plain
//     deallocate_to_slab      the list is full: the block goes to its slab  slabs.hpp         token
//     deallocate_foreign      another heap's slab:
//       keeps_foreign         while the class's list has room               here              plain
//       post, push_pending    else                                  remote_list.hpp   1 or 2 CASes
//     deallocate_above_small  Large or Big:
//       keep_at_once          this thread's next block of its length        large.hpp       one CAS
//       release_above_small   else                                          large.hpp   pool's lock
//     bad_block               no block starts here, or it is free already
//
// What is checked on a hit: the address lies in the window, its unit is a slab of this heap, a
// block starts there, and it is not sealed, that is, not free already. A hit calls nothing and
// needs no token; a miss is one tail jump.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/hooks.hpp"

#include "mem/pool_units.hpp"

#include "heap/large.hpp"
#include "heap/slabs.hpp"
#include "heap/thread_cache.hpp"
#include "heap/visit.hpp"

namespace hak {

// Why `p`, which lies in the window, is no live block's start. Small blocks lie at multiples of 16
// whatever their class.
template <World W>
[[noreturn]] HAK_COLD void bad_block(const void* p, Entry entry) {
    const Address a = address_of(p);
    if (a % kMinAlignment != 0) W::fault(Fault::misaligned, entry, p);
    const UnitRecord<W>* const record = window<W>.record_of(a);
    // relaxed, all of these: a diagnosis
    const UnitState state = record->state.load(order::relaxed);
    if (state == UnitState::kept && record->start.load(order::relaxed) == a)
        W::fault(Fault::double_free, entry, p);
    bool is_inside = state != UnitState::free;
    if (state == UnitState::slab) {
        const UnitRecord<W>* const slab = window<W>.head_record(record);
        const std::size_t unit = window<W>.unit_index(slab->start.load(order::relaxed));
        const std::uint32_t index = slab->index_of(a);
        // At a block's start, but of a block behind the limit.
        is_inside = index >= Classes<W>::capacity(slab->size_class.load(order::relaxed), unit);
    } else if (!is_inside) {
        is_inside = pool<W>.is_in_block(a);
    }
    W::fault(is_inside ? Fault::interior : Fault::not_allocated, entry, p);
}

template <World W>
HAK_NOINLINE void deallocate_run(Heap<W>* heap, UnitRecord<W>* record,
                                 void* p) noexcept(kNothrow<W>) {
    if constexpr (kProfiled<W>) {
        if (Hooks<W>::takes_call()) [[unlikely]]
            return Hooks<W>::deallocate_above_small(record, p);
    }
    W::Probe::on_event(Event::above_small_freed);
    // relaxed, both: a live block's record does not change
    const UnitState state = record->state.load(order::relaxed);
    if ((state != UnitState::large && state != UnitState::big) ||
        record->start.load(order::relaxed) != address_of(p)) {
        bad_block<W>(p, Entry::free);
    }
    if (!release_above_small(heap, record, state)) W::fault(Fault::double_free, Entry::free, p);
}

// Precondition: the unit that `record` describes is no slab.
template <World W>
HAK_NOINLINE void deallocate_above_small(Heap<W>* heap, UnitRecord<W>* record,
                                         void* p) noexcept(kNothrow<W>) {
    if (!keep_at_once(heap, record, p)) return deallocate_run(heap, record, p);
    W::Probe::on_event(Event::above_small_freed);
}

// A block of another heap's slab is handed out again here while this thread's list has room: it is
// in this processor's cache, and threads that live on others' blocks, as a successor does, need not
// meet their owners. A block smaller than a cache line goes home instead, or two threads would go
// on writing the same line. The lists of empty_heap have no room, so that a thread without a heap
// keeps nothing.
template <World W>
HAK_INLINE bool keeps_foreign(Heap<W>* heap, SizeClass c, Block<W>* b) {
    return W::Sync::choose(Heuristic::keep_foreign,
                           c >= Classes<W>::class_of_aligned(kCacheLine, kMinAlignment)) &&
           push<W>(heap->bins[c], b);
}

// Null, or an address outside the window.
template <World W>
HAK_NOINLINE void deallocate_nothing(void* p) noexcept(kNothrow<W>) {
    if (p != nullptr) [[unlikely]]
        W::fault(Fault::foreign, Entry::free, p);
    W::Probe::on_event(Event::null_freed);
}

// A block of another heap's slab; or no block at all, of whatever heap.
template <World W>
HAK_NOINLINE void deallocate_foreign(Heap<W>* heap, UnitRecord<W>* slab,
                                     void* p) noexcept(kNothrow<W>) {
    if (!slab->is_block_start(address_of(p))) [[unlikely]]
        bad_block<W>(p, Entry::free);
    const Address secret = window<W>.secret();
    Block<W>* const b = block_at<W>(address_of(p));
    if (b->is_closed(secret)) [[unlikely]]
        W::fault(Fault::double_free, Entry::free, p);
    // The hit refused it although it is not sealed: nobody has it. relaxed: as in deallocate()
    if (slab->owner.load(order::relaxed) == heap) [[unlikely]]
        W::fault(Fault::not_allocated, Entry::free, p);
    UnitRecord<W>* const head = window<W>.head_record(slab);
    W::Probe::on_retire(p, head->block_bytes());
    // relaxed: the block was out, so its slab keeps its class
    if (keeps_foreign(heap, slab->size_class.load(order::relaxed), b))
        return W::Probe::on_event(Event::kept);
    W::Probe::on_event(Event::posted);
    post_and_notify(head, b, secret);
}

// What deallocate_to_slab leaves: a visitor is at the heap, the slab changes its place in the
// lists, or it is not this heap's any more.
template <World W>
HAK_COLD void deallocate_to_changing_slab(Heap<W>* heap, UnitRecord<W>* slab, Block<W>* b,
                                          bool is_held) noexcept(kNothrow<W>) {
    if (!is_held) hold(*heap);
    bump_counter<W>(heap->frees_local);
    give_back_or_post(*heap, window<W>.head_record(slab), b);
    let_go(*heap, Token::owned);
}

// Precondition: the block is out.
template <World W>
HAK_NOINLINE void deallocate_to_slab(Heap<W>* heap, UnitRecord<W>* record,
                                     Block<W>* b) noexcept(kNothrow<W>) {
    const Timed<W, Activity::spill> timed;
    W::Probe::on_event(Event::to_slab);
    if (!try_hold(*heap)) [[unlikely]]
        return deallocate_to_changing_slab(heap, record, b, false);
    UnitRecord<W>* const slab = window<W>.head_record(record);
    // relaxed: this heap's token is ours, so no slab leaves or joins it meanwhile. Where a block is
    // free already, and another one out besides this, the slab stays on the partial list.
    const bool stays = slab->owner.load(order::relaxed) == heap && slab->free_count.get() != 0 &&
                       slab->used.get() != 1;
    if (!stays) [[unlikely]]
        return deallocate_to_changing_slab(heap, record, b, true);
    slab->give(b, window<W>.secret());
    bump_counter<W>(heap->frees_local);
    let_go(*heap, Token::owned);
}

// `p` may be null. Changes no errno.
template <World W>
HAK_INLINE void deallocate(Heap<W>* heap, void* p) {
    W::Probe::on_event(Event::free);
    const Address a = address_of(p);
    UnitRecord<W>* const slab = window<W>.find(a);
    if (slab == nullptr) [[unlikely]]
        return deallocate_nothing<W>(p);
    // relaxed: null or not cannot change while the block is live, and only this thread makes a slab
    // belong to this heap, so any other value, stale or not, says "not mine". A visitor may take
    // the slab away while we look or later: then the bin holds a block of somebody else's slab,
    // which is as good to hand out, and is posted when the bin is flushed.
    Heap<W>* const owner = slab->owner.load(order::relaxed);
    if (owner == heap && slab->is_block_start(a)) [[likely]] {
        // relaxed: written by this thread when it opened the slab
        const SizeClass c = slab->size_class.load(order::relaxed);
        Bin<W>& bin = heap->bins[c];
        Block<W>* const b = block_at<W>(a);
        if (is_out<W>(bin, b)) [[likely]] {
            W::Probe::on_retire(p, Classes<W>::block_bytes(c));
            if (push<W>(bin, b)) [[likely]]
                return W::Probe::on_event(Event::pushed);
            return deallocate_to_slab(heap, slab, b);
        }
    }
    if (owner == nullptr) return deallocate_above_small(heap, slab, p);
    return deallocate_foreign(heap, slab, p);
}

}  // namespace hak
