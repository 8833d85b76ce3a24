// quarantine.hpp: freed blocks wait here, oldest first, so that a use after free meets kFreedByte
// and not another client's data.
//
// Its lock comes before all others (sys/lock_rank.hpp). No block returns to the heap, or shrinks
// where it is, but through here or with the lock held: whoever holds it may read every block that
// was live since.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/types.hpp"

#include "sys/lock.hpp"
#include "sys/world.hpp"

#include "checked/block_table.hpp"

namespace hak {

template <World W>
class Quarantine {
  public:
    constexpr Quarantine() = default;

    // Returns the block that had to make room, 0 if there was room.
    Address put(Address client) {
        LockGuard<W> guard(lock_);
        const Address oldest = count_ == kPlaces ? take_oldest() : 0;
        ring_[(first_ + count_) % kPlaces] = client;
        count_ += 1;
        bytes_ += block_table<W>.read(client).bytes();
        return oldest;
    }
    // The oldest block if all together have more than `bytes_max` bytes, else 0.
    Address take_above(std::size_t bytes_max) {
        LockGuard<W> guard(lock_);
        return bytes_ > bytes_max ? take_oldest() : 0;
    }
    // The oldest block, 0 if there is none.
    Address take() {
        LockGuard<W> guard(lock_);
        return count_ == 0 ? 0 : take_oldest();
    }
    // Precondition: the caller holds the lock.
    template <class F>
    void for_each(F&& f) const {
        for (std::uint32_t i = 0; i < count_; ++i) f(ring_[(first_ + i) % kPlaces]);
    }
    Lock<W>& lock() { return lock_; }

  private:
    static constexpr std::uint32_t kPlaces = 4096;

    Address take_oldest() {
        const Address client = ring_[first_];
        first_ = (first_ + 1) % kPlaces;
        count_ -= 1;
        bytes_ -= block_table<W>.read(client).bytes();
        return client;
    }

    Lock<W> lock_{};
    Address ring_[kPlaces]{};
    std::uint32_t first_ = 0, count_ = 0;
    std::size_t bytes_ = 0;
};

template <World W>
inline constinit Quarantine<W> quarantine{};

}  // namespace hak
