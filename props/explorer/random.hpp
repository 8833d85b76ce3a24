// random.hpp: random search for what is too large to exhaust. Which thread goes on is decided by
// one of three strategies; a value is the plain one half of the time, so that staleness is a
// dimension of its own beside the schedule.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "props/explorer/search.hpp"

namespace explorer {

// xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64.
class Generator {
  public:
    void seed(std::uint64_t seed) {
        for (std::uint64_t& word : state_) {
            seed += 0x9e3779b97f4a7c15u;
            std::uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            word = z ^ z >> 31;
        }
    }
    std::uint64_t next() {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9, shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }
    unsigned below(unsigned n) { return static_cast<unsigned>((next() >> 32) * n >> 32); }
    bool one_in(unsigned n) { return below(n) == 0; }

  private:
    std::array<std::uint64_t, 4> state_{};
};

class Random final : public Search {
  public:
    explicit Random(const Options& options)
        : mode_(options.mode), seed_(options.seed), depth_(options.pct_depth) {}

    void begin_execution() override {
        generator_.seed(seed_ + execution_ * 0x2545f4914f6cdd1du);
        for (std::uint64_t& p : priority_) p = generator_.next() | kHigh;
        changes_ = 0;
        for (unsigned i = 1; i < depth_ && i <= change_.size(); ++i)
            change_[changes_++] = 1 + generator_.below(longest_);
    }

    unsigned pick_thread(const Situation& s) override {
        longest_ = std::max(longest_, s.step);
        if (mode_ == Mode::uniform) return s.at_rank(generator_.below(s.count()));
        unsigned best = highest(s);
        if (mode_ == Mode::pct) {
            // PCT (Burckhardt et al., ASPLOS 2010): at each of the change points whoever would run
            // falls behind everybody else.
            for (unsigned i = 0; i < changes_; ++i) {
                if (change_[i] != s.step) continue;
                priority_[best] = i;
                best = highest(s);
            }
        }
        return best;
    }

    unsigned pick_message(const Candidates& candidates) override {
        return pick(candidates.count, Choice::message);
    }

    unsigned pick(unsigned n, Choice choice) override {
        if (n <= 1) return 0;
        if (choice == Choice::spurious) return generator_.one_in(4) ? 1 : 0;
        if ((choice == Choice::message || choice == Choice::place) && generator_.one_in(2))
            return 0;
        return generator_.below(n);
    }

    void executed(unsigned thread, const Op& op, const Situation& s) override {
        if (mode_ != Mode::pos) return;
        // Partial order sampling (Yuan, Yang and Gu, CAV 2018): each operation has a priority of
        // its own, drawn anew when it loses a race.
        priority_[thread] = generator_.next();
        for (unsigned u = 0; u < kThreadsMax; ++u) {
            if (u == thread || !s.is_enabled(u)) continue;
            const Op& other = s.next[u];
            const bool race = op.accesses() && other.accesses() && op.word == other.word &&
                              (op.writes() || other.writes());
            if (race) priority_[u] = generator_.next();
        }
    }

    bool next() override {
        ++execution_;
        return true;
    }
    bool restart() override { return false; }

  private:
    static constexpr std::uint64_t kHigh = std::uint64_t{1} << 63;

    unsigned highest(const Situation& s) const {
        unsigned best = kThreadsMax;
        for (unsigned t = 0; t < kThreadsMax; ++t) {
            if (s.is_enabled(t) && (best == kThreadsMax || priority_[t] > priority_[best]))
                best = t;
        }
        return best;
    }

    Mode mode_;
    std::uint64_t seed_, execution_ = 0;
    unsigned depth_, changes_ = 0, longest_ = 16;
    Generator generator_;
    std::array<std::uint64_t, kThreadsMax> priority_{};
    std::array<unsigned, 16> change_{};
};

}  // namespace explorer
