// learning_calls.hpp: what the functions of hakmem_learn.h do, in any world; api/library.cpp
// exports them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/attrs.hpp"

#include "sys/world.hpp"

#include "hakmem/hakmem_learn.h"  // IWYU pragma: export
#include "learning/decision.hpp"  // IWYU pragma: export
#include "learning/elo.hpp"
#include "learning/evolution.hpp"  // IWYU pragma: export
#include "learning/learning.hpp"   // IWYU pragma: export
#include "learning/strategy.hpp"   // IWYU pragma: export

namespace hak::policy {

template <World W>
struct Calls {
    static Decision decision() { return learner<W>.decision(); }
    static int number_of(Strategy s) { return static_cast<int>(index_of(s)); }
    static bool is_strategy(int number) {
        return number >= 0 && number < static_cast<int>(kStrategies);
    }

#if HAKMEM_WITH_EVOLUTION
    static int tick(std::uint64_t now_ns) {
        if (!decision().observes) return 0;
        // What has not come yet would stop the learner until it does.
        const std::uint64_t clock_ns = W::Pal::now_ns();
        return LearningObserver<W>::tick_at(now_ns < clock_ns ? now_ns : clock_ns) != Turn::none;
    }
    static bool is_canary() { return decision().phase == Phase::canary; }
    static int should_use_candidate() {
        if (!is_canary()) return 0;
        return learner<W>.with([](Decider& decider) {
            return decider.evolution().should_use_candidate(decider.random());
        });
    }
    static int candidate() {
        const Decision d = decision();
        return number_of(d.phase == Phase::canary ? d.candidate : d.confirmed);
    }
    static HAK_COLD struct hak_evo_stats stats() {
        struct hak_evo_stats s{};
        s.noted = learner<W>.noted();
        s.missed = learner<W>.missed();
        const EvolutionCounters c =
            learner<W>.with([](Decider& decider) { return decider.evolution().counters(); });
        s.windows = c.windows;
        s.freezes = c.freezes;
        s.relearns = c.relearns;
        s.promotions = c.promotions;
        s.rollbacks = c.rollbacks;
        s.generation = decision().generation;
        return s;
    }
#endif

#if HAKMEM_WITH_ELO
    static int select() {
        if (!decision().observes) return number_of(kDefaultStrategy);
        return number_of(learner<W>.with(
            [](Decider& decider) { return decider.chooser().select(decider.random()); }));
    }
    static std::size_t threshold(int strategy) {
        return threshold_of(is_strategy(strategy) ? strategy_at(static_cast<unsigned>(strategy))
                                                  : kDefaultStrategy);
    }
    static void record(int strategy, std::uint64_t nanoseconds) {
        if (!decision().observes || !is_strategy(strategy)) return;
        learner<W>.with([=](Decider& decider) {
            decider.chooser().record(strategy_at(static_cast<unsigned>(strategy)),
                                     {1, static_cast<double>(nanoseconds), 0, 0});
            return 0;
        });
    }
    static int recompute() {
        if (!decision().observes) return number_of(decision().strategy);
        return number_of(learner<W>.with([](Decider& decider) { return decider.recompute(); }));
    }
    static HAK_COLD struct hak_elo_entry entry(unsigned rank) {
        return learner<W>.with([rank](Decider& decider) {
            const Strategy s = decider.chooser().ranked(rank);
            const Rating& r = decider.chooser().rating(s);
            struct hak_elo_entry e{};
            e.strategy = number_of(s);
            e.active = r.active;
            e.threshold = threshold_of(s);
            e.rating = static_cast<double>(r.millipoints) / 1000;
            e.wins = r.wins;
            e.losses = r.losses;
            e.draws = r.draws;
            e.samples = decider.chooser().samples().count(s);
            return e;
        });
    }
#endif
};

}  // namespace hak::policy
