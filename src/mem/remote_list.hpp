// remote_list.hpp: blocks of a slab that threads other than its owner gave back, and the
// notification of the owner.
//
// The remote word is {head, queued}. Any thread posts a block with one CAS. The CAS that turns
// queued from 0 to 1 owes the owner one push of the slab onto its pending list; nobody else may
// push it until the popper of that list has cleared the bit. While the bit is set the slab keeps
// its owner; so the poster that set it loads the owner after its CAS, never before.
//
// INV remote.1  the list holds each posted, not yet drained block exactly once; they count as used
//               in the slab
// INV remote.2  between the CAS that sets queued and the exchange that clears it the slab is pushed
//               exactly once
// INV remote.3  the poster's last access to slab and block is the CAS, or the pending push if that
//               CAS set queued
// INV remote.4  the slab's owner changes, and the slab is released, only while queued is clear or
//               claimed by the changer
#pragma once

#include "mem/unit_record.hpp"  // IWYU pragma: export

namespace hak {

inline constexpr Address kQueued = 1;  // blocks are aligned to 16, so the bit is free

// True if the caller must now push the slab onto its owner's pending list.
template <World W>
[[nodiscard]] inline bool post(UnitRecord<W>& slab, Block<W>* b, Address secret) {
    typename W::Sync::Loop loop;
    // relaxed: the value is only a guess for the CAS; its blocks are not dereferenced.
    for (Address seen = slab.remote.load(order::relaxed);; loop.retry()) {
        b->close(seen & ~kQueued, secret);
        // release: the client's last writes to the block and its link are visible to whoever drains
        // it. The list may be extended by others before it is drained: their CAS continues the
        // release sequence. acquire: where this CAS sets queued it reads what drain() wrote, and so
        // comes after the popper's read of pending_next, which our push overwrites, and after a
        // change of the owner, which we load next.
        if (slab.remote.cas_weak(seen, address_of(b) | kQueued, order::acq_rel, order::relaxed))
            return (seen & kQueued) == 0;
    }
}

// Sets queued without posting, which makes the caller the one who may change the slab's owner;
// drain() ends it. False if the slab is queued already. Only the holder of the owner's token may
// call this.
template <World W>
[[nodiscard]] inline bool try_claim(UnitRecord<W>& slab) {
    typename W::Sync::Loop loop;
    // relaxed: a guess for the CAS
    for (Address seen = slab.remote.load(order::relaxed);; loop.retry()) {
        if ((seen & kQueued) != 0) return false;
        // relaxed: the claim publishes nothing and reads nothing; drain() acquires what was posted
        // and releases the change of owner.
        if (slab.remote.cas_weak(seen, seen | kQueued, order::relaxed, order::relaxed)) return true;
    }
}

// Pushes a slab whose queued bit the caller has just set. After this the caller must not touch the
// slab again.
template <World W>
inline void push_pending(Atomic<W, UnitRecord<W>*>& pending, UnitRecord<W>* slab) {
    typename W::Sync::Loop loop;
    // relaxed: a guess for the CAS, never dereferenced here
    for (UnitRecord<W>* head = pending.load(order::relaxed);; loop.retry()) {
        slab->pending_next.set(head);
        // release: pairs with pop_pending: the link is visible to the popper.
        if (pending.cas_weak(head, slab, order::release, order::relaxed)) return;
    }
}

// Takes the whole pending list. Only the holder of the heap's token may call this.
template <World W>
[[nodiscard]] inline UnitRecord<W>* pop_pending(Atomic<W, UnitRecord<W>*>& pending) {
    return pending.exchange(nullptr, order::acquire);  // acquire: pairs with push_pending
}

// Takes the slab that was pushed last, and leaves the others; null if there is none. Only the
// holder of the heap's token may call this: nobody else removes a slab, and none is pushed again
// before it was removed and drained, so the head that the CAS finds is still the one whose link was
// read.
template <World W>
[[nodiscard]] inline UnitRecord<W>* pop_one_pending(Atomic<W, UnitRecord<W>*>& pending) {
    typename W::Sync::Loop loop;
    for (;; loop.retry()) {
        // acquire: pairs with push_pending: the link is visible
        UnitRecord<W>* head = pending.load(order::acquire);
        if (head == nullptr) return nullptr;
        // relaxed: publishes nothing, and continues the release sequences of those who pushed the
        // slabs below.
        if (pending.cas_weak(head, head->pending_next.get(), order::relaxed, order::relaxed))
            return head;
    }
}

// Takes the remote list of a slab that was popped from the pending list and clears queued, in that
// order of meaning: the caller has read pending_next before.
template <World W>
[[nodiscard]] inline Address drain(UnitRecord<W>& slab) {
    // acquire: the posted blocks' contents and links. release: the caller's read of pending_next
    // comes before the next poster's push.
    return slab.remote.exchange(0, order::acq_rel) & ~kQueued;
}

}  // namespace hak
