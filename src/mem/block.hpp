// block.hpp: what stands in a free block: a link to the next free block and a seal over it.
//
// INV block.1  a free block b on any list holds link and seal with  link ^ seal ^ address(b) ==
//              secret
// INV block.2  a block in the client's hands was handed out with seal == 0, so that INV block.1
//              does not hold for it by accident
//
// The seal shows three faults for the price of one load and two xors: a write after free or an
// overflow into a free block (checked before a link is ever followed), and a double free (INV
// block.1 holds already when the block comes back).
#pragma once

#include <cstdint>
#include <new>  // IWYU pragma: keep

#include "sys/world.hpp"  // IWYU pragma: export

namespace hak {

template <World W>
struct Block {
    using Word = typename W::Probe::template Word<Plain<W, Address>>;

    Word link;
    Word seal;

    HAK_INLINE void close(Address next, Address secret) {
        link.set(next);
        seal.set(next ^ address_of(this) ^ secret);
    }
    HAK_INLINE bool is_closed(Address secret) const {
        return (link.get() ^ seal.get() ^ address_of(this)) == secret;
    }
    HAK_INLINE void open() { seal.set(0); }
};

// A run of closed blocks that ends with link 0. Only the holder of the slab or of the cache that it
// came from touches it.
template <World W>
struct Batch {
    Address head = 0;
    std::uint32_t count = 0;
};

template <World W>
HAK_INLINE Block<W>* block_at(Address address) {
    return pointer_to<Block<W>>(address);
}

// Freshly carved memory holds bytes of an earlier life; a model checker must see new words begin
// here.
template <World W>
HAK_INLINE Block<W>* new_block_at(Address address) {
    return ::new (pointer_to<void>(address)) Block<W>;
}

}  // namespace hak
