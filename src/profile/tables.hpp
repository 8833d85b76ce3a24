// tables.hpp: what a profile adds up, by call stack and by call site. Rows are added and never
// removed, up to a bound; what finds no room is counted in row 0, so that sums over all rows stay
// right. All zeros is a table without rows. The owner serializes all calls.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"
#include "base/types.hpp"

namespace hak::profile {

inline constexpr unsigned kFramesMax = 30;
inline constexpr unsigned kBuckets = 48;

// Estimates: each sample counts with its weight.
struct Totals {
    std::uint64_t samples;
    double allocations, bytes;
    double frees, freed_bytes;
    double lifetime_ms;  // of what was freed, sum

    double live() const { return allocations - frees; }
    double live_bytes() const { return bytes - freed_bytes; }
    void add(std::size_t size, double weight) {
        samples += 1;
        allocations += weight;
        bytes += weight * static_cast<double>(size);
    }
    void remove(std::size_t size, double weight, std::uint64_t age_ms) {
        frees += weight;
        freed_bytes += weight * static_cast<double>(size);
        lifetime_ms += weight * static_cast<double>(age_ms);
    }
    // Neither a block more nor one less.
    void resize(std::size_t from, std::size_t to, double weight) {
        (to > from ? bytes : freed_bytes) +=
            weight * static_cast<double>(to > from ? to - from : from - to);
    }
};

struct Stack {
    std::uint64_t hash;
    std::uint32_t depth;
    Address frames[kFramesMax];  // return addresses, the innermost first
    Totals totals;

    bool is(std::uint64_t h, const Address* given, std::uint32_t n) const {
        if (hash != h || depth != n) return false;
        for (std::uint32_t i = 0; i < n; ++i) {
            if (frames[i] != given[i]) return false;
        }
        return true;
    }
};

// Bucket b of a number: 0 for 0, else the numbers from 2^(b-1) to 2^b - 1.
constexpr unsigned bucket_of(std::uint64_t x) {
    const unsigned b = x == 0 ? 0 : log2_floor(x) + 1;
    return b < kBuckets ? b : kBuckets - 1;
}

struct SiteRow {
    Address site;
    Totals totals;
    double sizes[kBuckets];         // allocations by bytes
    double lifetimes_ms[kBuckets];  // frees by age
};

template <class Row, unsigned kLog2>
class RowTable {
  public:
    static constexpr std::uint32_t kRows = std::uint32_t{1} << kLog2;

    // The row for which `is_it` holds; a new one, which `fill` completes, if there is none; row 0
    // if there is no room.
    template <class Is, class Fill>
    std::uint32_t find_or_add(std::uint64_t hash, const Is& is_it, const Fill& fill) {
        std::size_t i = hash & (kIndices - 1);
        for (; index_[i] != 0; i = (i + 1) & (kIndices - 1)) {
            if (is_it(rows_[index_[i]])) return index_[i];
        }
        if (used_ + 1 == kRows) {
            overflowed_ += 1;
            return 0;
        }
        used_ += 1;
        index_[i] = used_;
        fill(rows_[used_]);
        return used_;
    }

    Row& at(std::uint32_t i) { return rows_[i]; }
    // Rows [0, count()) exist; row 0 is for what found no room.
    std::uint32_t count() const { return used_ + 1; }
    std::uint64_t overflowed() const { return overflowed_; }

  private:
    static constexpr std::size_t kIndices = std::size_t{2} << kLog2;

    std::uint64_t overflowed_;
    std::uint32_t used_;
    std::uint32_t index_[kIndices];  // 0: free
    Row rows_[kRows];
};

}  // namespace hak::profile
