// clock.hpp: the two kinds of vector that order an execution. A Clock says how much of each
// thread's past has happened before; a View says, word by word, which message must not be read
// behind.
#pragma once

#include <cstdint>

namespace explorer {

inline constexpr unsigned kThreadsMax = 8;

// Per thread an epoch, which ends at each of its release operations: what a thread did in epoch e
// happened before whoever has seen e.
class Clock {
  public:
    std::uint16_t operator[](unsigned thread) const { return lanes_[thread]; }
    void set(unsigned thread, std::uint16_t epoch) { lanes_[thread] = epoch; }
    void join(const Clock& other) { lanes_ = lanes_ > other.lanes_ ? lanes_ : other.lanes_; }
    bool covers(const Clock& other) const {
        const auto ahead = reinterpret_cast<Halves>(other.lanes_ > lanes_);
        return (ahead[0] | ahead[1]) == 0;
    }
    // A thread whose epoch in `other` this clock has not seen; kThreadsMax if there is none.
    unsigned missing(const Clock& other) const {
        unsigned thread = 0;
        while (thread < kThreadsMax && other.lanes_[thread] <= lanes_[thread]) ++thread;
        return thread;
    }

  private:
    using Lanes [[gnu::vector_size(16)]] = std::uint16_t;
    using Halves [[gnu::vector_size(16)]] = std::uint64_t;
    static_assert(sizeof(Lanes) == kThreadsMax * sizeof(std::uint16_t));

    Lanes lanes_{};
};

// Per column a position in a modification order. Only words that were stored to have a column, so
// that views stay short; `parts` says how much of a view is in use.
class View {
  public:
    static constexpr unsigned kColumns = 256, kColumnsPerPart = 16,
                              kParts = kColumns / kColumnsPerPart;

    std::uint8_t operator[](unsigned column) const {
        return parts_[column / kColumnsPerPart][column % kColumnsPerPart];
    }
    void set(unsigned column, std::uint8_t position) {
        parts_[column / kColumnsPerPart][column % kColumnsPerPart] = position;
    }
    void raise(unsigned column, std::uint8_t position) {
        if (position > (*this)[column]) set(column, position);
    }
    void join(const View& other, unsigned parts) {
        for (unsigned i = 0; i < parts; ++i)
            parts_[i] = parts_[i] > other.parts_[i] ? parts_[i] : other.parts_[i];
    }
    void copy(const View& other, unsigned parts) {
        for (unsigned i = 0; i < parts; ++i) parts_[i] = other.parts_[i];
    }
    void clear(unsigned parts) {
        for (unsigned i = 0; i < parts; ++i) parts_[i] = Lanes{};
    }
    // A message was inserted: what lay at `position` or behind it lies one further on.
    void shift(unsigned column, std::uint8_t position) {
        const std::uint8_t seen = (*this)[column];
        if (seen >= position) set(column, static_cast<std::uint8_t>(seen + 1));
    }

  private:
    using Lanes [[gnu::vector_size(16)]] = std::uint8_t;

    Lanes parts_[kParts]{};
};

}  // namespace explorer
