// sweep.cpp: gives each atomic operation of src/ that a scenario executes each next weaker order,
// one at a time, and looks for a scenario that breaks. props/explorer/protocols/ordering.py starts
// it and makes docs/ordering.md of what it prints:
//
//   scenario <name> <executions> <seconds>
//   site <id> <order> <failure order or -> <scenarios that execute it, by commas>
//   mutant <id> <order> <killing scenario or -> <kind>
//
//   sweep [HINTS]    a line `id order scenario` in the file HINTS says which scenario to try first
//                    for a mutant
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "props/explorer/driver.hpp"

namespace {

using explorer::Case;
using explorer::Kind;
using explorer::name_of;
using explorer::Result;

struct Mutant {
    std::string site;
    std::memory_order order;
};

struct Target {
    explorer::Site site;
    std::vector<const Case*> reached_by;
};

// The orders that are next below `order` for an operation of this kind.
std::vector<std::memory_order> weaker(const std::string& what, std::memory_order order) {
    const bool reads_only = what == "load" || what == "failure", writes_only = what == "store";
    switch (order) {
        case std::memory_order_seq_cst:
            return {reads_only    ? std::memory_order_acquire
                    : writes_only ? std::memory_order_release
                                  : std::memory_order_acq_rel};
        case std::memory_order_acq_rel:
            return {std::memory_order_acquire, std::memory_order_release};
        case std::memory_order_acquire:
        case std::memory_order_release:
            return {std::memory_order_relaxed};
        default:
            return {};
    }
}

std::vector<Mutant> mutants_of(const explorer::Site& site) {
    std::vector<Mutant> all;
    for (auto order : weaker(site.what, site.order)) all.push_back({site.id(), order});
    if (site.what.starts_with("cas")) {
        for (auto order : weaker("failure", site.failure))
            all.push_back({site.id() + ".failure", order});
    }
    return all;
}

Result run(const Case& c, const Mutant* mutant) {
    explorer::Options options = c.options;
    options.explain = false;
    if (mutant != nullptr) options.mutant = {mutant->site, mutant->order};
    return explorer::explore(options, c.body);
}

bool is_killed_by(const Mutant& mutant, const Case& c, Kind& kind) {
    kind = run(c, &mutant).kind;
    if (kind == Kind::budget || kind == Kind::limit || kind == Kind::unregistered ||
        kind == Kind::replay) {
        std::fprintf(stderr, "sweep: %s with %s=%s: %s\n", c.name.c_str(), mutant.site.c_str(),
                     name_of(mutant.order), name_of(kind));
        return false;
    }
    return kind != Kind::none;
}

}  // namespace

int main(int argc, char** argv) {
    std::map<std::string, std::string> hints;
    if (argc > 1) {
        std::ifstream file(argv[1]);
        for (std::string id, order, scenario; file >> id >> order >> scenario;)
            hints[id + " " + order] = scenario;
    }
    std::map<std::string, Target> targets;
    std::map<const Case*, std::uint64_t> cost;
    for (const Case& c : explorer::cases()) {
        // A scenario with open heuristics executes what the one without them does, and more slowly.
        if (c.options.mode != explorer::Mode::exhaustive || c.name.ends_with(".any")) continue;
        const Result result = run(c, nullptr);
        std::printf("scenario %s %llu %.2f\n", c.name.c_str(),
                    static_cast<unsigned long long>(result.executions), result.seconds);
        if (!result.ok()) {
            std::fprintf(stderr, "sweep: %s fails without a mutant: %s\n", c.name.c_str(),
                         result.message.c_str());
            return 1;
        }
        cost[&c] = result.executions;
        for (const explorer::Site& site : result.sites) {
            if (!site.file.starts_with("src/")) continue;
            Target& target = targets[site.id()];
            target.site = site;
            target.reached_by.push_back(&c);
        }
    }
    for (auto& [id, target] : targets) {
        const bool has_failure = target.site.what.starts_with("cas");
        std::printf("site %s %s %s ", id.c_str(), name_of(target.site.order),
                    has_failure ? name_of(target.site.failure) : "-");
        for (const Case* c : target.reached_by)
            std::printf("%s%s", c == target.reached_by.front() ? "" : ",", c->name.c_str());
        std::printf("\n");
        for (const Mutant& mutant : mutants_of(target.site)) {
            const std::string hint = hints[mutant.site + " " + name_of(mutant.order)];
            // The remembered one first, then the cheapest.
            std::sort(target.reached_by.begin(), target.reached_by.end(),
                      [&](const Case* a, const Case* b) {
                          return std::tuple(a->name != hint, cost[a], a->name) <
                                 std::tuple(b->name != hint, cost[b], b->name);
                      });
            const Case* killer = nullptr;
            Kind kind = Kind::none;
            for (const Case* c : target.reached_by) {
                if (is_killed_by(mutant, *c, kind)) {
                    killer = c;
                    break;
                }
            }
            std::printf("mutant %s %s %s %s\n", mutant.site.c_str(), name_of(mutant.order),
                        killer ? killer->name.c_str() : "-", killer ? name_of(kind) : "survives");
            std::fflush(stdout);
        }
    }
}
