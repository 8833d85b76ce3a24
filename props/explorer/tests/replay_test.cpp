// replay_test.cpp: a witness is its own proof. Whatever search finds one of the failures of
// controls.cpp, more_controls.cpp and shapes.cpp, its digits alone lead to the same failure by the
// same steps, in every mode and as often as one likes; and a search is a function of its options.
#include <set>
#include <stdexcept>

#include "props/explorer/driver.hpp"
#include "props/explorer/tests/report.hpp"

namespace {

using explorer::Case;
using explorer::Kind;
using explorer::Mode;
using explorer::Options;
using explorer::Result;

struct Named {
    Mode mode;
    const char* name;
};
constexpr Named kModes[] = {{Mode::exhaustive, "exhaustive"},
                            {Mode::deviations, "deviations"},
                            {Mode::uniform, "uniform"},
                            {Mode::pct, "pct"},
                            {Mode::pos, "pos"}};

Options in_mode(const Case& scenario, Mode mode) {
    Options options = scenario.options;
    options.mode = mode;
    if (mode != Mode::exhaustive) options.max_executions = 50000;
    return options;
}

const Case& named(const std::string& name) {
    for (const Case& scenario : explorer::cases())
        if (scenario.name == name) return scenario;
    throw std::invalid_argument(name);
}

void replays(const Case& scenario, const Result& found, const std::string& name) {
    for (const Named& mode : kModes) {
        Options options = in_mode(scenario, mode.mode);
        options.has_replay = true;
        options.replay = found.witness;
        const Result again = explorer::explore(options, scenario.body);
        const std::string replay = name + ", replayed in mode " + mode.name;
        report::equal(replay + ": kind", std::string(name_of(again.kind)),
                      std::string(name_of(found.kind)));
        report::equal(replay + ": message", again.message, found.message);
        report::equal(replay + ": trace hash", again.trace_hash, found.trace_hash);
        report::equal(replay + ": executions", again.executions, std::uint64_t{1});
    }
}

}  // namespace

int main() {
    int witnesses = 0;
    std::set<std::uint64_t> hashes;
    for (const Case& scenario : explorer::cases()) {
        if (scenario.expected == Kind::none || scenario.expected == Kind::budget) continue;
        for (const Named& mode : kModes) {
            const std::string name = scenario.name + ", found in mode " + mode.name;
            const Options options = in_mode(scenario, mode.mode);
            const Result found = explorer::explore(options, scenario.body);
            if (!report::equal(name + ": kind", std::string(name_of(found.kind)),
                               std::string(name_of(scenario.expected))))
                continue;
            report::holds(name + ": a trace", !found.trace.empty() && found.trace_hash != 0);
            replays(scenario, found, name);
            const Result twice = explorer::explore(options, scenario.body);
            report::equal(name + ", searched twice: found at", twice.found_at, found.found_at);
            report::equal(name + ", searched twice: witness", twice.witness, found.witness);
            hashes.insert(found.trace_hash);
            ++witnesses;
        }
    }
    // A hash that never differed would pass all of the above.
    report::holds("trace hashes tell scenarios apart", hashes.size() * 8 > std::size_t(witnesses));

    // A choice is a row of the trace: what was chosen, for what, and where.
    const Case& choice = named("check.choice");
    const std::string row = explorer::explore(choice.options, choice.body).trace;
    report::holds("a choice in the trace", row.find("chooses 3 of 5: a number") != row.npos &&
                                               row.find("more_controls.cpp:") != row.npos);

    // Digits that ask for an option that is not there are refused.
    Options bad = choice.options;
    bad.has_replay = true;
    bad.replay = "9";
    report::equal("digits that do not fit",
                  std::string(name_of(explorer::explore(bad, choice.body).kind)),
                  std::string(name_of(Kind::replay)));

    // A failure that takes two deviations is there with two, and not with one.
    const Case& choices = named("check.two_choices");
    for (unsigned bound = 0; bound <= 2; ++bound) {
        Options bounded = in_mode(choices, Mode::deviations);
        bounded.deviation_bound = bound;
        const Result result = explorer::explore(bounded, choices.body);
        const std::string name = "two choices with " + std::to_string(bound) + " deviations";
        report::equal(name, std::string(name_of(result.kind)),
                      std::string(name_of(bound < 2 ? Kind::none : Kind::check)));
        report::equal(name + ": witness", result.witness, std::string(bound < 2 ? "" : "11"));
    }
    return report::finish("replay", witnesses);
}
