// canonical.hpp: search over digit strings. An execution is the sequence of its decisions, a digit
// each, where several things were possible; 0 is the plain one. Digits mean the same whatever
// search found them, so this one replays witnesses, enumerates executions by the number of digits
// that are not zero (which shrinks witnesses), and is the naive search that the reduction is
// compared with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "props/explorer/search.hpp"

namespace explorer {

using Digits = std::vector<std::uint8_t>;

// 0-9, a-y; z stands for 35 more. Zeros at the end are left out.
std::string to_text(const Digits& digits);
bool parse_digits(std::string_view text, Digits& digits);

class Canonical final : public Search {
  public:
    static constexpr unsigned kNoBound = ~0u;

    // Every execution with at most `bound` digits that are not zero.
    explicit Canonical(unsigned bound) : bound_(bound) { path_.reserve(4096); }
    // One execution: the digits, and zeros behind them.
    explicit Canonical(const Digits& replay);

    void begin_execution() override;
    unsigned pick_thread(const Situation& situation) override {
        return situation.at_rank(pick(situation.count(), Choice::user));
    }
    unsigned pick_message(const Candidates& candidates) override {
        return pick(candidates.count, Choice::message);
    }
    unsigned pick(unsigned n, Choice choice) override;
    void executed(unsigned, const Op&, const Situation&) override {}
    bool next() override;
    bool restart() override {
        if (!replays_) path_.clear();
        return true;
    }
    bool was_bounded() const override { return was_bounded_; }

  private:
    struct Digit {
        std::uint8_t value, count;
    };

    unsigned bound_;
    bool replays_ = false, was_bounded_ = false;
    std::vector<Digit> path_;
    std::size_t depth_ = 0;
};

}  // namespace explorer
