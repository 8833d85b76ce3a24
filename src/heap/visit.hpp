// visit.hpp: the token of a heap, and what a thread does with the heaps of threads that are gone or
// do not call.
//
// A visitor holds another heap for a moment: it drains what was posted to it, gives its empty slabs
// to the pool, and takes over one slab that has room for the class it needs. From then on the slab
// is the visitor's own, and so are frees into it. The heap of a living thread is visited when that
// thread has been in no slow path for a while; its bins stay as they are, so it may go on with hits
// meanwhile.
#pragma once

#include <cstdint>

#include "mem/remote_list.hpp"

#include "heap/heaps.hpp"
#include "heap/slabs.hpp"
#include "heap/thread_cache.hpp"

namespace hak {

template <World W>
HAK_INLINE bool try_take_token(Heap<W>& heap, Token from, Token to) {
    // relaxed: a guess that saves the CAS on heaps which cannot be taken.
    if (heap.token.load(order::relaxed) != from) return false;
    // acquire: pairs with let_go(): the previous holder's writes to the heap and its slabs are
    // visible.
    return heap.token.cas_strong(from, to, order::acquire, order::relaxed);
}

// What the heap's thread sleeps on while it is visited. Atomic<T> has the size and the
// representation of T.
template <World W>
inline std::uint32_t* token_futex(Heap<W>& heap) {
    return pointer_to<std::uint32_t>(address_of(&heap.token));
}

// release, in both: pairs with try_take_token() and hold().
template <World W>
HAK_INLINE void let_go(Heap<W>& heap, Token to) {
    heap.token.store(to, order::release);
}
// The same for a visitor, for whom the heap's thread may wait. release: as in let_go().
template <World W>
inline void end_visit(Heap<W>& heap, Token to) {
    if (heap.token.exchange(to, order::release) == Token::awaited)
        W::Pal::wake_one(token_futex(heap));
}

// The heap is visited: its thread waits until that ends.
template <World W>
HAK_COLD void hold_after_visitor(Heap<W>& heap) {
    typename W::Sync::Loop loop;
    for (int spin = 0;; ++spin) {
        Token seen = Token::owned;
        // acquire: as in try_hold()
        if (heap.token.cas_strong(seen, Token::busy, order::acquire, order::relaxed)) return;
        if (spin < W::Sync::kSpins) {
            loop.wait();
            continue;
        }
        // relaxed: says only that somebody sleeps, so that the visitor wakes us.
        if (seen == Token::visited &&
            !heap.token.cas_strong(seen, Token::awaited, order::relaxed, order::relaxed))
            continue;
        W::Pal::sleep_while(token_futex(heap), static_cast<std::uint32_t>(Token::awaited));
    }
}

// The slow paths of a heap's own thread hold the token, because a visitor may come by.
// Precondition: the heap is the caller's, not held.
template <World W>
HAK_INLINE bool try_hold(Heap<W>& heap) {
    Token seen = Token::owned;
    if (swap_alone<W, Token>(heap.token, Token::owned, Token::busy)) return true;
    // acquire: pairs with end_visit(): the visitor's writes to the heap and its slabs are visible.
    return heap.token.cas_strong(seen, Token::busy, order::acquire, order::relaxed);
}
template <World W>
HAK_INLINE void hold(Heap<W>& heap) {
    if (!try_hold(heap)) [[unlikely]]
        hold_after_visitor(heap);
}

template <World W>
class Held {
  public:
    explicit Held(Heap<W>& heap) : heap_(heap) { hold(heap); }
    ~Held() { let_go(heap_, Token::owned); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

  private:
    Heap<W>& heap_;
};

// Everything goes to the slabs and what is empty to the pool; then the token is anybody's. The heap
// is the caller's, not held.
//
// Where threads come and go, the next one adopts the heap at once: then the empty slab that each
// class may keep saves it the way to the pool, and slabs that keep their class touch fewer pages
// than units that serve one class after another. housekeep() ends that.
template <World W>
HAK_COLD void abandon(Heap<W>& heap) {
    hold(heap);
    if (W::Sync::choose(Heuristic::collect, has_pending(heap))) collect_pending(heap);
    flush_all(heap);
    const bool keeps = heaps<W>.orphans() < W::kConfig.warm_orphans_max;
    if (!W::Sync::choose(Heuristic::keep_warm, keeps)) release_empty_slabs(heap);
    heaps<W>.note_orphan(1);
    let_go(heap, Token::orphan);
}

// Makes a slab of `from` one of `to`; the caller holds both tokens, and the slab is on no list.
// False if a poster is just notifying `from` of it.
//
// The claim of the queued bit is what makes this sound: while it is ours nobody may push the slab
// onto a pending list, and a poster who sets it afterwards loads the owner after its CAS, which has
// read our drain() and so sees the new owner.
template <World W>
inline bool take_over(Heap<W>& to, Heap<W>& from, UnitRecord<W>* slab) {
    if (!try_claim(*slab)) return false;
    for (unsigned u = 0; u < slab->units.get(); ++u) {
        // relaxed: released by drain() to posters, and by let_go() to an adopter of `from`
        slab[u].owner.store(&to, order::relaxed);
    }
    // relaxed: one writer each, readers want a hint
    from.slabs.store(from.slabs.load(order::relaxed) - 1, order::relaxed);
    bump_counter<W>(to.slabs);
    // It had room, so it belongs there before more blocks come back. relaxed: fixed
    // as long as it is a slab.
    join_partial(to, slab, slab->size_class.load(order::relaxed));
    give_back_chain(to, slab, drain(*slab), true);
    return true;
}

// Takes over the first slab of class c with room; false if there is none. The caller holds both
// tokens.
template <World W>
inline bool take_over_partial(Heap<W>& to, Heap<W>& from, SizeClass c) {
    for (UnitRecord<W>* slab = from.partial[c].get(); slab != nullptr; slab = slab->next.get()) {
        // A slab that a poster is notifying of stays where it is, and so does the one whose
        // untouched blocks the thread may have. relaxed: a guess; try_claim() decides
        if ((slab->remote.load(order::relaxed) & kQueued) != 0) continue;
        if (slab == from.bump_slab[c].get()) continue;
        leave_partial(from, slab, c);
        if (take_over(to, from, slab)) return true;
        join_partial(from, slab, c);
        return false;
    }
    return false;
}

// A thread that refills nothing while others look at its heap so often is taken to be away: asleep,
// preempted, or content with its bins. Proportional to the number of heaps, because each of their
// threads looks as often as it needs a slab.
template <World W>
inline bool is_idle(Heap<W>& heap, unsigned heap_count) {
    // relaxed, both: a heuristic, lost counts do no harm
    const std::uint32_t looks = heap.idle_looks.load(order::relaxed);
    if (W::Sync::choose(Heuristic::idle, looks >= W::kConfig.idle_looks_per_heap * heap_count))
        return true;
    heap.idle_looks.store(looks + 1, order::relaxed);
    return false;
}

// Whether a visit may find a slab of class c with room.
template <World W>
inline bool is_promising(const Heap<W>& heap, SizeClass c) {
    // relaxed: a hint
    const bool has_room = (heap.partial_classes.load(order::relaxed) >> c & 1) != 0;
    return W::Sync::choose(Heuristic::promising, has_room || has_pending(heap));
}

// What was posted to a heap that the caller visits, up to visit_slabs_max slabs, because the heap's
// thread may wait; returns how many. A slab whose untouched blocks that thread may have stays
// pending: only it can tell which of them were given out.
template <World W>
inline unsigned collect_as_visitor(Heap<W>& heap) {
    unsigned collected = 0;
    UnitRecord<W>* kept = nullptr;
    while (!W::Sync::choose(Heuristic::visited_enough, collected >= W::kConfig.visit_slabs_max)) {
        UnitRecord<W>* const slab = pop_one_pending<W>(heap.pending);
        if (slab == nullptr) break;
        // relaxed: written by a holder of the token
        if (slab == heap.bump_slab[slab->size_class.load(order::relaxed)].get()) {
            slab->pending_next.set(kept);
            kept = slab;
        } else {
            collect(heap, slab, true);
            ++collected;
        }
    }
    while (kept != nullptr) {
        UnitRecord<W>* const slab = kept;
        kept = slab->pending_next.get();
        push_pending(heap.pending, slab);
    }
    return collected;
}

// True if a slab of class c with room was taken over from a heap that is an orphan or idle, within
// the bounded number of visits.
template <World W>
HAK_COLD bool take_from_others(Heap<W>& heap, SizeClass c) {
    const Timed<W, Activity::refill_others> timed;
    const unsigned count = heaps<W>.count();
    if (count == 1 || !heaps<W>.begin_visiting()) return false;
    bool taken = false;
    unsigned i = heap.visit_next.get();
    // Looking is bounded as well as visiting: after a time of many threads most heaps have nothing
    // to give.
    const unsigned looks = count < 4 * W::kConfig.visits_max ? count : 4 * W::kConfig.visits_max;
    for (unsigned seen = 0, visits = 0; seen < looks && !taken; ++seen) {
        if (W::Sync::choose(Heuristic::visited_enough, visits >= W::kConfig.visits_max)) break;
        if (i >= count) i = 0;
        Heap<W>& other = heaps<W>.at(i);
        // relaxed, both: a guess for the CAS, and a hint
        const Token was = other.token.load(order::relaxed);
        const bool can_visit = was == Token::orphan || was == Token::owned;
        if (can_visit && is_promising(other, c) &&
            (was == Token::orphan || is_idle(other, count)) &&
            try_take_token(other, was, Token::visited)) {
            ++visits;
            collect_as_visitor(other);
            taken = take_over_partial(heap, other, c);
            // relaxed: a heuristic; what is left is not worth another visit soon
            if (!taken) other.idle_looks.store(0, order::relaxed);
            end_visit(other, was);
        }
        if (!taken) ++i;  // where a round ends well the next one begins
    }
    heaps<W>.end_visiting();
    heap.visit_next.set(i);
    if (taken) bump_counter<W>(heap.slabs_taken_over);
    return taken;
}

// Drains every heap that has no thread, or whose thread is in no slow path, and releases its empty
// slabs.
template <World W>
HAK_COLD void visit_all(bool living_too) {
    if (!heaps<W>.begin_visiting()) return;
    const unsigned count = heaps<W>.count();
    for (unsigned i = 0; i < count; ++i) {
        Heap<W>& other = heaps<W>.at(i);
        // In several visits if there is much, so that the heap's thread can go on in between; no
        // more of them than its slabs can make. relaxed: a hint
        unsigned left = 1 + static_cast<unsigned>(other.slabs.load(order::relaxed)) /
                                W::kConfig.visit_slabs_max;
        for (bool more = true; more && left != 0; --left) {
            const Token was = other.token.load(order::relaxed);  // relaxed: a guess for the CAS
            const bool can_visit = was == Token::orphan || (living_too && was == Token::owned);
            if (!can_visit || !try_take_token(other, was, Token::visited)) break;
            more = collect_as_visitor(other) != 0 && has_pending(other);
            release_empty_slabs(other);
            end_visit(other, was);
        }
    }
    heaps<W>.end_visiting();
}

}  // namespace hak
