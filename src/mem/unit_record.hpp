// unit_record.hpp: the record of one unit in the unit table: who owns it, what it holds, and the
// remote word.
//
// A slab is one unit or several; the record of its first unit is the slab's, the others repeat what
// a free needs to read. Fields are grouped by writer. `owner`, `start`, `limit`, `inverse`,
// `shift`, `size_class` and `state` may be read by any thread at any time (a wild or double free
// reads them), so they are relaxed atomics; the rest of the first line is touched by the holder of
// the owner heap's token alone. The remote word has a line of its own, because other threads write
// it.
//
// INV slab.1   state == slab  =>  owner != null and the unit belongs to exactly one slab
// INV slab.2   used + free_count == limit, and limit + untouched == the class's capacity at this
//              place (used: with the client, in a bin, or on the remote list).
//              Blocks from limit on were never given out, and cannot be freed.
// INV slab.3   the free list holds free_count blocks of this slab, each once, closed (block.1)
// INV slab.4   the slab is on its owner's partial list of its class  <=>  free_count + untouched >
//              0
// INV slab.5   a slab is released only with used == 0 and remote == {null, not queued}
// INV slab.6   remote.queued  <=>  the slab is on its owner's pending list, or the thread that set
//                                  the bit is about to push it
#pragma once

#include <cstddef>
#include <cstdint>

#include "mem/block.hpp"  // IWYU pragma: export

namespace hak {

template <World W>
struct Heap;

// What a unit is, seen from an address. A Large or Big record stands at the block's first unit
// only. kept: a Large run that a heap keeps.
enum class UnitState : std::uint8_t { free = 0, slab, large, big, kept };

template <World W>
struct alignas(2 * kCacheLine) UnitRecord {
    // Any thread reads; written by the slab's opener and at release.
    Atomic<W, Heap<W>*> owner;
    Atomic<W, Address> start;  // first block; for Large and Big the block itself
    Atomic<W, std::uint32_t> inverse;
    // blocks that left the slab at least once, or are in a bump range: the first ones
    Atomic<W, std::uint16_t> limit;
    Atomic<W, std::uint8_t> shift;
    Atomic<W, std::uint8_t> size_class;

    // Holder of the owner's token only. Of a Large block `units` alone, and of a Large or Big one
    // `place` and `site`: they are its client's, who has the block from one that wrote them.
    Plain<W, Address> free_head;
    Plain<W, UnitRecord*> next;  // partial list of the owner, per class
    Plain<W, UnitRecord*> prev;
    Plain<W, std::uint16_t> used;
    Plain<W, std::uint16_t> free_count;
    Plain<W, std::uint16_t> untouched;  // blocks behind limit
    Plain<W, std::uint8_t> units;
    // whose freed run this one replaces (kept.hpp); not 0: `site` is said
    Plain<W, std::uint8_t> place;
    Atomic<W, UnitState> state;  // any thread reads
    Plain<W, bool> zero_tail;    // the untouched blocks are known to be zero

    // Any thread writes.
    alignas(kCacheLine) Atomic<W, Address> remote;  // head of the remote list | queued bit
    // written by the thread that set queued, read by the popper of the pending list
    Plain<W, UnitRecord*> pending_next;
    // who asked for a Large or Big block; here, so that what says no site touches the first line
    // alone
    Plain<W, Address> site;

    static constexpr std::uint32_t kNotABlock = UINT32_MAX;

    // Index of the block that starts at `p`; >= limit if none does. One multiplication: an offset
    // that is a multiple of 2^shift * odd becomes its quotient when multiplied by odd's inverse and
    // rotated; any other offset becomes a number above every quotient that fits (Granlund &
    // Montgomery, "Division by invariant integers using multiplication", 1994, section 9).
    HAK_WRAPS HAK_INLINE std::uint32_t index_of(Address p) const {
        const auto offset = static_cast<std::uint32_t>(p - start.load(order::relaxed));
        return std::rotr(offset * inverse.load(order::relaxed), shift.load(order::relaxed));
    }
    // Precondition: p lies in this slab's units.
    HAK_INLINE bool is_block_start(Address p) const {
        return index_of(p) < limit.load(order::relaxed);
    }
    // For any address at all, such as a link that may have been overwritten.
    HAK_WRAPS bool holds(Address p) const {
        return (p - start.load(order::relaxed)) >> 32 == 0 && is_block_start(p);
    }

    std::size_t block_bytes() const {
        return Classes<W>::block_bytes(size_class.load(order::relaxed));
    }
    Address block_address(std::uint32_t index) const {
        return start.load(order::relaxed) + index * block_bytes();
    }
    bool has_room() const { return free_count.get() + untouched.get() > 0; }

    // Moves the border between the blocks that may be out and the untouched ones behind; all units'
    // records repeat it.
    void set_limit(std::uint32_t blocks) {
        for (unsigned u = 0; u < units.get(); ++u) {
            // relaxed: whoever frees a block has it from somebody who got it after this; wild
            // pointers may see anything.
            this[u].limit.store(static_cast<std::uint16_t>(blocks), order::relaxed);
        }
    }
    // Takes all untouched blocks; they count as used. Returns the address of the first.
    Address take_untouched() {
        const std::uint32_t first = limit.load(order::relaxed), count = untouched.get();
        used.set(static_cast<std::uint16_t>(used.get() + count));
        untouched.set(0);
        set_limit(first + count);
        return block_address(first);
    }
    // Takes the last `count` blocks of a range that take_untouched() gave back.
    void give_untouched(std::uint32_t count, bool zero) {
        used.set(static_cast<std::uint16_t>(used.get() - count));
        untouched.set(static_cast<std::uint16_t>(count));
        zero_tail.set(zero);
        set_limit(limit.load(order::relaxed) - count);
    }

    // Puts a block that the holder has on the free list. Precondition: b is a block of this slab
    // that counts as used.
    void give(Block<W>* b, Address secret) {
        b->close(free_head.get(), secret);
        free_head.set(address_of(b));
        free_count.set(static_cast<std::uint16_t>(free_count.get() + 1));
        used.set(static_cast<std::uint16_t>(used.get() - 1));
    }

    // The same for a chain of `count` sealed blocks that ends with `last`.
    void give_chain(Address head, Block<W>* last, std::uint32_t count, Address secret) {
        last->close(free_head.get(), secret);
        free_head.set(head);
        free_count.set(static_cast<std::uint16_t>(free_count.get() + count));
        used.set(static_cast<std::uint16_t>(used.get() - count));
    }

    // Takes the whole free list; its blocks count as used from here on.
    Batch<W> take_free() {
        const Batch<W> batch{free_head.get(), free_count.get()};
        used.set(static_cast<std::uint16_t>(used.get() + batch.count));
        free_head.set(0);
        free_count.set(0);
        return batch;
    }
};

}  // namespace hak
