// tend.hpp: the token of a heap, and what a thread does with the heaps of threads that are gone.
//
// A tender holds an orphan for a moment: it drains what was posted to it, takes a batch of blocks that it needs, and lets go.
// The blocks stay blocks of the orphan's slabs: when they are freed they are posted there. Empty slabs go to the pool on the way.
#pragma once

#include "heap/heaps.hpp"
#include "heap/thread_cache.hpp"

namespace hak {

template <World W>
HAK_INLINE bool try_take_token(Heap<W>& heap, Token from, Token to) {
    // relaxed: a guess that saves the CAS on heaps which cannot be taken.
    if (heap.token.load(order::relaxed) != from) return false;
    // acquire: pairs with let_go(): the previous holder's writes to the heap and its slabs are visible.
    return heap.token.cas_strong(from, to, order::acquire, order::relaxed);
}

template <World W>
HAK_INLINE void let_go(Heap<W>& heap, Token to) {
    heap.token.store(to, order::release);  // release: pairs with try_take_token()
}

// Everything goes to the slabs and what is empty to the pool; then the token is anybody's. The caller holds the token.
template <World W>
HAK_COLD void abandon(Heap<W>& heap) {
    if (has_pending(heap)) collect_pending(heap);
    flush_all(heap);
    release_empty_slabs(heap);
    heaps<W>.note_orphan(1);
    let_go(heap, Token::orphan);
}

// A thread that was born before its predecessor died finds that one's heap as an orphan: moving to it makes the predecessor's
// blocks local. Pays where the orphan has more to offer than the thread's own heap; null if none has.
template <World W>
HAK_COLD Heap<W>* move_to_orphan(Heap<W>& heap) {
    const std::uint64_t own = heap.slabs.load(order::relaxed);  // relaxed: our own counter
    const unsigned count = heaps<W>.count();
    unsigned visits = 0;
    for (unsigned i = 0; i < count && visits < W::kConfig.tend_visits_max; ++i) {
        Heap<W>& orphan = heaps<W>.at(i);
        if (orphan.slabs.load(order::relaxed) <= 2 * own) continue;  // relaxed: a hint
        if (!try_take_token(orphan, Token::orphan, Token::owned)) {
            visits += 1;
            continue;
        }
        heaps<W>.note_orphan(-1);
        W::set_current_heap(&orphan);
        abandon(heap);
        return &orphan;
    }
    return nullptr;
}

// Up to a bin's worth of blocks of class c from a heap whose token the caller holds.
template <World W>
Batch<W> take_batch(Heap<W>& heap, SizeClass c) {
    Slab<W>* const slab = heap.partial[c].get();
    if (slab == nullptr) return {};
    if (slab->free_count.get() == 0) slab->carve(Classes<W>::kShapes[c].bin_blocks, window<W>.secret());
    const Batch<W> batch = slab->take_free();
    if (!slab->has_room()) leave_partial(heap, slab, c);
    return batch;
}

// A batch of class c from some orphan; empty if none was found within the bounded number of visits. `heap` is the caller's.
template <World W>
HAK_COLD Batch<W> take_from_orphans(Heap<W>& heap, SizeClass c) {
    const unsigned count = heaps<W>.count();
    if (heaps<W>.orphans() == 0 || !heaps<W>.begin_tending()) return {};
    Batch<W> batch;
    unsigned i = heap.tend_next.get();
    for (unsigned seen = 0, visits = 0; seen < count && visits < W::kConfig.tend_visits_max && batch.count == 0; ++seen) {
        i = i + 1 < count ? i + 1 : 0;
        Heap<W>& orphan = heaps<W>.at(i);
        const bool promising = (orphan.partial_classes.load(order::relaxed) >> c & 1) != 0 || has_pending(orphan);  // relaxed: a hint
        if (!promising || !try_take_token(orphan, Token::orphan, Token::tended)) continue;
        ++visits;
        if (has_pending(orphan)) collect_pending(orphan);
        batch = take_batch(orphan, c);
        let_go(orphan, Token::orphan);
    }
    heaps<W>.end_tending();
    // Where this round ended well the next one begins with the same orphan.
    if (batch.count != 0) {
        i = i == 0 ? count - 1 : i - 1;
        bump_counter<W>(heap.batches_tended);
    }
    heap.tend_next.set(i);
    return batch;
}

// Drains every orphan and releases its empty slabs.
template <World W>
HAK_COLD void tend_all_orphans() {
    if (!heaps<W>.begin_tending()) return;
    const unsigned count = heaps<W>.count();
    for (unsigned i = 0; i < count; ++i) {
        Heap<W>& orphan = heaps<W>.at(i);
        if (!try_take_token(orphan, Token::orphan, Token::tended)) continue;
        if (has_pending(orphan)) collect_pending(orphan);
        release_empty_slabs(orphan);
        let_go(orphan, Token::orphan);
    }
    heaps<W>.end_tending();
}

}  // namespace hak
