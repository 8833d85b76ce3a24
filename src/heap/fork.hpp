// fork.hpp: fork at any moment, from any thread, and the child allocates at once.
//
// prepare ends visiting and takes every lock, so that the copy holds no half-changed shared state;
// the forking thread itself passes through the locks it holds (lock.hpp). In the child the other
// threads are gone: their heaps, OWNED or BUSY, are FROZEN, because plain fields may be
// half-changed. They are never drained, visited or adopted; frees into them are posted and stay.
// The leak is bounded by what those heaps held at fork, bins included. A poster may have vanished
// between setting queued and pushing the slab, so the pending lists of the heaps that live on are
// built anew from their slabs. Only superslabs that are divided into units are looked through: each
// of the others would cost a page of records that nobody ever read, which is a fault.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/hooks.hpp"
#include "sys/lock.hpp"

#include "mem/reclaim.hpp"
#include "mem/remote_list.hpp"

#include "heap/heaps.hpp"
#include "heap/lifecycle.hpp"

namespace hak {

template <World W>
void fork_prepare() {
    // The first lock makes forks of several threads take turns: libc calls their handlers at the
    // same time, and whoever is done first must not allow visiting while the other one copies the
    // process.
    start_lock<W>.acquire();
    heaps<W>.bar_visiting();
    heaps<W>.lock().acquire();
    reclaim<W>.lock().acquire();
    pool<W>.lock().acquire();
    Hooks<W>::before_fork();
    // relaxed: read by this thread alone
    forking_thread<W>.store(W::Pal::thread_id(), order::relaxed);
}

template <World W>
void fork_parent() {
    forking_thread<W>.store(0, order::relaxed);  // relaxed: as above
    Hooks<W>::after_fork_in_parent();
    pool<W>.lock().release();
    reclaim<W>.lock().release();
    heaps<W>.lock().release();
    heaps<W>.allow_visiting();
    start_lock<W>.release();
}

template <World W>
void fork_child() {
    forking_thread<W>.store(0, order::relaxed);  // relaxed: the child has one thread
    Hooks<W>::after_fork_in_child();
    pool<W>.lock().reset();
    reclaim<W>.lock().reset();
    heaps<W>.lock().reset();
    heaps<W>.forget_visitors();
    start_lock<W>.reset();
    if (!window<W>.is_open()) return;
    auto* const mine = static_cast<Heap<W>*>(W::current_heap());
    // counted anew: a thread may have vanished between its token and the count
    unsigned orphans = 0;
    for (unsigned i = 0; i < heaps<W>.count(); ++i) {
        Heap<W>& heap = heaps<W>.at(i);
        const Token token = heap.token.load(order::relaxed);
        // VISITED is met only where this thread found a fault in that heap and its crash handler
        // forks: it stays so, and nobody takes it.
        if ((token == Token::owned || token == Token::busy) && &heap != mine)
            heap.token.store(Token::frozen, order::relaxed);
        // relaxed, all of these: the child has one thread. A heap that had nothing posted is only
        // read: a write copies its page.
        if (heap.pending.load(order::relaxed) != nullptr)
            heap.pending.store(nullptr, order::relaxed);
        orphans += token == Token::orphan ? 1 : 0;
    }
    heaps<W>.set_orphans(orphans);
    pool<W>.for_each_units_slot([](std::uint32_t slot) {
        for (unsigned u = 0; u < W::kConfig.units_per_superslab; ++u) {
            UnitRecord<W>* const slab =
                window<W>.record(slot * std::size_t{W::kConfig.units_per_superslab} + u);
            Heap<W>* const owner = slab->owner.load(order::relaxed);
            if (owner == nullptr || window<W>.head_record(slab) != slab) continue;
            if ((slab->remote.load(order::relaxed) & kQueued) != 0)
                push_pending(owner->pending, slab);
        }
    });
}

}  // namespace hak
