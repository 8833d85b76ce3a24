// trials.hpp: chooser and evolution together: trial after trial, one strategy is in force, and what the trial cost is that strategy's.
//
// A trial ends after trial_operations operations or trial_ns; a window is many trials. Costs are measured around all calls of a trial,
// whoever made them, so a strategy is in force for the whole process, never for one call.
#pragma once

#include "policy/decision.hpp"

namespace hak::policy {

struct TrialConfig {
    std::uint64_t operations = 64;
    std::uint64_t ns = 20'000'000;
};

template <class Chooser>
class Trials {
public:
    constexpr Trials() = default;
    explicit constexpr Trials(const EvolutionConfig& evolution, const TrialConfig& trial = {}) : trial_(trial), evolution_(evolution) {}

    void begin(std::uint64_t now_ns, std::uint64_t seed, Phase phase = Phase::learn) {
        random_ = Random(seed);
        evolution_.begin(now_ns, phase);
        decide(now_ns);
    }

    // What is in force.
    Strategy strategy() const { return strategy_; }
    Decision decision() const { return {strategy_, evolution_.confirmed(), evolution_.candidate(), evolution_.phase()}; }

    // One operation, under the strategy in force.
    void note(std::size_t bytes, double nanoseconds) {
        evolution_.note(bytes, nanoseconds);
        cost_.operations += 1;
        cost_.nanoseconds += nanoseconds;
    }
    bool trial_is_over(std::uint64_t now_ns) const {
        return cost_.operations >= static_cast<double>(trial_.operations) || now_ns - trial_began_ns_ >= trial_.ns;
    }

    // Ends the trial, and the window with it if that is over too. `faults` and `held` are what the whole trial added.
    Turn close_trial(std::uint64_t now_ns, double faults, double held) {
        cost_.faults = faults;
        cost_.held = held;
        if (cost_.operations > 0) {
            if (evolution_.phase() == Phase::learn) chooser_.record(strategy_, cost_);
            evolution_.note_trial(strategy_, cost_);
        }
        Turn turn = Turn::none;
        if (evolution_.window_is_over(now_ns)) {
            const Strategy best = evolution_.phase() == Phase::learn ? chooser_.recompute() : chooser_.best();
            turn = evolution_.close_window(now_ns, best, chooser_.samples().mean());
            if (turn == Turn::relearn) chooser_.reset();
        }
        decide(now_ns);
        return turn;
    }

    // Compares the strategies before a window is over, and puts the leader in force for the rest of the trial.
    Strategy recompute() {
        const Strategy best = chooser_.recompute();
        if (evolution_.phase() == Phase::learn) strategy_ = best;
        return best;
    }

    Chooser& chooser() { return chooser_; }
    const Chooser& chooser() const { return chooser_; }
    const Evolution& evolution() const { return evolution_; }
    Random& random() { return random_; }

private:
    void decide(std::uint64_t now_ns) {
        if (evolution_.phase() == Phase::learn) {
            strategy_ = chooser_.select(random_);
        } else {
            strategy_ = evolution_.should_use_candidate(random_) ? evolution_.candidate() : evolution_.confirmed();
        }
        cost_ = Cost{};
        trial_began_ns_ = now_ns;
    }

    TrialConfig trial_;
    Random random_;
    Chooser chooser_;
    Evolution evolution_;
    Strategy strategy_ = kDefaultStrategy;
    Cost cost_;
    std::uint64_t trial_began_ns_ = 0;
};

}  // namespace hak::policy
