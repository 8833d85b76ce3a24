// size_distribution.hpp: which sizes a window's blocks had, by powers of two.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"

namespace hak::policy {

class SizeDistribution {
  public:
    void add(std::size_t bytes) {
        const unsigned power = log2_floor(bytes | 1);
        const unsigned bucket = power < kFirstPower ? 0 : power - kFirstPower;
        counts_[bucket < kBuckets ? bucket : kBuckets - 1] += 1;
        total_ += 1;
    }
    std::uint64_t total() const { return total_; }

    // Total variation distance: 0 for the same shares, 1 for sizes that have nothing in common. 0
    // if either is empty.
    double distance(const SizeDistribution& other) const {
        if (total_ == 0 || other.total_ == 0) return 0;
        double sum = 0;
        for (unsigned i = 0; i < kBuckets; ++i) {
            const double difference = share(i) - other.share(i);
            sum += difference < 0 ? -difference : difference;
        }
        return sum / 2;
    }

  private:
    static constexpr unsigned kFirstPower = 15, kBuckets = 14;  // up to 64 KiB, ... from 256 MiB on

    double share(unsigned i) const {
        return static_cast<double>(counts_[i]) / static_cast<double>(total_);
    }

    std::uint64_t counts_[kBuckets]{};
    std::uint64_t total_ = 0;
};

}  // namespace hak::policy
