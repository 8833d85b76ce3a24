// elo.hpp: strategies rated by pairwise comparison (A. E. Elo: The Rating of Chessplayers, 1978).
//
// Ratings are integers, in thousandths of a point: what one strategy wins the other loses, to the
// last digit, so that the sum of all ratings never changes.
#pragma once

#include <bit>
#include <cstdint>

#include "base/arithmetic.hpp"
#include "base/random.hpp"

#include "learning/samples.hpp"
#include "learning/strategy.hpp"

namespace hak::policy {

struct Rating {
    std::int64_t millipoints = 1'500'000;
    std::uint64_t wins = 0, losses = 0, draws = 0;
    bool active = true;
};

class Elo {
  public:
    static constexpr std::int64_t kK = 32'000;         // millipoints at stake in one comparison
    static constexpr unsigned kExplorePermille = 100;  // epsilon
    // trials of each strategy before any is dropped
    static constexpr std::uint64_t kSamplesMin = 50;
    static constexpr unsigned kSurvivors = 6;
    static constexpr double kDrawMargin = 0.01;
    // weight of older trials, from one window to the next
    static constexpr double kKeep = 0.98;

    // Until each active strategy has its minimum of samples, the one with fewest; then the leader,
    // or one time in ten any of the others.
    Strategy select(Random& random) const {
        if (!has_tried_all()) return least_sampled();
        if (!random.chance(kExplorePermille)) return best();
        return nth_active(random.below(active_count()));
    }

    void record(Strategy s, const Cost& cost) { samples_.record(s, cost); }

    // At the end of a window: every active strategy meets every other; who has the lower score
    // wins. Once all have enough samples, the best go on alone. Without a new sample nobody meets:
    // what was compared once proves nothing more. Returns the leader.
    Strategy recompute() {
        if (samples_.count() == compared_) return best();
        compared_ = samples_.count();
        double scores[kStrategies];
        const Cost mean = samples_.mean();
        for (unsigned i = 0; i < kStrategies; ++i) scores[i] = samples_.score(strategy_at(i), mean);
        for (unsigned a = 0; a < kStrategies; ++a) {
            for (unsigned b = a + 1; b < kStrategies; ++b) {
                if (ratings_[a].active && ratings_[b].active) meet(a, b, scores);
            }
        }
        if (has_tried_all()) drop_all_but_survivors();
        samples_.fade(kKeep);
        return best();
    }

    // Whether each active strategy has its minimum of samples.
    bool has_tried_all() const { return samples_.count(least_sampled()) >= kSamplesMin; }

    // What was learned about another workload is forgotten.
    void reset() { *this = Elo{}; }

    // The active strategy of the highest rating; the default one among equals.
    Strategy best() const {
        Strategy best = kDefaultStrategy;
        for (unsigned i = 0; i < kStrategies; ++i) {
            if (ranks_before(strategy_at(i), best)) best = strategy_at(i);
        }
        return best;
    }

    const Rating& rating(Strategy s) const { return ratings_[index_of(s)]; }
    const Samples& samples() const { return samples_; }
    // The strategy on the n-th place, from 0; the active ones come first.
    Strategy ranked(unsigned n) const {
        for (unsigned i = 0; i < kStrategies; ++i) {
            unsigned before = 0;
            for (unsigned k = 0; k < kStrategies; ++k) before += k != i && is_listed_before(k, i);
            if (before == n) return strategy_at(i);
        }
        return kDefaultStrategy;
    }
    // Against the mean of all strategies, dropped ones too: what things are worth must not depend
    // on who is left.
    double score(Strategy s) const { return samples_.score(s, samples_.mean()); }

    // One comparison. `score` is twice what the first one gets: 2 it won, 1 a draw, 0 it lost.
    void compare(Strategy first, Strategy second, unsigned score) {
        Rating& a = ratings_[index_of(first)];
        Rating& b = ratings_[index_of(second)];
        const double expected =
            1 / (1 + exp_of(static_cast<double>(b.millipoints - a.millipoints) * kLn10 / 400'000));
        const double gain = static_cast<double>(kK) * (score / 2.0 - expected);
        const auto won = static_cast<std::int64_t>(gain < 0 ? gain - 0.5 : gain + 0.5);
        a.millipoints += won;
        b.millipoints -= won;
        (score == 2 ? a.wins : score == 1 ? a.draws : a.losses) += 1;
        (score == 2 ? b.losses : score == 1 ? b.draws : b.wins) += 1;
    }

  private:
    bool ranks_before(Strategy a, Strategy b) const {
        const Rating &x = rating(a), &y = rating(b);
        return x.active != y.active ? x.active : x.millipoints > y.millipoints;
    }
    bool is_listed_before(unsigned a, unsigned b) const {
        if (ranks_before(strategy_at(a), strategy_at(b))) return true;
        if (ranks_before(strategy_at(b), strategy_at(a))) return false;
        return strategy_at(a) == kDefaultStrategy || (strategy_at(b) != kDefaultStrategy && a < b);
    }
    unsigned active_mask() const {
        unsigned mask = 0;
        for (unsigned i = 0; i < kStrategies; ++i)
            mask |= static_cast<unsigned>(ratings_[i].active) << i;
        return mask;
    }
    unsigned active_count() const { return static_cast<unsigned>(std::popcount(active_mask())); }
    Strategy nth_active(unsigned n) const {
        unsigned i = 0;
        for (;; ++i) {
            if (ratings_[i].active && n-- == 0) return strategy_at(i);
        }
    }
    Strategy least_sampled() const {
        Strategy least = best();
        for (unsigned i = 0; i < kStrategies; ++i) {
            if (ratings_[i].active && samples_.count(strategy_at(i)) < samples_.count(least))
                least = strategy_at(i);
        }
        return least;
    }
    void meet(unsigned a, unsigned b, const double* scores) {
        if (scores[a] == Samples::kUnknown || scores[b] == Samples::kUnknown) return;
        const double margin = kDrawMargin * (scores[a] < scores[b] ? scores[a] : scores[b]);
        compare(strategy_at(a), strategy_at(b),
                scores[a] < scores[b] - margin   ? 2
                : scores[b] < scores[a] - margin ? 0
                                                 : 1);
    }
    void drop_all_but_survivors() {
        Strategy dropped[kStrategies];
        unsigned count = 0;
        for (unsigned n = kSurvivors; n < kStrategies; ++n) dropped[count++] = ranked(n);
        while (count != 0) ratings_[index_of(dropped[--count])].active = false;
    }

    Rating ratings_[kStrategies]{};
    Samples samples_;
    std::uint64_t compared_ = 0;  // samples when strategies met last
};

}  // namespace hak::policy
