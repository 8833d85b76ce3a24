// learning_calls.hpp: the functions of hakmem_learn.h. Included by library.cpp alone, at global
// scope.
#pragma once

#include "hakmem/hakmem_learn.h"

namespace hak::api {

using policy::Decision, policy::Phase, policy::Strategy;

inline auto& the_learner = learner<RealWorld>;
inline Decision decision() {
    return the_learner.decision();
}
inline int number_of(Strategy s) {
    return static_cast<int>(policy::index_of(s));
}
inline bool is_strategy(int number) {
    return number >= 0 && number < static_cast<int>(policy::kStrategies);
}

// A struct of the caller's, which may be older and shorter than ours.
template <class T>
int give(const T& value, T* out, std::size_t bytes) {
    if (out == nullptr) return EINVAL;
    std::memcpy(out, &value, bytes < sizeof value ? bytes : sizeof value);
    return 0;
}

#if HAKMEM_WITH_EVOLUTION
HAK_COLD inline struct hak_evo_stats evolution_stats() {
    struct hak_evo_stats s{};
    s.noted = the_learner.noted();
    s.missed = the_learner.missed();
    const policy::EvolutionCounters c =
        the_learner.with([](Mind& mind) { return mind.evolution().counters(); });
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
HAK_COLD inline struct hak_elo_entry entry(unsigned rank) {
    return the_learner.with([rank](Mind& mind) {
        const Strategy s = mind.chooser().ranked(rank);
        const policy::Rating& r = mind.chooser().rating(s);
        struct hak_elo_entry e{};
        e.strategy = number_of(s);
        e.active = r.active;
        e.threshold = policy::threshold_of(s);
        e.rating = static_cast<double>(r.millipoints) / 1000;
        e.wins = r.wins;
        e.losses = r.losses;
        e.draws = r.draws;
        e.samples = mind.chooser().samples().count(s);
        return e;
    });
}
#endif

}  // namespace hak::api

extern "C" {

HAK_EXPORT unsigned hak_learning_features(void) {
    hak::start<hak::RealWorld>();
    return hak::api::decision().observes ? HAKMEM_WITH_EVOLUTION * HAKMEM_FEATURE_EVOLUTION +
                                               HAKMEM_WITH_ELO * HAKMEM_FEATURE_ELO
                                         : 0;
}
HAK_EXPORT int hak_init(void) {
    return hak::start<hak::RealWorld>() ? 0 : ENOMEM;
}

#if HAKMEM_WITH_EVOLUTION
HAK_EXPORT int hak_evo_tick(uint64_t now_ns) {
    if (!hak::api::decision().observes) return 0;
    // What has not come yet would stop the learner until it does.
    const std::uint64_t clock_ns = hak::RealWorld::Pal::now_ns();
    return hak::RealWorld::Observer::tick_at(now_ns < clock_ns ? now_ns : clock_ns) !=
           hak::policy::Turn::none;
}
HAK_EXPORT int hak_evo_is_frozen(void) {
    return hak::api::decision().phase == hak::policy::Phase::frozen;
}
HAK_EXPORT int hak_evo_is_canary(void) {
    return hak::api::decision().phase == hak::policy::Phase::canary;
}
HAK_EXPORT int hak_evo_should_use_candidate(void) {
    if (!hak_evo_is_canary()) return 0;
    return hak::api::the_learner.with(
        [](hak::Mind& mind) { return mind.evolution().should_use_candidate(mind.random()); });
}
HAK_EXPORT int hak_evo_get_confirmed_strategy(void) {
    return hak::api::number_of(hak::api::decision().confirmed);
}
HAK_EXPORT int hak_evo_get_candidate_strategy(void) {
    const hak::api::Decision d = hak::api::decision();
    return hak::api::number_of(d.phase == hak::policy::Phase::canary ? d.candidate : d.confirmed);
}
HAK_EXPORT int hak_evo_get_stats(struct hak_evo_stats* out, size_t bytes) {
    return hak::api::give(hak::api::evolution_stats(), out, bytes);
}
#endif

#if HAKMEM_WITH_ELO
HAK_EXPORT int hak_elo_is_initialized(void) {
    return hak::api::decision().observes;
}
HAK_EXPORT int hak_elo_select_strategy(void) {
    if (!hak::api::decision().observes) return hak::api::number_of(hak::policy::kDefaultStrategy);
    return hak::api::number_of(hak::api::the_learner.with(
        [](hak::Mind& mind) { return mind.chooser().select(mind.random()); }));
}
HAK_EXPORT size_t hak_elo_get_threshold(int strategy) {
    return hak::policy::threshold_of(hak::api::is_strategy(strategy)
                                         ? hak::policy::strategy_at(static_cast<unsigned>(strategy))
                                         : hak::policy::kDefaultStrategy);
}
HAK_EXPORT void hak_elo_record_alloc(int strategy, size_t /*size*/, uint64_t nanoseconds) {
    if (!hak::api::decision().observes || !hak::api::is_strategy(strategy)) return;
    hak::api::the_learner.with([=](hak::Mind& mind) {
        mind.chooser().record(hak::policy::strategy_at(static_cast<unsigned>(strategy)),
                              {1, static_cast<double>(nanoseconds), 0, 0});
        return 0;
    });
}
HAK_EXPORT int hak_elo_async_recompute(void) {
    if (!hak::api::decision().observes) return hak_elo_get_cached_strategy();
    return hak::api::number_of(
        hak::api::the_learner.with([](hak::Mind& mind) { return mind.recompute(); }));
}
HAK_EXPORT int hak_elo_get_cached_strategy(void) {
    return hak::api::number_of(hak::api::decision().strategy);
}
HAK_EXPORT int hak_elo_get_entry(unsigned rank, struct hak_elo_entry* out, size_t bytes) {
    if (rank >= hak::policy::kStrategies) return EINVAL;
    return hak::api::give(hak::api::entry(rank), out, bytes);
}
#endif

}  // extern "C"
