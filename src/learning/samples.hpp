// samples.hpp: what each strategy cost so far, and one number to compare strategies by.
//
// Costs are doubles: they are measurements, of any magnitude, and only their ratios matter. Ratings
// (elo.hpp) are integers.
#pragma once

#include <cstdint>

#include "learning/strategy.hpp"

namespace hak::policy {

// What one trial cost: a stretch of calls that one strategy answered for.
struct Cost {
    double operations = 0;   // calls for Large and Big blocks
    double nanoseconds = 0;  // spent in them
    double faults = 0;       // pages of the process that the system had to provide
    double held = 0;         // free dirty bytes x milliseconds

    constexpr void add(const Cost& c, double weight = 1) {
        operations += c.operations * weight;
        nanoseconds += c.nanoseconds * weight;
        faults += c.faults * weight;
        held += c.held * weight;
    }
    constexpr void scale(double by) {
        operations *= by;
        nanoseconds *= by;
        faults *= by;
        held *= by;
    }
};

// Shares of the score.
inline constexpr double kTimeShare = 0.4, kFaultShare = 0.3, kHeldShare = 0.3;

class Samples {
  public:
    void record(Strategy s, Cost cost) {
        if (cost.operations <= 0) return;
        // A clock too coarse to see a call must not make it free.
        if (cost.nanoseconds < cost.operations) cost.nanoseconds = cost.operations;
        if (warm_ != kWarmUp) return warm_up(cost);
        // The clock goes on while the thread is preempted, and the faults are the whole process's:
        // what is far more than usual says little about its strategy.
        cost.nanoseconds = time_.believed(cost.nanoseconds / cost.operations) * cost.operations;
        cost.faults = faults_.believed(cost.faults / cost.operations) * cost.operations;
        sums_[index_of(s)].add(cost);
        counts_[index_of(s)] += 1;
        count_all_ += 1;
    }

    // How many trials of the strategy were recorded since the last reset.
    std::uint64_t count(Strategy s) const { return counts_[index_of(s)]; }
    std::uint64_t count() const { return count_all_; }

    // Older trials lose weight against what follows, down to that of one call: the sums of a
    // strategy that is not tried any more must stay numbers by which others can be divided.
    void fade(double keep) {
        for (Cost& c : sums_) {
            if (c.operations * keep >= 1) c.scale(keep);
        }
    }
    void reset() { *this = Samples{}; }

    // What an operation costs under the mean strategy, of those that have samples.
    Cost mean() const {
        Cost sum;
        for (const Cost& c : sums_) {
            if (c.operations > 0) sum.add(c, 1 / c.operations);
        }
        return sum;
    }
    // The weighted cost of an operation under `s`: 0.4 time + 0.3 faults + 0.3 bytes held x time,
    // each as a multiple of the mean strategy's. A component that is zero in the mean says nothing,
    // and adds nothing. Infinite, in effect, for a strategy without samples.
    double score(Strategy s, const Cost& mean) const {
        const Cost& mine = sums_[index_of(s)];
        if (mine.operations <= 0) return kUnknown;
        // the mean is a sum over so many strategies
        const double scale = mean.operations / mine.operations;
        const auto share = [&](double part, double value, double sum) {
            return sum <= 0 ? 0 : part * value * scale / sum;
        };
        return share(kTimeShare, mine.nanoseconds, mean.nanoseconds) +
               share(kFaultShare, mine.faults, mean.faults) +
               share(kHeldShare, mine.held, mean.held);
    }

    static constexpr double kUnknown = 1e300;
    static constexpr unsigned kWarmUp = 8;

  private:
    // What an operation usually costs. That follows, slowly: costs that rise for good are believed
    // after a while.
    class Usual {
      public:
        explicit constexpr Usual(double least) : least_(least) {}

        double believed(double each) {
            const double most = kClamp * (usual_ < least_ ? least_ : usual_),
                         believed = each < most ? each : most;
            usual_ += (believed - usual_) / kTrials;
            return believed;
        }
        // The n-th of the first trials, which only tell what is usual: the mean without the two
        // that are highest.
        void begin(unsigned n, double each) {
            unsigned i = n;
            for (; i > 0 && first_[i - 1] > each; --i) first_[i] = first_[i - 1];
            first_[i] = each;
            if (n + 1 < kWarmUp) return;
            for (i = 0; i < kWarmUp - 2; ++i) usual_ += first_[i] / (kWarmUp - 2);
        }

      private:
        static constexpr double kClamp = 8, kTrials = 100;

        double least_, usual_ = 0;
        double first_[kWarmUp]{};  // in the mean of a trial, rising
    };

    void warm_up(const Cost& cost) {
        time_.begin(warm_, cost.nanoseconds / cost.operations);
        faults_.begin(warm_++, cost.faults / cost.operations);
    }

    Cost sums_[kStrategies]{};
    std::uint64_t counts_[kStrategies]{};
    std::uint64_t count_all_ = 0;
    Usual time_{1}, faults_{1};  // nanoseconds, and pages, of an operation: one at least
    unsigned warm_ = 0;
};

}  // namespace hak::policy
