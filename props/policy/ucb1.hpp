// ucb1.hpp: the other chooser: the strategy whose cost could be lowest, as far as its samples allow
// (P. Auer, N. Cesa-Bianchi, P. Fischer: Finite-time Analysis of the Multiarmed Bandit Problem,
// Machine Learning 47, 2002).
#pragma once

#include "base/arithmetic.hpp"
#include "base/random.hpp"

#include "learning/samples.hpp"

namespace hak::policy {

class Ucb1 {
  public:
    // The theorem wants rewards between 0 and 1. Scores lie around 1 and differ by tenths, so that
    // the full width would explore for ever.
    static constexpr double kWidth = 0.3;

    Strategy select(Random&) const {
        Strategy chosen = kDefaultStrategy;
        double lowest = Samples::kUnknown;
        const Cost mean = samples_.mean();
        const double total = 2 * log_of(static_cast<double>(samples_.count()) + 1);
        for (unsigned i = 0; i < kStrategies; ++i) {
            const Strategy s = strategy_at(i);
            if (samples_.count(s) == 0) return s;
            const double bound = samples_.score(s, mean) -
                                 kWidth * sqrt_of(total / static_cast<double>(samples_.count(s)));
            if (bound < lowest) {
                lowest = bound;
                chosen = s;
            }
        }
        return chosen;
    }
    void record(Strategy s, const Cost& cost) { samples_.record(s, cost); }
    Strategy recompute() { return best(); }
    // What costs much is rarely tried: once is enough.
    bool has_tried_all() const {
        for (unsigned i = 0; i < kStrategies; ++i) {
            if (samples_.count(strategy_at(i)) == 0) return false;
        }
        return true;
    }
    void reset() { *this = Ucb1{}; }

    Strategy best() const {
        Strategy best = kDefaultStrategy;
        for (unsigned i = 0; i < kStrategies; ++i) {
            if (score(strategy_at(i)) < score(best)) best = strategy_at(i);
        }
        return best;
    }
    const Samples& samples() const { return samples_; }
    double score(Strategy s) const { return samples_.score(s, samples_.mean()); }

  private:
    Samples samples_;
};

}  // namespace hak::policy
