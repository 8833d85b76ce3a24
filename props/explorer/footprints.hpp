// footprints.hpp: which words threads really share. An operation on a word that one thread alone
// touches, or that nobody writes, disturbs nobody: it is executed at once, with no branch. That is
// learned while exploring: when a word turns out to be shared, the search begins again with what it
// has learned, so that the pass that ends was right about every word from its start.
//
// A short random run before each search learns most of it. What is learned later belongs to a
// witness, because digits count branches.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "props/explorer/memory.hpp"

namespace explorer {

class Footprints {
  public:
    enum class Verdict : std::uint8_t { own, shared, learned };

    // A new exploration.
    void begin() {
        for (const std::uint32_t flat : touched_) words_[flat] = 0;
        touched_.clear();
        late_.clear();
        start_.clear();
    }
    // From here on what is learned is late.
    void remember() {
        start_.clear();
        for (const std::uint32_t flat : touched_) start_.emplace_back(flat, words_[flat]);
        late_.clear();
    }
    // As at remember(), with these words known to be shared.
    void recall(const std::vector<std::uint32_t>& shared) {
        for (const std::uint32_t flat : touched_) words_[flat] = 0;
        touched_.clear();
        late_.clear();
        for (const auto& [flat, word] : start_) touch(flat) = word;
        for (const std::uint32_t flat : shared) {
            touch(flat) |= kShared;
            late_.push_back(flat);
        }
    }
    const std::vector<std::uint32_t>& late() const { return late_; }

    Verdict note(std::uint32_t flat, unsigned thread, bool writes) {
        const std::uint16_t now =
            static_cast<std::uint16_t>(words_[flat] | 1u << thread | (writes ? kWritten : 0));
        if (now == words_[flat]) [[likely]]
            return is_own(now) ? Verdict::own : Verdict::shared;
        std::uint16_t& word = touch(flat);
        const bool was_own = is_own(word);
        word = now;
        if (is_own(now)) return Verdict::own;
        if (!was_own) return Verdict::shared;
        word |= kShared;
        late_.push_back(flat);
        return Verdict::learned;
    }

  private:
    // A bit per thread that touched the word, and:
    static constexpr unsigned kWritten = 1u << 14, kShared = 1u << 15;

    static bool is_own(std::uint16_t word) {
        const unsigned threads = word & 0xffu;
        return (word & kShared) == 0 && ((threads & (threads - 1)) == 0 || (word & kWritten) == 0);
    }
    std::uint16_t& touch(std::uint32_t flat) {
        if (words_[flat] == 0) touched_.push_back(flat);
        return words_[flat];
    }

    std::vector<std::uint16_t> words_ = std::vector<std::uint16_t>(Memory::kFlatBytes);
    std::vector<std::uint32_t> touched_, late_;
    std::vector<std::pair<std::uint32_t, std::uint16_t>> start_;
};

}  // namespace explorer
