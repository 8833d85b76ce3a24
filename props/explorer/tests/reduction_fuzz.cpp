// reduction_fuzz.cpp: random programs, explored three ways that must agree: naively, with sleep
// sets, and on paper (axioms.hpp).
//
//     explorer_reduction_fuzz [--seed N] [--programs N]      N programs, from seed N on
//     explorer_reduction_fuzz --program 'TEXT'               one program
//     explorer_reduction_fuzz --self-test                    each wrong dependency rule of
//     explorer::Defect is found
//     --largest N   programs with more naive executions are skipped (and counted)
//
// Compared, with stores inserted anywhere and appended, under x86's orders and under SC: the sets
// of graph hashes and of outcomes; against the axioms, which know nothing of hashes (and of x86),
// how many graphs there are and the outcomes. Programs with plain words: whether there is a data
// race, and if not, all of that. Programs with loops: whether threads may wait for ever, and if
// not, the outcomes, with failed rounds cut and followed. Programs with choices: graphs and
// outcomes, without the axioms, which have none. Random modes may show nothing that the exhaustive
// search does not have.
#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <stdexcept>

#include "props/explorer/tests/axioms.hpp"
#include "props/explorer/tests/generate.hpp"
#include "props/explorer/tests/run.hpp"

namespace {

using namespace litmus;
using explorer::Defect;
using explorer::Orders;
using explorer::Stores;

struct Settings {
    std::uint64_t seed = 1;
    std::uint64_t programs = 1000;
    std::uint64_t largest = 20000;
    std::string program;
    bool self_test = false;
};

// A way to explore, and what the axioms must say to agree with it; for x86 there are none.
struct Way {
    const char* name;
    Stores stores;
    Orders orders;
    Model model;
};
constexpr Way kWays[] = {
    {"insert", Stores::insert, Orders::declared, {.sc_follows_execution = true}},
    {"append",
     Stores::append,
     Orders::declared,
     {.sc_follows_execution = true, .mo_follows_execution = true}},
    {"x86", Stores::insert, Orders::x86, {}},
    {"SC", Stores::insert, Orders::sc, {.sequential = true}},
};

struct Totals {
    std::uint64_t compared = 0, skipped = 0, racy = 0, stuck = 0, graphs = 0, naive = 0,
                  reduced = 0, sleep_blocked = 0;
};

explorer::Options options_for(const Way& way) {
    explorer::Options options;
    options.stores = way.stores;
    options.orders = way.orders;
    options.max_seconds = 0;
    options.spurious = 8;
    options.explain = false;
    options.keep_graphs = true;
    return options;
}

std::string counts(const Run& run) {
    return std::to_string(run.result.graphs) + " graphs, " + std::to_string(run.outcomes.size()) +
           " outcomes" + (run.result.ok() ? "" : ", " + run.result.message);
}

bool has(const Program& program, std::initializer_list<Kind> kinds) {
    for (const Thread& thread : program)
        for (const Op& op : thread)
            if (std::find(kinds.begin(), kinds.end(), op.kind) != kinds.end()) return true;
    return false;
}
bool has_loops(const Program& program) {
    return has(program, {Kind::await, Kind::cas_loop});
}

// What a few random executions show and the exhaustive search does not.
std::string random_difference(const Program& program, const Way& way, const Run& exhaustive) {
    using explorer::Kind, explorer::Mode;
    for (Mode mode : {Mode::uniform, Mode::pct, Mode::pos}) {
        explorer::Options options = options_for(way);
        options.mode = mode;
        options.max_executions = 20;
        const Run random = run(program, options);
        const bool subset = std::includes(exhaustive.outcomes.begin(), exhaustive.outcomes.end(),
                                          random.outcomes.begin(), random.outcomes.end());
        if (exhaustive.result.ok()
                ? !random.result.ok() || !subset
                : !random.result.ok() && random.result.kind != exhaustive.result.kind)
            return "random executions: " + counts(random) + "; exhaustive: " + counts(exhaustive);
    }
    return {};
}

// What differs, or nothing. A program that is too large differs in nothing.
std::string difference(const Program& program, const Way& way, Defect defect,
                       const Settings& settings, Totals& totals) {
    using explorer::Kind;
    explorer::Options naively = options_for(way), reducing = options_for(way);
    naively.sleep_sets = false;
    naively.prune_retries = false;
    naively.max_executions = settings.largest;
    reducing.defect = defect;
    const Run naive = run(program, naively);
    if (naive.result.kind == Kind::budget) {
        ++totals.skipped;
        return {};
    }
    const Run reduced = run(program, reducing);
    ++totals.compared;
    totals.naive += naive.result.executions;
    totals.reduced += reduced.result.executions;
    totals.sleep_blocked += reduced.result.sleep_blocked;
    totals.graphs += reduced.result.graphs;

    const std::string both = "naive: " + counts(naive) + "; sleep sets: " + counts(reduced);
    const bool race = naive.result.kind == Kind::data_race,
               stuck = naive.result.kind == Kind::liveness, ends = naive.result.ok();
    totals.racy += race;
    totals.stuck += stuck;
    if (naive.result.kind != reduced.result.kind || !(race || stuck || ends)) return both;
    // A failed round is a read, so that cutting it cuts graphs, though no outcomes.
    const bool same_graphs =
        has_loops(program) || naive.result.graph_hashes == reduced.result.graph_hashes;
    if (ends && (!same_graphs || naive.outcomes != reduced.outcomes)) return both;
    if (defect != Defect::none) return {};
    if (std::string random = random_difference(program, way, naive); !random.empty()) return random;
    if (way.orders == Orders::x86 || has(program, {litmus::Kind::choose})) return {};

    Verdict verdict;
    try {
        verdict = judge(program, way.model);
    } catch (const std::length_error&) {
        // the failed rounds of its loops are too many to write down
        ++totals.skipped;
        return {};
    }
    if (race != verdict.race || stuck != verdict.stuck)
        return std::string("axioms: ") +
               (verdict.race    ? "a race"
                : verdict.stuck ? "waiting for ever"
                                : "neither races nor waits for ever") +
               "; engine: " + counts(naive);
    const bool same_count = has_loops(program) || reduced.result.graphs == verdict.graphs;
    if (ends && (!same_count || reduced.outcomes != verdict.outcomes))
        return "axioms: " + std::to_string(verdict.graphs) + " graphs, " +
               std::to_string(verdict.outcomes.size()) + " outcomes; engine: " + counts(reduced);
    return {};
}

bool differs(const Program& program, Defect defect, const Settings& settings, Totals& totals,
             std::string* text = nullptr) {
    for (const Way& way : kWays) {
        // The defects are rules of the declared orders.
        if (defect != Defect::none && way.orders != Orders::declared) continue;
        std::string what = difference(program, way, defect, settings, totals);
        if (what.empty()) continue;
        if (text) *text = std::string(way.name) + ": " + what;
        return true;
    }
    return false;
}

Program generated(std::uint64_t seed) {
    constexpr Flavor kFlavors[] = {Flavor::plain, Flavor::straight, Flavor::loops, Flavor::straight,
                                   Flavor::choices};
    return Generator(seed, kFlavors[seed % std::size(kFlavors)]).program();
}

// Prints what differs, and the program, as small as it gets.
void explain(const Program& program, const std::string& what, const Settings& settings) {
    Totals totals;
    const Program small = smallest(
        program, [&](const Program& p) { return differs(p, Defect::none, settings, totals); });
    std::string text;
    if (differs(small, Defect::none, settings, totals, &text))
        std::printf("FAILED %s\n  reproduce: explorer_reduction_fuzz --program '%s'\n",
                    text.c_str(), to_text(small).c_str());
    else
        std::printf(
            "FAILED %s\n  only after the programs before it: the engine remembers what it should "
            "not\n",
            what.c_str());
}

int compare(const Settings& settings) {
    Totals totals;
    for (std::uint64_t seed = settings.seed; seed < settings.seed + settings.programs; ++seed) {
        const Program program =
            settings.program.empty() ? generated(seed) : parse(settings.program);
        std::string what;
        if (differs(program, Defect::none, settings, totals, &what)) {
            std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                        to_text(program).c_str());
            explain(program, what, settings);
            return 1;
        }
        if (!settings.program.empty()) break;
    }
    std::printf(
        "reduction fuzz: %llu comparisons (%llu racy, %llu stuck), %llu skipped as too large; %llu "
        "graphs in %llu executions, naively %llu; "
        "%llu cut by sleep sets\n",
        static_cast<unsigned long long>(totals.compared),
        static_cast<unsigned long long>(totals.racy), static_cast<unsigned long long>(totals.stuck),
        static_cast<unsigned long long>(totals.skipped),
        static_cast<unsigned long long>(totals.graphs),
        static_cast<unsigned long long>(totals.reduced),
        static_cast<unsigned long long>(totals.naive),
        static_cast<unsigned long long>(totals.sleep_blocked));
    if (totals.compared == 0 || totals.skipped > totals.compared / 5) {
        std::printf("FAILED too few programs were small enough to compare\n");
        return 1;
    }
    return 0;
}

// A wrong dependency rule must show within the programs that CI compares.
int self_test(const Settings& settings) {
    struct Named {
        Defect defect;
        const char* name;
    };
    constexpr Named kDefects[] = {
        {Defect::sc_rmw_commutes_with_sc_load, "SC read-modify-writes commute with SC loads"},
        {Defect::sc_fence_commutes_with_sc_load, "SC fences commute with SC loads"}};
    int missed = 0;
    for (const Named& named : kDefects) {
        Totals totals;
        std::uint64_t seed = settings.seed;
        while (seed < settings.seed + settings.programs &&
               !differs(generated(seed), named.defect, settings, totals))
            ++seed;
        if (seed == settings.seed + settings.programs) {
            std::printf("FAILED not found in %llu programs: %s\n",
                        static_cast<unsigned long long>(settings.programs), named.name);
            ++missed;
            continue;
        }
        const Program small = smallest(generated(seed), [&](const Program& p) {
            return differs(p, named.defect, settings, totals);
        });
        std::printf("found by seed %llu: %s, as in %s\n", static_cast<unsigned long long>(seed),
                    named.name, to_text(small).c_str());
    }
    return missed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) try {
    Settings settings;
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--self-test") {
            settings.self_test = true;
            continue;
        }
        if (i + 1 == argc) throw std::invalid_argument(name + " needs a value, or is not known");
        const char* const value = argv[++i];
        if (name == "--seed")
            settings.seed = std::stoull(value);
        else if (name == "--programs")
            settings.programs = std::stoull(value);
        else if (name == "--largest")
            settings.largest = std::stoull(value);
        else if (name == "--program")
            settings.program = value;
        else
            throw std::invalid_argument("unknown option " + name);
    }
    return settings.self_test ? self_test(settings) : compare(settings);
} catch (const std::exception& e) {
    std::fprintf(stderr, "explorer_reduction_fuzz: %s\n", e.what());
    return 2;
}
