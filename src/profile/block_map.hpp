// block_map.hpp: which live blocks are samples: an open-addressing table from address to sample,
// bounded, in memory that is given to it. Its owner serializes all calls.
//
// INV block_map.1  from the home of a sample's address to its slot, no slot is free: a look-up that
//                  meets a free slot is over
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"
#include "base/types.hpp"

namespace hak::profile {

struct BlockSample {
    Address address;  // 0: the slot is free
    std::uint32_t stack;
    std::uint32_t site;
    std::size_t bytes;
    double weight;
    std::uint64_t born_ms;
    // of the block of a small class that it stands in for; 0: it is what was asked for
    std::size_t room = 0;
};

inline std::uint64_t hash_of(std::uint64_t x) {
    x = wrapping_mul(x ^ x >> 32, std::uint64_t{0x9e3779b97f4a7c15u});
    return x ^ x >> 29;
}

template <unsigned kLog2>
class BlockMap {
  public:
    static constexpr std::size_t kSlots = std::size_t{1} << kLog2;
    // Above this, chains would grow long.
    static constexpr std::size_t kSamplesMax = kSlots / 4 * 3;

    // False if there is no room. Precondition: no sample of that address is in the map.
    bool insert(const BlockSample& sample) {
        if (size_ >= kSamplesMax) return false;
        std::size_t i = home(sample.address);
        while (slots_[i].address != 0) i = next(i);
        slots_[i] = sample;
        size_ += 1;
        return true;
    }

    // Null if there is none.
    BlockSample* find(Address address) {
        BlockSample& found = slots_[slot_of(address)];
        return found.address == address ? &found : nullptr;
    }

    // False if there is none.
    bool remove(Address address, BlockSample& out) {
        std::size_t i = slot_of(address);
        if (slots_[i].address == 0) return false;
        out = slots_[i];
        // What follows moves up where its home lies at the hole or before it (Knuth 6.4, algorithm
        // R).
        for (std::size_t j = next(i); slots_[j].address != 0; j = next(j)) {
            const std::size_t from_home = wrapping_sub(j, home(slots_[j].address)) & (kSlots - 1),
                              from_hole = wrapping_sub(j, i) & (kSlots - 1);
            if (from_home < from_hole) continue;
            slots_[i] = slots_[j];
            i = j;
        }
        slots_[i].address = 0;
        size_ -= 1;
        return true;
    }

    std::size_t size() const { return size_; }

  private:
    static std::size_t home(Address address) { return hash_of(address) & (kSlots - 1); }
    static std::size_t next(std::size_t i) { return (i + 1) & (kSlots - 1); }
    // Where a sample of that address is, or the free slot that says that there is none.
    std::size_t slot_of(Address address) const {
        std::size_t i = home(address);
        while (slots_[i].address != address && slots_[i].address != 0) i = next(i);
        return i;
    }

    std::size_t size_;
    BlockSample slots_[kSlots];
};

}  // namespace hak::profile
