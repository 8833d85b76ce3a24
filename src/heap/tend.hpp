// tend.hpp: the token of a heap, and what a thread does with the heaps of threads that are gone.
//
// A tender holds an orphan for a moment: it drains what was posted to it, gives its empty slabs to the pool, and takes over one slab
// that has room for the class it needs. From then on the slab is the tender's own, and so are frees into it.
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

// Makes a slab of `from` one of `to`; the caller holds both tokens, and the slab is on no list. False if a poster is just
// notifying `from` of it.
//
// The claim of the queued bit is what makes this sound: while it is ours nobody may push the slab onto a pending list, and a poster
// who sets it afterwards loads the owner after its CAS, which has read our drain() and so sees the new owner.
template <World W>
inline bool take_over(Heap<W>& to, Heap<W>& from, Slab<W>* slab) {
    if (!try_claim(*slab)) return false;
    for (unsigned u = 0; u < slab->units.get(); ++u) {
        slab[u].owner.store(&to, order::relaxed);  // relaxed: released by drain() to posters, and by let_go() to an adopter of `from`
    }
    from.slabs.store(from.slabs.load(order::relaxed) - 1, order::relaxed);  // relaxed: one writer each, readers want a hint
    bump_counter<W>(to.slabs);
    join_partial(to, slab, slab->size_class.load(order::relaxed));  // it had room, so it belongs there before more blocks come back
    give_back_chain(to, slab, drain(*slab));
    return true;
}

// Takes over the first slab of class c with room; false if there is none. The caller holds both tokens.
template <World W>
inline bool take_over_partial(Heap<W>& to, Heap<W>& from, SizeClass c) {
    for (Slab<W>* slab = from.partial[c].get(); slab != nullptr; slab = slab->next.get()) {
        // A slab that a poster is notifying of stays where it is.
        if ((slab->remote.load(order::relaxed) & kQueued) != 0) continue;  // relaxed: a guess; try_claim() decides
        leave_partial(from, slab, c);
        if (take_over(to, from, slab)) return true;
        join_partial(from, slab, c);
        return false;
    }
    return false;
}

// True if a slab of class c with room was taken over from an orphan, within the bounded number of visits.
template <World W>
HAK_COLD bool take_from_orphans(Heap<W>& heap, SizeClass c) {
    const unsigned count = heaps<W>.count();
    if (heaps<W>.orphans() == 0 || !heaps<W>.begin_tending()) return false;
    bool taken = false;
    unsigned i = heap.tend_next.get();
    // Looking is bounded as well as visiting: after a time of many threads most heaps have nothing to give.
    const unsigned looks = count < 4 * W::kConfig.tend_visits_max ? count : 4 * W::kConfig.tend_visits_max;
    for (unsigned seen = 0, visits = 0; seen < looks && visits < W::kConfig.tend_visits_max && !taken; ++seen) {
        if (i >= count) i = 0;
        Heap<W>& orphan = heaps<W>.at(i);
        const bool promising = (orphan.partial_classes.load(order::relaxed) >> c & 1) != 0 || has_pending(orphan);  // relaxed: a hint
        if (promising && try_take_token(orphan, Token::orphan, Token::tended)) {
            ++visits;
            if (has_pending(orphan)) collect_pending(orphan);
            taken = take_over_partial(heap, orphan, c);
            let_go(orphan, Token::orphan);
        }
        if (!taken) ++i;  // where a round ends well the next one begins
    }
    heaps<W>.end_tending();
    heap.tend_next.set(i);
    if (taken) bump_counter<W>(heap.slabs_tended);
    return taken;
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
