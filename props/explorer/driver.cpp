// driver.cpp: the command line of explorer programs.
#include "props/explorer/driver.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

namespace explorer {

namespace {

const std::map<std::string, Mode> kModes = {{"exhaustive", Mode::exhaustive},
                                            {"deviations", Mode::deviations},
                                            {"uniform", Mode::uniform},
                                            {"pct", Mode::pct},
                                            {"pos", Mode::pos}};
const std::map<std::string, Orders> kOrders = {
    {"declared", Orders::declared}, {"x86", Orders::x86}, {"sc", Orders::sc}};
const std::map<std::string, Stores> kStores = {{"insert", Stores::insert},
                                               {"append", Stores::append}};

// What the command line changes in the options of every scenario that it runs.
class Overrides {
  public:
    explicit Overrides(CLI::App& app) : app_(app) {
        app.add_option("--mode", given_.mode, "how to search")
            ->transform(CLI::CheckedTransformer(kModes));
        app.add_option("--orders", given_.orders, "whose memory model")
            ->transform(CLI::CheckedTransformer(kOrders));
        app.add_option("--stores", given_.stores, "where a store may land in its word's order")
            ->transform(CLI::CheckedTransformer(kStores));
        app.add_flag("--naive", naive_, "without reductions: every interleaving");
        app.add_flag("--follow-retries", follow_,
                     "follow failed rounds of retry loops instead of cutting them");
        app.add_option("--spurious", given_.spurious,
                       "how often each thread's weak cas may fail spuriously");
        app.add_option("--seed", given_.seed, "of random modes");
        app.add_option("--executions", given_.max_executions, "bound of the search, 0 for none");
        app.add_option("--seconds", given_.max_seconds, "bound of the search, 0 for none");
        app.add_option("--steps", given_.step_bound, "bound of one execution");
        app.add_option("--deviations", given_.deviation_bound, "bound of mode deviations");
        app.add_option("--depth", given_.pct_depth, "of mode pct");
        app.add_option("--replay", given_.replay,
                       "run one execution: these digits and zeros behind them");
        app.add_option(
            "--mutant", mutant_,
            "SITE=ORDER: give one atomic operation another order; a site is file:line:operation, "
            "and .failure after it means the failure order of a cas");
        app.add_flag("--trace", given_.trace,
                     "print the trace of a replay even where nothing breaks");
    }

    Options apply(Options options) const {
        const auto copy = [&](const char* name, auto member) {
            if (app_.count(name) != 0) options.*member = given_.*member;
        };
        copy("--mode", &Options::mode);
        copy("--orders", &Options::orders);
        copy("--stores", &Options::stores);
        copy("--spurious", &Options::spurious);
        copy("--seed", &Options::seed);
        copy("--executions", &Options::max_executions);
        copy("--seconds", &Options::max_seconds);
        copy("--steps", &Options::step_bound);
        copy("--deviations", &Options::deviation_bound);
        copy("--depth", &Options::pct_depth);
        copy("--replay", &Options::replay);
        options.has_replay = app_.count("--replay") != 0;
        options.trace = given_.trace;
        if (naive_) options.sleep_sets = false;
        if (follow_) options.prune_retries = false;
        if (app_.count("--mutant") != 0) {
            const std::size_t split = mutant_.rfind('=');
            if (split == std::string::npos ||
                !parse_order(mutant_.substr(split + 1), options.mutant.order)) {
                throw CLI::ValidationError(
                    "--mutant",
                    "SITE=ORDER, where ORDER is relaxed, acquire, release, acq_rel or seq_cst");
            }
            options.mutant.site = mutant_.substr(0, split);
        }
        return options;
    }

  private:
    const CLI::App& app_;
    Options given_;
    bool naive_ = false, follow_ = false;
    std::string mutant_;
};

template <class T>
std::string name_in(const std::map<std::string, T>& names, T value) {
    return std::find_if(names.begin(), names.end(),
                        [value](const auto& entry) { return entry.second == value; })
        ->first;
}

// The options that decide what a digit means; a scenario's own are known to the program.
std::string line_to_repeat(const std::string& program, const Case& c, const Options& o,
                           const std::string& witness) {
    std::ostringstream line;
    line << program << " --scenario " << c.name << " --replay "
         << (witness.empty() ? "0" : witness);
    if (o.mode != c.options.mode) line << " --mode " << name_in(kModes, o.mode);
    if (o.orders != c.options.orders) line << " --orders " << name_in(kOrders, o.orders);
    if (o.stores != c.options.stores) line << " --stores " << name_in(kStores, o.stores);
    if (o.spurious != c.options.spurious) line << " --spurious " << o.spurious;
    if (!o.sleep_sets && c.options.sleep_sets) line << " --naive";
    if (!o.prune_retries && c.options.prune_retries) line << " --follow-retries";
    if (!o.mutant.site.empty())
        line << " --mutant " << o.mutant.site << "=" << name_of(o.mutant.order);
    return line.str();
}

// "2/3": the second of three parts that together are all scenarios, dealt out in turn so that the
// parts cost about the same.
struct Part {
    unsigned number = 1, of = 1;
    bool has(std::size_t index) const { return index % of == number - 1; }
};

Part parse_part(const std::string& text) {
    Part part;
    char end = 0;
    const bool fits = std::sscanf(text.c_str(), "%u/%u%c", &part.number, &part.of, &end) == 2;
    if (!fits || part.number == 0 || part.number > part.of)
        throw CLI::ValidationError("--part", "K/N, where K is 1 to N");
    return part;
}

bool matches(const std::string& name, const std::vector<std::string>& wanted) {
    if (wanted.empty()) return true;
    return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& w) {
        // "mpsc." stands for all scenarios that begin so.
        return name == w || (!w.empty() && w.back() == '.' && name.rfind(w, 0) == 0);
    });
}

void print_sites(const Result& result) {
    for (const Site& site : result.sites) {
        std::printf("  %s %s", site.id().c_str(), name_of(site.order));
        if (site.what.rfind("cas", 0) == 0) std::printf(" / %s", name_of(site.failure));
        std::printf("\n");
    }
}

}  // namespace

std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

int drive(int argc, char** argv) {
    CLI::App app(
        "Runs scenarios in every schedule and with every value that the memory model allows.");
    std::vector<std::string> wanted;
    std::string part_text = "1/1";
    double within = 0;
    bool list = false, sites = false;
    app.add_option(
        "--scenario", wanted,
        "a scenario's name, or the beginning of several with a dot at the end; all without it");
    app.add_option("--part", part_text, "K/N: the K-th of N parts that together are all scenarios");
    app.add_option(
        "--within", within,
        "seconds of processor time for all scenarios together; more is a failure; 0 for no bound");
    app.add_flag("--list", list, "print the scenarios' names");
    app.add_flag("--sites", sites, "print the atomic operations that each scenario executes");
    const Overrides overrides(app);
    unsigned ran = 0, wrong = 0;
    double seconds = 0;
    try {
        app.parse(argc, argv);
        const Part part = parse_part(part_text);
        std::size_t index = 0;
        for (const Case& c : cases()) {
            if (!part.has(index++) || !matches(c.name, wanted)) continue;
            ++ran;
            if (list) {
                std::printf("%s\n", c.name.c_str());
                continue;
            }
            const Options options = overrides.apply(c.options);
            const Result result = explore(options, c.body);
            seconds += result.seconds;
            const bool as_expected = result.kind == c.expected;
            wrong += as_expected ? 0 : 1;
            std::printf(
                "%-5s %-44s %9llu executions (%llu covered, %llu waiting) %8llu graphs %10llu "
                "steps %7.3f s",
                as_expected ? "ok" : "WRONG", c.name.c_str(),
                static_cast<unsigned long long>(result.executions),
                static_cast<unsigned long long>(result.sleep_blocked),
                static_cast<unsigned long long>(result.spin_blocked),
                static_cast<unsigned long long>(result.graphs),
                static_cast<unsigned long long>(result.steps), result.seconds);
            if (!result.exhaustive && options.mode != Mode::exhaustive)
                std::printf("  next is new with p = %.4f", result.good_turing);
            if (!result.ok())
                std::printf("  %s at %llu", name_of(result.kind),
                            static_cast<unsigned long long>(result.found_at));
            std::printf("\n");
            std::fflush(stdout);
            if (sites) print_sites(result);
            if (!as_expected || options.has_replay) {
                if (c.expected != Kind::none)
                    std::cout << "  expected: " << name_of(c.expected) << "\n";
                std::cout << "  " << result << "\n";
                if (!result.ok())
                    std::cout << "  again: " << line_to_repeat(argv[0], c, options, result.witness)
                              << "\n";
            }
            if (!options.mutant.site.empty() && !result.mutant_met)
                std::cout << "  the mutant's site was not executed\n";
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    if (ran == 0) {
        std::fprintf(stderr, "no such scenario; --list prints the names\n");
        return 2;
    }
    if (ran > 1 && !list)
        std::printf("%u scenarios, %u not as expected, %.1f s\n", ran, wrong, seconds);
    if (within != 0 && seconds > within) {
        std::printf("too slow: %.1f s of processor time, of %.1f s\n", seconds, within);
        return 1;
    }
    return wrong == 0 ? 0 : 1;
}

}  // namespace explorer
