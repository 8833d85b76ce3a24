// workload.hpp: synthetic workloads for the learner: what each strategy costs follows from a
// formula, so that the best one is known.
//
// A workload is a mix of kinds of blocks. Below the threshold a freed block is held until it is
// taken again or decays; at or above it, until it is taken again or the batch is flushed, which
// happens sooner. Whatever was given to the system costs time and faults when it comes back, and
// whatever was not is held meanwhile.
#pragma once

#include <algorithm>
#include <vector>

#include "learning/trials.hpp"

namespace simulation {

using hak::Random;
using hak::policy::Cost;
using hak::policy::kStrategies;
using hak::policy::Strategy;

struct Kind {
    double share;  // of the operations
    std::size_t bytes;
    double gap_ms;  // between its free and the next allocation of its like
};

class Workload {
  public:
    explicit Workload(std::vector<Kind> kinds) : kinds_(std::move(kinds)) {
        double time = 0, faults = 0, held = 0;
        for (unsigned i = 0; i < kStrategies; ++i) {
            costs_[i] = formula(hak::policy::strategy_at(i));
            time += costs_[i].nanoseconds / kStrategies;
            faults += costs_[i].faults / kStrategies;
            held += costs_[i].held / kStrategies;
        }
        for (unsigned i = 0; i < kStrategies; ++i) {
            scores_[i] = 0.4 * costs_[i].nanoseconds / time +
                         (faults == 0 ? 0 : 0.3 * costs_[i].faults / faults) +
                         0.3 * costs_[i].held / held;
        }
        for (unsigned i = 0; i < kStrategies; ++i) {
            if (scores_[i] < scores_[index_of(best_)]) best_ = hak::policy::strategy_at(i);
        }
    }
    // Kinds with random sizes between 256 KiB and 64 MiB and gaps between a tenth of a millisecond
    // and a second.
    static Workload drawn(Random& random) {
        std::vector<Kind> kinds(2 + random.below(4));
        double sum = 0;
        for (Kind& k : kinds) {
            k.share = 1 + random.below(20);
            sum += k.share;
            const std::size_t power = std::size_t{1} << (18 + random.below(8));
            k.bytes = power * (4 + random.below(4)) / 4;
            const double gap_ms = 0.1 * static_cast<double>(1u << random.below(14));
            k.gap_ms = gap_ms * (1 + random.below(10) / 10.0);
        }
        for (Kind& k : kinds) k.share /= sum;
        return Workload(std::move(kinds));
    }

    // What an operation costs under `s`, in the mean.
    const Cost& mean(Strategy s) const { return costs_[index_of(s)]; }
    double score(Strategy s) const { return scores_[index_of(s)]; }
    Strategy best() const { return best_; }
    // How much more `s` costs than the best: 0.02 is two per cent.
    double excess(Strategy s) const { return score(s) / score(best()) - 1; }

    hak::policy::SizeDistribution sizes() const {
        Random random(1);
        hak::policy::SizeDistribution sizes;
        for (int i = 0; i < 2000; ++i) sizes.add(draw_bytes(random));
        return sizes;
    }
    std::size_t draw_bytes(Random& random) const {
        double at = static_cast<double>(random.next() >> 11) * 0x1p-53;
        for (const Kind& k : kinds_) {
            if ((at -= k.share) < 0) return k.bytes;
        }
        return kinds_.back().bytes;
    }

  private:
    Cost formula(Strategy s) const {
        constexpr double kDecayMs = 100, kFlushMs = 4;
        Cost sum;
        for (const Kind& k : kinds_) {
            const double wait = k.bytes >= threshold_of(s) ? kFlushMs : kDecayMs;
            const double pages = static_cast<double>(k.bytes) / 4096;
            const bool returned = k.gap_ms > wait;
            sum.add({1, 300 + (returned ? 60 * pages : 0), returned ? pages : 0,
                     static_cast<double>(k.bytes) * std::min(k.gap_ms, wait)},
                    k.share);
        }
        return sum;
    }

    std::vector<Kind> kinds_;
    Cost costs_[kStrategies];
    double scores_[kStrategies];
    Strategy best_ = hak::policy::kDefaultStrategy;
};

// A factor around 1 with a standard deviation of 0.2.
inline double noise(Random& random) {
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>(random.next() >> 11) * 0x1p-53;
    return 1 + (sum - 2) * 0.346;
}

// A process under a virtual clock: an operation every 1600 microseconds, trials of 8, whose costs
// come at once: nothing is carried over.
template <class Chooser>
class Process {
  public:
    Process(const Workload& workload, std::uint64_t seed,
            const hak::policy::EvolutionConfig& config = {})
        : workload_(&workload), random_(seed), trials_(config, 0) {
        trials_.begin(now_ns_, seed * 31 + 7);
    }

    hak::policy::Turn trial() {
        const Strategy s = trials_.strategy();
        excess_ += workload_->excess(s);
        Cost cost = workload_->mean(s);
        if (handicapped_ && s == trials_.evolution().candidate()) {
            cost.held *= 10;
            cost.faults *= 3;
        }
        trials_.advance(now_ns_);
        // In one trial of two hundred the thread is preempted inside an operation.
        const unsigned stalled = random_.below(200) == 0 ? random_.below(kOperations) : kOperations;
        for (unsigned i = 0; i < kOperations; ++i) {
            now_ns_ += 1'600'000;
            const std::size_t bytes = workload_->draw_bytes(random_);
            trials_.note(bytes, cost.nanoseconds * noise(random_) + (stalled == i ? 1e7 : 0));
        }
        count_ += 1;
        // And in one of two hundred another part of the process touches 4 GiB for the first time.
        const double others = random_.below(200) == 0 ? 1e6 : 0;
        const double faults = cost.faults * kOperations * noise(random_) + others;
        return trials_.close_trial(now_ns_, faults, cost.held * kOperations * noise(random_));
    }
    // Runs until that turn, or for so many trials; true if it came.
    bool run_until(hak::policy::Turn wanted, std::uint64_t trials) {
        while (trials-- != 0) {
            if (trial() == wanted) return true;
        }
        return false;
    }
    void run(std::uint64_t trials) {
        while (trials-- != 0) trial();
    }

    void become(const Workload& workload) { workload_ = &workload; }
    // From here on the candidate costs far more than it did, in faults and bytes.
    void handicap_candidate() { handicapped_ = true; }
    const hak::policy::Trials<Chooser>& trials() const { return trials_; }
    double regret() const { return excess_; }
    std::uint64_t count() const { return count_; }
    std::uint64_t now_ns() const { return now_ns_; }

  private:
    static constexpr unsigned kOperations = 8;

    const Workload* workload_;
    Random random_;
    hak::policy::Trials<Chooser> trials_;
    std::uint64_t now_ns_ = 1'000'000'000;
    std::uint64_t count_ = 0;
    double excess_ = 0;
    bool handicapped_ = false;
};

}  // namespace simulation
