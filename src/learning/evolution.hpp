// evolution.hpp: when to learn, when to trust what was learned, and when to doubt it.
//
//   LEARN   every trial's strategy comes from the chooser
//             settled, and its best is the confirmed strategy ............ -> FROZEN   freeze
//             settled, and its best is another one ....................... -> CANARY   with it
//   CANARY  one trial in twenty uses the candidate, all others the confirmed strategy
//             enough trials, and the candidate costs no more ............. -> FROZEN   promote it
//             enough trials and it costs more, or too few come ........... -> FROZEN   roll back
//             the workload changed ........................................ -> LEARN    re-learn
//   FROZEN  every trial uses the confirmed strategy
//             the workload changed ........................................ -> LEARN    re-learn
//
// Time is divided into windows, by operations or by the clock, whichever comes first; every arrow
// is taken where a window closes. `settled`: the chooser has tried its strategies often enough,
// LEARN has lasted freeze_after, and the p99 of an operation stayed within `stability` for
// stable_windows windows or the chooser named the same best for settled_windows windows; or it has
// lasted freeze_by. `the workload changed`: the p99 was `worse` than that of the phase's first
// baseline_windows for worse_windows windows, or the sizes are farther than `distance` from those
// of its first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arithmetic.hpp"
#include "base/random.hpp"

#include "learning/p2_quantile.hpp"
#include "learning/samples.hpp"
#include "learning/size_distribution.hpp"
#include "learning/strategy.hpp"

namespace hak::policy {

enum class Phase : std::uint8_t { learn, frozen, canary };

// What the end of a window led to.
enum class Turn : std::uint8_t { none, freeze, canary, promote, roll_back, relearn };

struct EvolutionConfig {
    std::uint64_t window_operations = 10'000;
    std::uint64_t window_ns = 2'000'000'000;
    // a window with fewer says nothing about p99 and sizes
    std::uint64_t judged_operations = 100;
    std::uint64_t freeze_after_ns = 180'000'000'000;
    std::uint64_t freeze_by_ns = 720'000'000'000;
    unsigned stable_windows = 3;
    double stability = 0.01;
    unsigned settled_windows = 10;
    double worse = 0.20;
    unsigned worse_windows = 3;
    unsigned baseline_windows = 5;
    double distance = 0.25;
    unsigned canary_permille = 50;
    std::uint64_t canary_trials = 100;
    std::uint64_t canary_by_ns = 720'000'000'000;
    // what noise may add to the cost of an equal candidate
    double canary_margin = 0.03;
    bool freezes = true;  // false: LEARN for ever
};

struct EvolutionCounters {
    std::uint64_t windows = 0, freezes = 0, relearns = 0, promotions = 0, rollbacks = 0;
};

class Evolution {
  public:
    explicit constexpr Evolution(const EvolutionConfig& config = {}) : config_(config) {}

    void begin(std::uint64_t now_ns, Phase phase = Phase::learn) {
        phase_ = phase;
        since_ns_ = window_began_ns_ = now_ns;
    }

    Phase phase() const { return phase_; }
    Strategy confirmed() const { return confirmed_; }
    Strategy candidate() const { return candidate_; }
    const EvolutionCounters& counters() const { return counters_; }
    std::uint64_t window_operations() const { return operations_; }

    // The decision for one trial in CANARY; false in the other phases.
    bool should_use_candidate(Random& random) const {
        return phase_ == Phase::canary && random.chance(config_.canary_permille);
    }

    // One operation on a block of so many bytes.
    void note(std::size_t bytes, double nanoseconds) {
        operations_ += 1;
        log_p99_.add(log_of(nanoseconds < 1 ? 1 : nanoseconds));
        sizes_.add(bytes);
    }
    // One trial of the canary phase, of the confirmed strategy or of the candidate.
    void note_trial(Strategy s, const Cost& cost) {
        if (phase_ == Phase::canary) trials_.record(s, cost);
    }

    bool window_is_over(std::uint64_t now_ns) const {
        return operations_ >= config_.window_operations ||
               elapsed(window_began_ns_, now_ns) >= config_.window_ns;
    }

    // Ends the window. `best` is what the chooser prefers, `mean` what an operation costs under the
    // strategies that it compared, and `tried` whether it knows enough of all of them; only LEARN
    // listens to it.
    Turn close_window(std::uint64_t now_ns, Strategy best, const Cost& mean, bool tried) {
        counters_.windows += 1;
        const bool judged = operations_ >= config_.judged_operations;
        if (judged) look_back(best);
        const Turn turn = phase_ == Phase::learn    ? learn(now_ns, best, mean, tried)
                          : phase_ == Phase::canary ? canary(now_ns, judged)
                                                    : frozen(now_ns, judged);
        if (judged) last_p99_ = window_p99();
        operations_ = 0;
        log_p99_ = P2Quantile{};
        sizes_ = SizeDistribution{};
        window_began_ns_ = now_ns;
        return turn;
    }

  private:
    double window_p99() const { return exp_of(log_p99_.value()); }

    // Counts for how long the windows have been alike.
    void look_back(Strategy best) {
        const double p99 = window_p99(),
                     change = p99 < last_p99_ ? last_p99_ - p99 : p99 - last_p99_;
        stable_ = last_p99_ > 0 && change <= config_.stability * last_p99_ ? stable_ + 1 : 0;
        settled_ = best == last_best_ ? settled_ + 1 : 0;
        last_best_ = best;
    }

    Turn learn(std::uint64_t now_ns, Strategy best, const Cost& mean, bool tried) {
        if (!config_.freezes) {
            confirmed_ = best;
            return Turn::none;
        }
        // Time alone teaches nothing: the process may have idled.
        if (!tried) return Turn::none;
        const std::uint64_t lasted = elapsed(since_ns_, now_ns);
        const bool alike = stable_ >= config_.stable_windows || settled_ >= config_.settled_windows;
        if (lasted < config_.freeze_by_ns && !(lasted >= config_.freeze_after_ns && alike))
            return Turn::none;
        if (best == confirmed_) return freeze(now_ns, Turn::freeze);
        candidate_ = best;
        mean_ = mean;
        trials_.reset();
        return enter(now_ns, Phase::canary, Turn::canary);
    }

    Turn canary(std::uint64_t now_ns, bool judged) {
        if (judged && has_changed()) return relearn(now_ns);
        const bool enough = trials_.count(candidate_) >= config_.canary_trials &&
                            trials_.count(confirmed_) >= config_.canary_trials;
        if (!enough) {
            if (elapsed(since_ns_, now_ns) < config_.canary_by_ns) return Turn::none;
            counters_.rollbacks += 1;
            return freeze(now_ns, Turn::roll_back);
        }
        // On the scale on which it was chosen.
        if (trials_.score(candidate_, mean_) >
            (1 + config_.canary_margin) * trials_.score(confirmed_, mean_)) {
            counters_.rollbacks += 1;
            return freeze(now_ns, Turn::roll_back);
        }
        confirmed_ = candidate_;
        counters_.promotions += 1;
        return freeze(now_ns, Turn::promote);
    }

    Turn frozen(std::uint64_t now_ns, bool judged) {
        return judged && has_changed() ? relearn(now_ns) : Turn::none;
    }

    // Compares a window with the first ones of this phase.
    bool has_changed() {
        if (baseline_windows_ < config_.baseline_windows) {
            // The p99 of one window may be low by chance: the highest of several is what the
            // workload was seen to need.
            if (baseline_windows_ == 0 || window_p99() > baseline_p99_)
                baseline_p99_ = window_p99();
            if (baseline_windows_ == 0) baseline_sizes_ = sizes_;
            baseline_windows_ += 1;
        } else {
            worse_ = window_p99() > (1 + config_.worse) * baseline_p99_ ? worse_ + 1 : 0;
        }
        return worse_ >= config_.worse_windows ||
               sizes_.distance(baseline_sizes_) > config_.distance;
    }

    Turn freeze(std::uint64_t now_ns, Turn turn) {
        counters_.freezes += 1;
        return enter(now_ns, Phase::frozen, turn);
    }
    Turn relearn(std::uint64_t now_ns) {
        counters_.relearns += 1;
        return enter(now_ns, Phase::learn, Turn::relearn);
    }
    Turn enter(std::uint64_t now_ns, Phase phase, Turn turn) {
        phase_ = phase;
        since_ns_ = now_ns;
        stable_ = settled_ = worse_ = baseline_windows_ = 0;
        return turn;
    }

    EvolutionConfig config_;
    Phase phase_ = Phase::learn;
    Strategy confirmed_ = kDefaultStrategy, candidate_ = kDefaultStrategy,
             last_best_ = kDefaultStrategy;
    std::uint64_t since_ns_ = 0;  // when the phase began

    // The open window
    std::uint64_t window_began_ns_ = 0, operations_ = 0;
    // latencies differ by magnitudes, and P2 interpolates: the logarithms tell it more
    P2Quantile log_p99_;
    SizeDistribution sizes_;

    // What windows are compared with
    double last_p99_ = 0, baseline_p99_ = 0;
    SizeDistribution baseline_sizes_;
    unsigned stable_ = 0, settled_ = 0, worse_ = 0, baseline_windows_ = 0;
    Samples trials_;  // of the canary phase
    Cost mean_;       // at its beginning
    EvolutionCounters counters_;
};

}  // namespace hak::policy
