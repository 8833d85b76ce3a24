// trials.hpp: chooser and evolution together: trial after trial, one strategy is in force, and what
// the trial cost is that strategy's.
//
// What a strategy decides is paid for later: a block that is cached today is purged, and faults its
// pages in anew, when it has been free for a while. So a trial lasts twice as long as that, and
// only what its second half costs is counted: by then what earlier strategies left is gone. (A
// switchback experiment with a carry-over period: Bojinov, Simchi-Levi and Zhao, Design and
// Analysis of Switchback Experiments, 2023.) A window is many trials. Costs are measured around all
// calls, whoever made them, so a strategy is in force for the whole process, never for one call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arithmetic.hpp"

#include "learning/decision.hpp"
#include "learning/evolution.hpp"
#include "learning/strategy.hpp"

namespace hak::policy {

// Where in a trial a moment lies.
enum class Stage : std::uint8_t {
    carry_over,  // what earlier strategies decided may still cost something
    counts,      // the first moment from which on costs are this strategy's
    measured,
    over,
};

template <class Chooser>
class Trials {
  public:
    constexpr Trials() = default;
    // `carry_over_ns`: for how long a decision may go on costing something.
    explicit constexpr Trials(const EvolutionConfig& evolution, std::uint64_t carry_over_ns)
        : carry_over_ns_(carry_over_ns),
          evolution_(with_time_for_trials(evolution, carry_over_ns)) {}

    void begin(std::uint64_t now_ns, std::uint64_t seed, Phase phase = Phase::learn) {
        random_ = Random(seed);
        evolution_.begin(now_ns, phase);
        decide(now_ns);
    }

    // What is in force.
    Strategy strategy() const { return strategy_; }
    Decision decision() const {
        return {strategy_, evolution_.confirmed(), evolution_.candidate(), evolution_.phase()};
    }

    // One operation, under the strategy in force.
    void note(std::size_t bytes, double nanoseconds) {
        evolution_.note(bytes, nanoseconds);
        measures_ = true;
        if (!counts_) return;
        cost_.operations += 1;
        cost_.nanoseconds += nanoseconds;
    }
    // Where the trial is, now that time has passed. Answers Stage::counts once in a trial.
    Stage advance(std::uint64_t now_ns) {
        const bool half_over = elapsed(half_began_ns_, now_ns) >= carry_over_ns_;
        if (counts_) return half_over ? Stage::over : Stage::measured;
        if (!half_over) return Stage::carry_over;
        counts_ = true;
        half_began_ns_ = now_ns;
        return Stage::counts;
    }

    // Ends the trial, and the window with it if that is over too. `faults` and `held` are what was
    // added since Stage::counts.
    Turn close_trial(std::uint64_t now_ns, double faults, double held) {
        cost_.faults = faults;
        cost_.held = held;
        if (cost_.operations > 0) {
            if (evolution_.phase() == Phase::learn) chooser_.record(strategy_, cost_);
            evolution_.note_trial(strategy_, cost_);
        }
        Turn turn = Turn::none;
        if (evolution_.window_is_over(now_ns)) {
            const Strategy best =
                evolution_.phase() == Phase::learn ? chooser_.recompute() : chooser_.best();
            turn = evolution_.close_window(now_ns, best, chooser_.samples().mean(),
                                           chooser_.has_tried_all());
            if (turn == Turn::relearn) chooser_.reset();
        }
        decide(now_ns);
        return turn;
    }

    // Compares the strategies before a window is over. Where all samples are the caller's, the
    // leader comes into force; in the middle of a trial that measures, it would be charged for what
    // another strategy cost.
    Strategy recompute() {
        const Strategy best = chooser_.recompute();
        if (evolution_.phase() == Phase::learn && !measures_) strategy_ = best;
        return best;
    }

    Chooser& chooser() { return chooser_; }
    const Chooser& chooser() const { return chooser_; }
    const Evolution& evolution() const { return evolution_; }
    Random& random() { return random_; }

  private:
    // Half as long again, at least, as the candidate's trials take in the mean: or each canary
    // would end without them where trials are long.
    static constexpr EvolutionConfig with_time_for_trials(EvolutionConfig config,
                                                          std::uint64_t carry_over_ns) {
        const std::uint64_t needed_ns =
            config.canary_trials * 1000 / config.canary_permille * 2 * carry_over_ns * 3 / 2;
        if (config.canary_by_ns < needed_ns) config.canary_by_ns = needed_ns;
        return config;
    }
    void decide(std::uint64_t now_ns) {
        if (evolution_.phase() == Phase::learn) {
            strategy_ = chooser_.select(random_);
        } else {
            strategy_ = evolution_.should_use_candidate(random_) ? evolution_.candidate()
                                                                 : evolution_.confirmed();
        }
        cost_ = Cost{};
        counts_ = false;
        half_began_ns_ = now_ns;
    }

    std::uint64_t carry_over_ns_ = 0;
    Random random_;
    Chooser chooser_;
    Evolution evolution_;
    Strategy strategy_ = kDefaultStrategy;
    Cost cost_;
    std::uint64_t half_began_ns_ = 0;  // of the trial: what is carried over, or what counts
    bool counts_ = false;
    bool measures_ = false;  // any operation was noted
};

}  // namespace hak::policy
