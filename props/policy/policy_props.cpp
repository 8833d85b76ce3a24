// policy_props.cpp: the learner's parts against what can be said of them without knowing how they
// work.
#include <algorithm>
#include <cmath>

#include "learning/elo.hpp"
#include "learning/evolution.hpp"
#include "learning/learner.hpp"
#include "learning/trials.hpp"
#include "options/options.hpp"
#include "props/kit/suite.hpp"
#include "props/kit/worlds.hpp"
#include "props/policy/ucb1.hpp"

namespace {

using namespace hak::policy;
using hak::exp_of, hak::log_of, hak::Random, hak::sqrt_of;
using kit::require;

void functions_agree_with_libm() {
    const double x = *rc::gen::inRange(-690'000, 690'000) / 1000.0;
    RC_ASSERT(std::abs(exp_of(x) / std::exp(x) - 1) < 1e-12);
    const double y = std::exp(x);
    RC_ASSERT(std::abs(log_of(y) - std::log(y)) <= 1e-12 * std::max(1.0, std::abs(std::log(y))));
    RC_ASSERT(std::abs(sqrt_of(y) / std::sqrt(y) - 1) < 1e-12);
}

// ELO

std::int64_t sum_of_ratings(const Elo& elo) {
    std::int64_t sum = 0;
    for (unsigned i = 0; i < kStrategies; ++i) sum += elo.rating(strategy_at(i)).millipoints;
    return sum;
}

void comparisons_conserve_ratings() {
    Elo elo;
    std::uint64_t count = 0;
    const auto games_played = *rc::gen::container<std::vector<unsigned>>(
        rc::gen::inRange(0u, kStrategies * kStrategies * 3));
    for (const unsigned x : games_played) {
        const Strategy a = strategy_at(x % kStrategies),
                       b = strategy_at(x / kStrategies % kStrategies);
        const unsigned score = x / (kStrategies * kStrategies);
        if (a == b) continue;
        const std::int64_t before_a = elo.rating(a).millipoints,
                           before_b = elo.rating(b).millipoints;
        elo.compare(a, b, score);
        const std::int64_t won = elo.rating(a).millipoints - before_a;
        RC_ASSERT(elo.rating(b).millipoints == before_b - won);
        RC_ASSERT(won <= Elo::kK && won >= -Elo::kK);
        if (score == 2) RC_ASSERT(won >= 0);
        if (score == 0) RC_ASSERT(won <= 0);
        // Equals share a draw; the stronger one loses by it.
        const bool is_fair = before_a == before_b  ? won == 0
                             : before_a > before_b ? won <= 0
                                                   : won >= 0;
        RC_ASSERT(score != 1 || is_fair);
        count += 1;
    }
    RC_ASSERT(sum_of_ratings(elo) == std::int64_t{1'500'000} * kStrategies);
    std::uint64_t games = 0, wins = 0, losses = 0;
    for (unsigned i = 0; i < kStrategies; ++i) {
        const Rating& r = elo.rating(strategy_at(i));
        games += r.wins + r.losses + r.draws;
        wins += r.wins;
        losses += r.losses;
    }
    RC_ASSERT(games == 2 * count);
    RC_ASSERT(wins == losses);
}

// Costs in any order, each at least a tenth above the next lower one: the ratings come to the same
// order, and the six dearest go.
void dominance_orders_ratings() {
    std::vector<unsigned> order(kStrategies);
    for (unsigned i = 0; i < kStrategies; ++i) order[i] = i;
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    for (unsigned i = kStrategies - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    Elo elo;
    for (int round = 0; round < 60 + static_cast<int>(Samples::kWarmUp); ++round) {
        double cost = 1000;
        for (const unsigned i : order) {
            elo.record(strategy_at(i), {16, 16 * cost, 4 * cost, 100 * cost});
            cost *= 1.1;
        }
    }
    for (int window = 0; window < 12; ++window) {
        const Strategy leader = elo.recompute();
        RC_ASSERT(leader == elo.best() && leader == elo.ranked(0));
        const std::int64_t rating = elo.rating(leader).millipoints;
        elo.recompute();
        RC_ASSERT(elo.rating(leader).millipoints == rating);
        double cost = 1000;
        for (const unsigned i : order)
            elo.record(strategy_at(i), {16, 16 * cost, 4 * cost, 100 * cost}), cost *= 1.1;
    }
    for (unsigned n = 0; n < kStrategies; ++n) {
        RC_ASSERT(elo.rating(strategy_at(order[n])).active == (n < Elo::kSurvivors));
        if (n < Elo::kSurvivors) RC_ASSERT(elo.ranked(n) == strategy_at(order[n]));
    }
    RC_ASSERT(elo.rating(elo.best()).millipoints > 1'500'000);
    RC_ASSERT(sum_of_ratings(elo) == std::int64_t{1'500'000} * kStrategies);
    Ucb1 ucb;
    for (int round = 0; round < 20; ++round) {
        double cost = 1000;
        for (const unsigned i : order)
            ucb.record(strategy_at(i), {16, 16 * (cost *= 1.1), 4 * cost, 100 * cost});
    }
    RC_ASSERT(ucb.best() == strategy_at(order[0]));
}

// Trials go on as they are, whoever compares in between, and whatever time a caller brings: each
// lasts as long as it must, and is its strategy's.
void trials_are_their_strategys() {
    constexpr std::uint64_t kHalf = 1000;
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    Trials<Elo> trials({}, kHalf);
    std::uint64_t now = 1'000'000'000, began = now;
    trials.begin(now, random.next());
    RC_ASSERT(trials.chooser().ranked(0) == trials.chooser().best());
    Strategy strategy = trials.strategy();
    for (int i = 0; i < 60 * static_cast<int>(kStrategies * Elo::kSamplesMin); ++i) {
        trials.note(1 << 20, 100.0 + random.below(20) + 10.0 * index_of(strategy));
        trials.recompute();
        RC_ASSERT(trials.strategy() == strategy);
        now += random.below(100);
        const std::uint64_t said = random.chance(200) ? now - random.below(5000) : now;
        if (trials.advance(said) != Stage::over) continue;
        RC_ASSERT(said >= began + 2 * kHalf);
        trials.close_trial(now, 0, 0);
        began = now;
        strategy = trials.strategy();
        trials.note(1 << 20, 100);
    }
    for (unsigned s = 0; s < kStrategies; ++s)
        RC_ASSERT(trials.chooser().samples().count(strategy_at(s)) >= Elo::kSamplesMin);
    RC_ASSERT(trials.evolution().phase() == Phase::learn);
}

// What a trial is charged with, where the stages follow one another at each look at the clock.
struct Charged {
    bool counts = false;
    double faults = 0;

    void note(std::size_t, double) {}
    Stage advance(std::uint64_t) { return (counts = !counts) ? Stage::counts : Stage::over; }
    Turn close_trial(std::uint64_t, double charged, double) { return faults = charged, Turn::none; }
    Decision decision() const { return {}; }
};

// The system counts a forked child's faults from zero, also in the trial that was open when the
// process forked.
void a_child_is_charged_with_its_own_faults() {
    Learner<kit::TinyWorld, Charged> learner;
    std::uint64_t faults = 5000, now = 0;
    const auto look = [&] {
        learner.tick(++now, [&] { return Reading{faults}; });
        return learner.with([](const Charged& trial) { return trial.faults; });
    };
    learner.start(Charged{}, now, {faults});
    look();
    faults += 40;
    require(look() == 40, "a trial with 40 faults is charged with others");
    look();
    faults = 7;
    const double charged = look();
    require(charged == 7, "the trial in which a process forked is charged with ", charged,
            " faults of the child's 7");
    look();
    faults = 9;
    require(look() == 2, "the child's next trial is charged with others");
}

// A process that idles for its first hour, and in which a trial takes 2.5 s (purge_delay=1s),
// learns as any other: nothing is frozen that was not tried, and a candidate at a third of the cost
// gets the trials that it needs.
void nothing_untried_is_frozen() {
    constexpr std::uint64_t kHalf = 1'250'000'000, kSecond = 1'000'000'000;
    Trials<Elo> trials({}, kHalf);
    std::uint64_t now = kSecond;
    trials.begin(now, 1);
    const auto look = [&] {
        return trials.advance(now) == Stage::over ? trials.close_trial(now, 0, 0) : Turn::none;
    };
    for (unsigned second = 0; second < 3600; ++second, now += kSecond)
        require(look() == Turn::none, "an idle learner makes a turn after ", second, " s");
    const auto next_turn = [&] {
        const std::uint64_t began = now;
        Turn turn = Turn::none;
        for (; turn == Turn::none; turn = look()) {
            require(now - began < 3 * 3600 * kSecond, "no turn in three hours");
            trials.note(std::size_t{2} << 20, trials.strategy() == Strategy::k8M ? 1000 : 3000);
            now += kSecond / 100;
        }
        return turn;
    };
    require(next_turn() == Turn::canary, "the first turn is no canary");
    for (unsigned i = 0; i < kStrategies; ++i) {
        const std::uint64_t samples = trials.chooser().samples().count(strategy_at(i));
        require(samples >= Elo::kSamplesMin, "LEARN ended with ", samples, " trials of strategy ",
                i);
    }
    require(next_turn() == Turn::promote && trials.decision().confirmed == Strategy::k8M,
            "a candidate at a third of the cost was not promoted");
}

// One choice in ten is no leader's; none goes to a strategy that was dropped.
void selection_explores() {
    Elo elo;
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    const unsigned favourite = *rc::gen::inRange(0u, kStrategies);
    for (int window = 0; window < 8; ++window) {
        for (unsigned i = 0; i < 200; ++i) {
            const Strategy s = elo.select(random);
            RC_ASSERT(elo.rating(s).active);
            elo.record(s, {1, index_of(s) == favourite ? 100.0 : 200.0, 1, 1});
        }
        elo.recompute();
    }
    RC_ASSERT(elo.best() == strategy_at(favourite));
    unsigned others = 0;
    for (int i = 0; i < 6000; ++i) others += elo.select(random) != elo.best();
    // A tenth explores, and one in six of those meets the leader: 500 in the mean, with a standard
    // deviation of 21.
    RC_ASSERT(others > 370u);
    RC_ASSERT(others < 630u);
}

// UCB1 gives doubt its benefit: of strategies that cost the same the one with the fewest trials
// comes next, for its cost may be the lowest yet. Much more evidence than doubt decides by cost.
void ucb1_tries_what_it_knows_least() {
    Ucb1 ucb;
    const unsigned rare = *rc::gen::inRange(0u, kStrategies);
    const unsigned fewer = *rc::gen::inRange(1u, 40u);
    // The first trials only tell what is usual.
    for (unsigned i = 0; i < Samples::kWarmUp; ++i) ucb.record(strategy_at(rare), {1, 100, 1, 1});
    for (unsigned i = 0; i < kStrategies; ++i)
        for (unsigned n = 0; n < (i == rare ? 50 - fewer : 50); ++n)
            ucb.record(strategy_at(i), {1, 100, 1, 1});
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(ucb.select(random) == strategy_at(rare));
    for (unsigned i = 0; i < kStrategies; ++i)
        for (unsigned n = 0; n < 2000; ++n)
            ucb.record(strategy_at(i), {1, i == rare ? 200.0 : 100.0, 1, 1});
    RC_ASSERT(ucb.select(random) != strategy_at(rare));
}

// Who was dropped is never tried again, and fades for as long as the others are compared, hours
// perhaps. They are still told apart then.
void what_fades_harms_nobody() {
    Elo elo;
    const auto trial = [&](Strategy s) {
        elo.record(s, {16, 16'000.0 + 4'000 * index_of(s), 64, 1600});
    };
    for (unsigned round = 0; round < Elo::kSamplesMin + Samples::kWarmUp; ++round) {
        for (unsigned i = 0; i < kStrategies; ++i) trial(strategy_at(i));
    }
    for (unsigned window = 0; window < 60'000; ++window) {
        elo.recompute();
        for (unsigned i = 0; i < Elo::kSurvivors; ++i) trial(elo.ranked(i));
        const double score = elo.score(Strategy::k512K);
        require(score > 0.7 && score < 0.9, "the cheapest strategy's score is ", score, " after ",
                window, " windows");
    }
    for (unsigned i = 0; i < Elo::kSurvivors; ++i)
        require(elo.ranked(i) == strategy_at(i), "place ", i,
                " is another strategy's after 60000 windows");
    require(
        elo.rating(Strategy::k512K).millipoints > elo.rating(Strategy::k768K).millipoints + 100'000,
        "the ratings have come together");
}

// A sample is never free, and one that took a thousand times longer than usual, or in which the
// process had a thousand times the faults, does not decide.
void samples_are_bounded() {
    Samples samples;
    const Strategy s = strategy_at(*rc::gen::inRange(0u, kStrategies)),
                   other = s == Strategy::k1M ? Strategy::k2M : Strategy::k1M;
    const double usual = *rc::gen::inRange(2, 1'000'000);
    // Of the faults as well, which may be none.
    const double pages = *rc::gen::inRange(0, 1000);
    for (unsigned i = 0; i < Samples::kWarmUp; ++i) samples.record(s, {1, usual, pages, 0});
    RC_ASSERT(samples.count(s) == 0u);
    for (int i = 0; i < 50; ++i) {
        samples.record(s, {1, i == 25 ? 1000 * usual : usual, i == 35 ? 1e6 : pages, 0});
        samples.record(other, {1, 2 * usual, 2 * pages + 1, 0});
    }
    RC_ASSERT(samples.count(s) == 50u);
    RC_ASSERT(samples.score(s, samples.mean()) < samples.score(other, samples.mean()));
    Samples idle;
    for (unsigned i = 0; i <= Samples::kWarmUp; ++i) idle.record(s, {64, 0, 0, 0});
    RC_ASSERT(idle.score(s, idle.mean()) > 0);
}

// P2: what holds for any stream, and how far the estimate may be off.

void p2_holds_for_any_stream() {
    const auto stream = *rc::gen::container<std::vector<int>>(rc::gen::weightedOneOf<int>(
        {{3, rc::gen::inRange(-5, 6)}, {1, rc::gen::arbitrary<int>()}}));
    P2Quantile p2(*rc::gen::element(0.5, 0.9, 0.99));
    for (const int x : stream) {
        p2.add(x);
        RC_ASSERT(p2.holds());
        RC_ASSERT(p2.least() <= p2.value());
        RC_ASSERT(p2.value() <= p2.most());
    }
    RC_ASSERT(p2.count() == stream.size());
    if (stream.empty()) return;
    RC_ASSERT(p2.least() == *std::min_element(stream.begin(), stream.end()));
    RC_ASSERT(p2.most() == *std::max_element(stream.begin(), stream.end()));
}

// The estimate of the p99 lies between the exact p98 and the exact p99.7 of 10,000 numbers, of
// distributions with light and heavy tails.
void p2_is_close() {
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    const int kind = *rc::gen::inRange(0, 4);
    P2Quantile p2(0.99);
    std::vector<double> all;
    for (int i = 0; i < 10'000; ++i) {
        const double u = (static_cast<double>(random.next() >> 11) + 0.5) * 0x1p-53;
        const double x = kind == 0   ? u
                         : kind == 1 ? -std::log(u)
                         : kind == 2 ? std::sqrt(u)
                                     : 1 / std::sqrt(u);
        all.push_back(x);
        p2.add(x);
    }
    std::sort(all.begin(), all.end());
    RC_ASSERT(p2.value() >= all[9800]);
    RC_ASSERT(p2.value() <= all[9970]);
}

// The example of Jain and Chlamtac's paper: the median of twenty observations is estimated as 4.44.
void p2_follows_the_paper() {
    P2Quantile p2(0.5);
    for (const double x : {0.02,  0.15,  0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92,
                           34.60, 10.28, 1.47, 0.40, 0.05, 11.39, 0.27,  0.42,  0.09,  11.37})
        p2.add(x);
    require(std::abs(p2.value() - 4.44) < 0.005, "the median of the paper's example is ",
            p2.value(), ", not 4.44");
}

// Evolution

// Windows of any kind: the phase changes along the arrows of evolution.hpp, and along no other.
void transitions_are_legal() {
    EvolutionConfig config;
    config.window_operations = 200;
    config.freeze_after_ns = 20'000;
    config.freeze_by_ns = 80'000;
    config.settled_windows = 3;
    config.canary_trials = 12;
    config.canary_by_ns = 6'000;
    config.judged_operations = 10;
    config.baseline_windows = 2;
    config.worse_windows = 2;
    config.canary_permille = 300;
    Evolution evolution(config);
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    std::uint64_t now = 1000;
    evolution.begin(now);
    std::uint64_t entered = now;
    double latency = 100;
    std::size_t bytes = std::size_t{1} << 20;
    const Cost mean{1, 100, 10, 1000};
    for (const unsigned steps :
         *rc::gen::container<std::vector<unsigned>>(60, rc::gen::inRange(0u, 1000u))) {
        if (steps % 11 == 0) latency *= 3;
        if (steps % 13 == 0) bytes <<= 3;
        if (bytes > (std::size_t{1} << 28)) bytes = std::size_t{1} << 18;
        const bool is_idle = steps % 17 == 0;
        for (unsigned i = 0; i < (is_idle ? 3 : 40); ++i) {
            evolution.note(bytes, latency * (1 + random.below(20) / 100.0));
            const bool candidate = evolution.should_use_candidate(random);
            RC_ASSERT(!candidate || evolution.phase() == Phase::canary);
            const double factor = candidate ? 0.7 + steps % 5 * 0.2 : 1;
            evolution.note_trial(candidate ? evolution.candidate() : evolution.confirmed(),
                                 {1, 100 * factor, 10 * factor, 1000 * factor});
        }
        now += 1000;
        const Phase before = evolution.phase();
        const Strategy confirmed = evolution.confirmed();
        const EvolutionCounters counted = evolution.counters();
        const Strategy best = strategy_at(steps / 300);
        const bool tried = steps % 7 != 0;
        const Turn turn = evolution.close_window(now, best, mean, tried);
        const Phase after = evolution.phase();
        const EvolutionCounters& counters = evolution.counters();
        switch (turn) {
            case Turn::none:
                RC_ASSERT(after == before);
                break;
            case Turn::freeze:
                RC_ASSERT(before == Phase::learn && after == Phase::frozen && best == confirmed);
                break;
            case Turn::canary:
                RC_ASSERT(before == Phase::learn && after == Phase::canary &&
                          evolution.candidate() == best && best != confirmed);
                break;
            case Turn::promote:
                RC_ASSERT(before == Phase::canary && after == Phase::frozen &&
                          evolution.confirmed() == evolution.candidate());
                break;
            case Turn::roll_back:
                RC_ASSERT(before == Phase::canary && after == Phase::frozen);
                break;
            case Turn::relearn:
                RC_ASSERT(before != Phase::learn && after == Phase::learn);
                break;
        }
        if (turn != Turn::promote) RC_ASSERT(evolution.confirmed() == confirmed);
        RC_ASSERT(counters.windows == counted.windows + 1);
        RC_ASSERT(counters.freezes ==
                  counted.freezes + (after == Phase::frozen && turn != Turn::none));
        RC_ASSERT(counters.relearns == counted.relearns + (turn == Turn::relearn));
        RC_ASSERT(counters.promotions == counted.promotions + (turn == Turn::promote));
        RC_ASSERT(counters.rollbacks == counted.rollbacks + (turn == Turn::roll_back));
        // Liveness: LEARN, once all is tried, and CANARY end.
        if (before == Phase::learn && turn == Turn::none)
            RC_ASSERT(!tried || now - entered < config.freeze_by_ns);
        if (before == Phase::learn && turn != Turn::none)
            RC_ASSERT(tried && now - entered >= config.freeze_after_ns);
        if (before == Phase::canary && turn == Turn::none)
            RC_ASSERT(now - entered < config.canary_by_ns);
        if (turn != Turn::none) entered = now;
        RC_ASSERT(evolution.window_operations() == 0u);
    }
    RC_CLASSIFY(evolution.counters().promotions > 0, "promoted");
    RC_CLASSIFY(evolution.counters().rollbacks > 0, "rolled back");
    RC_CLASSIFY(evolution.counters().relearns > 0, "learned again");
}

void quiet_windows_judge_nothing() {
    EvolutionConfig config;
    config.freeze_after_ns = 1;
    config.settled_windows = 1;
    Evolution evolution(config);
    evolution.begin(0);
    std::uint64_t now = 0;
    const auto window = [&](unsigned operations, double latency, std::size_t bytes) {
        for (unsigned i = 0; i < operations; ++i) evolution.note(bytes, latency);
        return evolution.close_window(now += 2'000'000'000, kDefaultStrategy, {}, true);
    };
    while (evolution.phase() == Phase::learn) {
        require(now < 100'000'000'000, "a settled learner does not freeze");
        window(200, 100, 1 << 20);
    }
    require(evolution.confirmed() == kDefaultStrategy, "the freeze confirmed another strategy");
    for (int i = 0; i < 10; ++i)
        require(window(200, 100, 1 << 20) == Turn::none, "an unchanged workload makes a turn");
    for (int i = 0; i < 10; ++i)
        require(window(50, 1e6, 1 << 26) == Turn::none, "a window with few operations was judged");
    for (int i = 0; i < 10; ++i)
        require(window(200, 119, 1 << 20) == Turn::none, "windows 19 % slower make a turn");
    for (int i = 0; i < 2; ++i)
        require(window(200, 121, 1 << 20) == Turn::none, "two slow windows make a turn");
    require(window(200, 100, 1 << 20) == Turn::none, "a good window makes a turn");
    for (int i = 0; i < 2; ++i)
        require(window(200, 121, 1 << 20) == Turn::none,
                "slow windows that are not consecutive make a turn");
    require(window(200, 121, 1 << 20) == Turn::relearn, "three slow windows make no turn");
    while (evolution.phase() == Phase::learn) window(200, 121, 1 << 20);
    window(200, 121, 1 << 20);
    const auto mixed = [&](unsigned large) {
        for (unsigned i = 0; i < large; ++i) evolution.note(1 << 26, 100);
        return window(200 - large, 100, 1 << 20);
    };
    require(mixed(48) == Turn::none, "24 % of other sizes make a turn");
    require(mixed(52) == Turn::relearn, "26 % of other sizes make no turn");
}

// A learner whose best changes all the time settles by its p99 alone: within 1 % for three windows,
// and 180 s after the start.
void a_steady_p99_settles() {
    Evolution evolution;
    evolution.begin(0);
    std::uint64_t now = 0;
    unsigned windows = 0;
    const auto window = [&](double latency) {
        for (unsigned i = 0; i < 200; ++i) evolution.note(1 << 20, latency);
        return evolution.close_window(now += 2'000'000'000, strategy_at(windows++ % 2), {}, true);
    };
    for (unsigned i = 0; i < 89; ++i)
        require(window(100) == Turn::none, "LEARN ended after ", now / 1'000'000'000, " s");
    for (unsigned i = 0; i < 50; ++i)
        require(window(i % 2 == 0 ? 102 : 100) == Turn::none, "a p99 that changes by 2 % settles");
    for (unsigned i = 0; i < 2; ++i)
        require(window(100.5) == Turn::none, "two windows alike settle");
    require(window(100) == Turn::canary, "three windows within 1 % do not settle");
}

// One decision in twenty is the candidate's.
void canaries_get_one_trial_in_twenty() {
    EvolutionConfig config;
    config.freeze_by_ns = 0;
    Evolution evolution(config);
    Random random(*rc::gen::arbitrary<std::uint64_t>());
    unsigned candidates = evolution.should_use_candidate(random);
    evolution.begin(0);
    evolution.close_window(1, Strategy::k8M, {}, true);
    RC_ASSERT(evolution.phase() == Phase::canary);
    for (int i = 0; i < 20'000; ++i) candidates += evolution.should_use_candidate(random);
    // 1000 in the mean, with a standard deviation of 31.
    RC_ASSERT(candidates > 800u);
    RC_ASSERT(candidates < 1200u);
}

// The ladder that the page and its header give.
void thresholds_are_hakmems() {
    constexpr std::size_t kKib[] = {512,  768,  1024, 1536,  2048,  3072,
                                    4096, 6144, 8192, 12288, 16384, 32768};
    static_assert(sizeof kKib / sizeof *kKib == kStrategies);
    for (unsigned i = 0; i < kStrategies; ++i)
        require(threshold_of(strategy_at(i)) == kKib[i] << 10, "strategy ", i, " is ",
                threshold_of(strategy_at(i)) >> 10, " KiB");
    require(Elo::kK == 32'000 && Elo::kSamplesMin == 50 && Elo::kSurvivors == 6 &&
                Rating{}.millipoints == 1'500'000,
            "the constants of ELO");
    const EvolutionConfig config;
    require(config.window_operations == 10'000 && config.window_ns == 2'000'000'000,
            "a window is 10,000 operations or 2 s");
}

// A candidate that was rolled back once is judged anew the next time, by the trials of that canary
// alone.
void canaries_are_judged_by_their_own_trials() {
    EvolutionConfig config;
    config.freeze_after_ns = 1;
    config.settled_windows = 1;
    Evolution evolution(config);
    evolution.begin(0);
    std::uint64_t now = 0;
    std::size_t bytes = std::size_t{1} << 20;
    const Cost mean{1, 100, 10, 1000};
    const auto canary = [&](double factor) {
        while (evolution.phase() != Phase::canary) {
            require(now < 100'000'000'000,
                    "a settled learner whose best is another strategy starts no canary");
            for (int i = 0; i < 200; ++i) evolution.note(bytes, 100);
            evolution.close_window(now += 2'000'000'000, Strategy::k8M, mean, true);
        }
        for (unsigned i = 0; i < config.canary_trials + Samples::kWarmUp; ++i) {
            evolution.note_trial(evolution.confirmed(), mean);
            evolution.note_trial(evolution.candidate(),
                                 {1, 100 * factor, 10 * factor, 1000 * factor});
        }
        for (int i = 0; i < 200; ++i) evolution.note(bytes, 100);
        return evolution.close_window(now += 2'000'000'000, Strategy::k8M, mean, true);
    };
    require(canary(2) == Turn::roll_back, "a candidate at twice the cost was not rolled back");
    for (int i = 0; i < 200; ++i) evolution.note(bytes, 100);
    evolution.close_window(now += 2'000'000'000, Strategy::k8M, mean, true);
    bytes <<= 5;
    for (int i = 0; i < 200; ++i) evolution.note(bytes, 100);
    require(
        evolution.close_window(now += 2'000'000'000, Strategy::k8M, mean, true) == Turn::relearn,
        "other sizes make no turn");
    require(
        canary(0.5) == Turn::promote,
        "a candidate at half the cost was not promoted, perhaps for what it cost the last time");
    require(evolution.confirmed() == Strategy::k8M,
            "another strategy than the candidate was promoted");
}

// A freed block that the threshold sends to the batch is purged soon, one that it keeps out is
// cached. Were the batch as large as the cache, both would stay as long.
void batch_is_smaller_than_the_cache() {
    for (unsigned m = 0; m < hak::kModeCount; ++m) {
        const auto mode = static_cast<hak::Mode>(m);
        hak::Options options{};
        hak::set_mode(options, mode);
        require(!hak::learns(mode) ||
                    options.tunables.batch_bytes_max <= options.tunables.cache_bytes_max / 8,
                "mode ", m, " learns, and its batch holds ", options.tunables.batch_bytes_max,
                " bytes, its cache ", options.tunables.cache_bytes_max);
    }
}

}  // namespace

int main(int argc, char** argv) {
    kit::Suite suite(argc, argv, 200);
    suite.property("exp, log and sqrt agree with libm", functions_agree_with_libm);
    suite.property("ELO: comparisons conserve ratings", comparisons_conserve_ratings);
    suite.property("ELO: dominance orders ratings", dominance_orders_ratings);
    suite.property("ELO: selection explores", selection_explores);
    suite.property("UCB1: tries what it knows least", ucb1_tries_what_it_knows_least);
    suite.example("a child is charged with its own faults", a_child_is_charged_with_its_own_faults);
    suite.example("nothing untried is frozen", nothing_untried_is_frozen);
    suite.property("samples are bounded", samples_are_bounded);
    suite.property("P2 holds for any stream", p2_holds_for_any_stream);
    suite.property("P2 is close", p2_is_close);
    suite.example("P2 follows the paper", p2_follows_the_paper);
    suite.property("Evolution: transitions are legal", transitions_are_legal);
    suite.example("Evolution: quiet windows judge nothing", quiet_windows_judge_nothing);
    suite.example("Evolution: a steady p99 settles", a_steady_p99_settles);
    suite.property("Evolution: canaries get one trial in twenty", canaries_get_one_trial_in_twenty);
    suite.example("thresholds and constants are hakmem's", thresholds_are_hakmems);
    suite.example("modes that learn: the batch is smaller than the cache",
                  batch_is_smaller_than_the_cache);
    suite.example("Evolution: canaries are judged by their own trials",
                  canaries_are_judged_by_their_own_trials);
    // These take most of the time.
    suite.property("trials are their strategy's", trials_are_their_strategys);
    suite.example("ELO: what fades harms nobody", what_fades_harms_nobody);
    return suite.finish();
}
