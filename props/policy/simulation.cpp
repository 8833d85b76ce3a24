// simulation.cpp: the learner under a virtual clock, on workloads whose best strategy is known.
// Prints what ELO and UCB1 reach, and fails where ELO, which ships, does not reach what
// docs/learning.md promises.
//
//   policy_simulation [--seeds N] [--seed FIRST]
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "learning/elo.hpp"
#include "props/policy/ucb1.hpp"
#include "props/policy/workload.hpp"

namespace {

using hak::policy::Phase;
using hak::policy::Turn;
using simulation::Process;
using simulation::Random;
using simulation::Strategy;
using simulation::Workload;

unsigned wrong = 0;

void expect(bool holds, const char* what, std::uint64_t seed, std::uint64_t seeds = 1) {
    if (holds) return;
    wrong += 1;
    std::printf("FAILED: %s\nreproduce: policy_simulation --seed %" PRIu64 " --seeds %" PRIu64 "\n",
                what, seed, seeds);
}

struct Totals {
    unsigned seeds = 0, near = 0, exact = 0, frozen = 0;
    double seconds_to_freeze = 0;
    double regret[2] = {};  // after kTrials, and twice as many
};

constexpr std::uint64_t kTrials = 20'000;  // 256 virtual seconds
constexpr double kNear = 0.02;

template <class Chooser>
void learn(Totals& totals, std::uint64_t seed, bool freezes = true) {
    Random random(seed);
    const Workload workload = Workload::drawn(random);
    Process<Chooser> process(workload, seed, {.freezes = freezes});
    bool counted = false;
    for (double& regret : totals.regret) {
        const std::uint64_t until = kTrials << (&regret - totals.regret);
        while (process.count() < until) {
            process.trial();
            if (!counted && process.trials().evolution().phase() == Phase::frozen) {
                counted = true;
                totals.seconds_to_freeze += static_cast<double>(process.now_ns()) * 1e-9;
            }
        }
        regret += process.regret();
    }
    const Strategy chosen = process.trials().evolution().confirmed();
    totals.seeds += 1;
    totals.frozen += counted;
    totals.near += workload.excess(chosen) <= kNear;
    totals.exact += chosen == workload.best();
}

// The workload changes after the freeze.
template <class Chooser>
void relearn(Totals& totals, std::uint64_t seed) {
    Random random(seed ^ 0x5eed);
    const Workload before({{0.5, std::size_t{700} << 10, 500}, {0.5, std::size_t{5} << 20, 1}});
    Workload after = Workload::drawn(random);
    while (after.sizes().distance(before.sizes()) < 0.4) after = Workload::drawn(random);
    Process<Chooser> process(before, seed);
    while (process.trials().evolution().phase() != Phase::frozen && process.count() < 8 * kTrials)
        process.trial();
    process.run(1000);
    process.become(after);
    const bool noticed = process.run_until(Turn::relearn, 2000);
    while (process.trials().evolution().phase() != Phase::frozen && process.count() < 16 * kTrials)
        process.trial();
    totals.seeds += 1;
    totals.frozen += noticed && process.trials().evolution().phase() == Phase::frozen;
    totals.near += after.excess(process.trials().evolution().confirmed()) <= kNear;
    totals.exact += process.trials().evolution().confirmed() == after.best();
}

// A candidate that costs more in the canary than it did in LEARN goes.
void roll_back(std::uint64_t seed) {
    const Workload workload({{0.5, std::size_t{700} << 10, 500}, {0.5, std::size_t{5} << 20, 1}});
    Process<hak::policy::Elo> process(workload, seed);
    if (!process.run_until(Turn::canary, 8 * kTrials))
        return expect(false, "no canary for a better candidate", seed);
    process.handicap_candidate();
    Turn turn = Turn::none;
    while (turn == Turn::none && process.count() < 16 * kTrials) turn = process.trial();
    expect(turn == Turn::roll_back, "a worse canary was not rolled back", seed);
    expect(process.trials().evolution().confirmed() == hak::policy::kDefaultStrategy,
           "a roll-back changed the confirmed strategy", seed);
}

void print(const char* name, const Totals& t) {
    std::printf("%-14s %5u %6.1f%% %6.1f%% %6.1f%% %8.0f s %9.1f %9.1f\n", name, t.seeds,
                100.0 * t.near / t.seeds, 100.0 * t.exact / t.seeds, 100.0 * t.frozen / t.seeds,
                t.frozen == 0 ? 0 : t.seconds_to_freeze / t.frozen, t.regret[0] / t.seeds,
                t.regret[1] / t.seeds);
}

// A number of a whole word; 0 if it is none.
std::uint64_t number(const char* word) {
    char* end = nullptr;
    const std::uint64_t n = std::strtoull(word, &end, 10);
    return *end == '\0' && *word >= '0' && *word <= '9' ? n : 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 1, seeds = 200;
    for (int i = 1; i < argc; i += 2) {
        const bool is_seeds = std::strcmp(argv[i], "--seeds") == 0,
                   is_known = is_seeds || std::strcmp(argv[i], "--seed") == 0;
        const std::uint64_t n = is_known && i + 1 < argc ? number(argv[i + 1]) : 0;
        if (n == 0) {
            std::fprintf(stderr,
                         "usage: policy_simulation [--seeds N] [--seed FIRST], both at least 1\n");
            return 2;
        }
        (is_seeds ? seeds : first) = n;
    }
    Totals elo, ucb, elo_for_ever, ucb_for_ever, elo_again, ucb_again;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        learn<hak::policy::Elo>(elo, seed);
        learn<hak::policy::Ucb1>(ucb, seed);
        if (seed % 4 != first % 4) continue;  // the rest needs fewer seeds
        learn<hak::policy::Elo>(elo_for_ever, seed, false);
        learn<hak::policy::Ucb1>(ucb_for_ever, seed, false);
        relearn<hak::policy::Elo>(elo_again, seed);
        relearn<hak::policy::Ucb1>(ucb_again, seed);
        roll_back(seed);
    }
    std::printf("%-14s %5s %7s %7s %7s %10s   regret after %" PRIu64 " trials, and twice as many\n",
                "", "seeds", "near", "best", "frozen", "frozen at", kTrials);
    print("ELO", elo);
    print("UCB1", ucb);
    print("ELO, research", elo_for_ever);
    print("UCB1, research", ucb_for_ever);
    print("ELO, shifted", elo_again);
    print("UCB1, shifted", ucb_again);
    expect(elo.near * 100 >= elo.seeds * 95,
           "ELO ends near the best strategy in fewer than 95 % of the seeds", first, seeds);
    expect(elo_again.near * 100 >= elo_again.seeds * 95,
           "after a shift ELO ends near the best strategy in fewer than 95 % of the seeds", first,
           seeds);
    expect(elo.frozen == elo.seeds && elo_again.frozen == elo_again.seeds,
           "some run never froze, or never noticed the shift", first, seeds);
    expect(elo.regret[1] <= 1.05 * elo.regret[0], "regret goes on growing after the freeze", first,
           seeds);
    std::printf("%s\n", wrong == 0 ? "OK" : "FAILED");
    if (std::fflush(stdout) != 0) return std::perror("policy_simulation: standard output"), 1;
    return wrong == 0 ? 0 : 1;
}
