// slabs.hpp: a heap's own slabs: opened, joined to and removed from the partial lists, drained,
// released. Every function here needs the heap's token.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mem/reclaim.hpp"
#include "mem/remote_list.hpp"

#include "heap/heaps.hpp"

namespace hak {

template <World W>
inline void join_partial(Heap<W>& heap, UnitRecord<W>* slab, SizeClass c) {
    UnitRecord<W>* const first = heap.partial[c].get();
    slab->prev.set(nullptr);
    slab->next.set(first);
    if (first != nullptr) first->prev.set(slab);
    heap.partial[c].set(slab);
    // relaxed: a hint for visitors; only the holder writes it
    heap.partial_classes.store(heap.partial_classes.load(order::relaxed) | std::uint64_t{1} << c,
                               order::relaxed);
}

template <World W>
inline void leave_partial(Heap<W>& heap, UnitRecord<W>* slab, SizeClass c) {
    UnitRecord<W>* const next = slab->next.get();
    UnitRecord<W>* const prev = slab->prev.get();
    if (next != nullptr) next->prev.set(prev);
    if (prev != nullptr) {
        prev->next.set(next);
    } else {
        heap.partial[c].set(next);
        // relaxed: as in join_partial
        if (next == nullptr)
            heap.partial_classes.store(
                heap.partial_classes.load(order::relaxed) & ~(std::uint64_t{1} << c),
                order::relaxed);
    }
}

// A fresh slab of class c, all of it untouched, on no list. Null if there is no memory.
template <World W>
HAK_COLD UnitRecord<W>* open_slab(Heap<W>& heap, SizeClass c) {
    const Timed<W, Activity::refill_open> timed;
    const auto& shape = Classes<W>::kShapes[c];
    const FreshRun range = pool<W>.acquire_units(shape.units, Pool<W>::Use::slab);
    if (range.address == 0) return nullptr;
    const std::size_t unit = window<W>.unit_index(range.address);
    const auto capacity = static_cast<std::uint16_t>(Classes<W>::capacity(c, unit));
    UnitRecord<W>* const head = window<W>.record(unit);
    head->free_head.set(0);
    head->used.set(0);
    head->free_count.set(0);
    head->untouched.set(capacity);
    head->units.set(shape.units);
    head->zero_tail.set(range.zero);
    for (unsigned u = 0; u < shape.units; ++u) {
        UnitRecord<W>* const record = head + u;
        // relaxed, all of these: a thread that frees a block of this slab has the block from its
        // owner through the program's own synchronization, which orders these stores before; any
        // other reader has a wild pointer and may see anything.
        record->start.store(range.address + Classes<W>::start_offset(c, unit), order::relaxed);
        record->inverse.store(shape.inverse, order::relaxed);
        record->limit.store(0, order::relaxed);
        record->shift.store(shape.shift, order::relaxed);
        record->size_class.store(c, order::relaxed);
        record->state.store(UnitState::slab, order::relaxed);
        record->owner.store(&heap, order::relaxed);
    }
    bump_counter<W>(heap.slab_opens);
    bump_counter<W>(heap.slabs);
    return head;
}

// The one place where a slab ends. The slab is on no list of the heap.
template <World W>
HAK_COLD void release_slab(Heap<W>& heap, UnitRecord<W>* slab) {
    // Precondition list of a release (slab.5): nothing is out, nothing is posted, nobody is about
    // to push it.
    HAK_ASSERT(slab->used.get() == 0);
    // relaxed: used == 0 means no block is left that anybody could post
    HAK_ASSERT(slab->remote.load(order::relaxed) == 0);
    HAK_ASSERT(slab->owner.load(order::relaxed) == &heap);
    const unsigned units = slab->units.get();
    const Address address = align_down(slab->start.load(order::relaxed), W::kConfig.unit_bytes);
    for (unsigned u = 0; u < units; ++u) {
        // relaxed: no live block is left; a reader has a wild or stale pointer and is told so by
        // any of the values.
        slab[u].owner.store(nullptr, order::relaxed);
        slab[u].state.store(UnitState::free, order::relaxed);
    }
    bump_counter<W>(heap.slab_releases);
    heap.slabs.store(heap.slabs.load(order::relaxed) - 1, order::relaxed);  // relaxed: one writer
    pool<W>.release_units(address, units);
}

// Gives a block back to a slab of any heap, from any thread, and tells the owner. The caller's last
// access to block and slab.
template <World W>
HAK_INLINE void post_and_notify(UnitRecord<W>* slab, Block<W>* b, Address secret) {
    if (!post(*slab, b, secret)) return;
    // relaxed: while queued is set the owner does not change; a change before was acquired by the
    // CAS in post().
    push_pending(slab->owner.load(order::relaxed)->pending, slab);
}

// After blocks came back to a slab. The slab is released when it is empty, unless it is the class's
// last partial one: that one stays for the next refill, so that a single block allocated and freed
// in turn does not cross the pool.
template <World W>
HAK_INLINE void settle(Heap<W>& heap, UnitRecord<W>* slab, bool was_full) {
    // relaxed: written by the holder of the token, who calls this
    const SizeClass c = slab->size_class.load(order::relaxed);
    if (was_full) join_partial(heap, slab, c);
    if (slab->used.get() != 0) [[likely]]
        return;
    if (W::Sync::choose(Heuristic::keep_empty,
                        heap.partial[c].get() == slab && slab->next.get() == nullptr)) [[likely]]
        return;
    leave_partial(heap, slab, c);
    release_slab(heap, slab);
    reclaim<W>.tick();
}

// Gives one block back to a slab of this heap, in which it counts as used.
template <World W>
HAK_INLINE void give_back(Heap<W>& heap, UnitRecord<W>* slab, Block<W>* b) {
    const bool was_full = !slab->has_room();
    slab->give(b, window<W>.secret());
    settle(heap, slab, was_full);
}

// The same for a block of any heap's slab, which only the owner's holder may change.
template <World W>
HAK_INLINE void give_back_or_post(Heap<W>& heap, UnitRecord<W>* slab, Block<W>* b) {
    // relaxed: this heap's token is ours, so no slab leaves or joins it meanwhile.
    if (slab->owner.load(order::relaxed) == &heap) [[likely]]
        return give_back(heap, slab, b);
    post_and_notify(slab, b, window<W>.secret());
}

// Whether nobody has the block yet. Reads the bin where it may say so, which is its thread's alone:
// no visitor gives back to a bump_slab.
template <World W>
HAK_INLINE bool is_in_bump_range(const Heap<W>& heap, const UnitRecord<W>* slab, Address a) {
    const SizeClass c = slab->size_class.load(order::relaxed);  // relaxed: as in settle()
    return slab == heap.bump_slab[c].get() && heap.bins[c].is_untouched(a);
}

// What stands in a posted chain at `a` was never posted by the client that had it. Another thread
// cannot see how far a slab was handed out: its free of a block that nobody has is posted like any
// other, and is reported here. A visitor ends its visiting before: a crash handler that forks would
// wait for it for ever.
template <World W>
[[noreturn]] HAK_COLD void bad_posted_block(const Heap<W>& heap, const UnitRecord<W>* slab,
                                            Address a, bool is_visitor) {
    if (is_visitor) heaps<W>.end_visiting();
    // relaxed, here and below: written by the holder of the token, who calls this
    const SizeClass c = slab->size_class.load(order::relaxed);
    const std::size_t unit = window<W>.unit_index(slab->start.load(order::relaxed));
    const std::uint32_t index = (a - slab->start.load(order::relaxed)) >> 32 == 0
                                    ? slab->index_of(a)
                                    : UnitRecord<W>::kNotABlock;
    const bool is_untouched =
        is_in_bump_range(heap, slab, a) ||
        (index >= slab->limit.load(order::relaxed) && index < Classes<W>::capacity(c, unit));
    W::fault(is_untouched ? Fault::not_allocated : Fault::overwritten, Entry::free,
             pointer_to<void>(a));
}

// Gives a chain of sealed blocks of one slab back, as it is: only its last link changes. The walk
// follows no link before it knows that a sealed block of this slab lies there that was handed out,
// and is bounded by the blocks that are out, so that a cycle cannot hang us.
template <World W>
inline void give_back_chain(Heap<W>& heap, UnitRecord<W>* slab, Address head, bool is_visitor) {
    if (head == 0) return;
    const Address secret = window<W>.secret();
    std::uint32_t count = 0;
    Block<W>* last = nullptr;
    for (Address a = head; a != 0; a = last->link.get()) {
        last = block_at<W>(a);
        if (++count > slab->used.get() || !slab->holds(a) || is_in_bump_range(heap, slab, a) ||
            !last->is_closed(secret)) [[unlikely]]
            bad_posted_block(heap, slab, a, is_visitor);
    }
    const bool was_full = !slab->has_room();
    bump_counter<W>(heap.frees_remote, count);
    slab->give_chain(head, last, count, secret);
    settle(heap, slab, was_full);
}

// Takes what other threads posted to one slab, which was popped from the pending list.
template <World W>
inline void collect(Heap<W>& heap, UnitRecord<W>* slab, bool is_visitor) {
    const Timed<W, Activity::drain> timed;
    bump_counter<W>(heap.remote_drained);
    give_back_chain(heap, slab, drain(*slab), is_visitor);
}

// Takes what other threads posted to this heap's slabs.
template <World W>
HAK_COLD void collect_pending(Heap<W>& heap) {
    UnitRecord<W>* slab = pop_pending<W>(heap.pending);
    while (slab != nullptr) {
        // before drain() lets the next poster write it
        UnitRecord<W>* const next = slab->pending_next.get();
        collect(heap, slab, false);
        slab = next;
    }
}

template <World W>
HAK_INLINE bool has_pending(const Heap<W>& heap) {
    // relaxed: a hint; what is missed here is met at the next refill
    return heap.pending.load(order::relaxed) != nullptr;
}

// Releases the empty slabs that give_back() kept.
template <World W>
HAK_COLD void release_empty_slabs(Heap<W>& heap) {
    for (unsigned c = 0; c < Classes<W>::kCount; ++c) {
        for (UnitRecord<W>* slab = heap.partial[c].get(); slab != nullptr;) {
            UnitRecord<W>* const next = slab->next.get();
            if (slab->used.get() == 0) {
                leave_partial(heap, slab, static_cast<SizeClass>(c));
                release_slab(heap, slab);
            }
            slab = next;
        }
    }
}

}  // namespace hak
