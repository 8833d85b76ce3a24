// main.cpp: switches the defects of explorer.toml on, one at a time, and demands that the scenario
// named there breaks.
//
//   protocols_mutants LIST           every defect of the list is found by its scenario, and none of
//   those scenarios breaks without a defect protocols_mutants LIST --search  prints for each defect
//   the scenarios that find it
#include <cstdio>
#include <fstream>
#include <string>

#include "mutant_switch.h"
#include "props/explorer/driver.hpp"

namespace {

using explorer::Case;
using explorer::Kind;

explorer::Result run(const Case& c) {
    explorer::Options options = c.options;
    options.explain = false;
    return explorer::explore(options, c.body);
}

bool is_finding(Kind kind) {
    return kind == Kind::data_race || kind == Kind::lifetime || kind == Kind::check ||
           kind == Kind::liveness || kind == Kind::step_bound || kind == Kind::crash;
}

void search(const std::string& name) {
    std::printf("%s:\n", name.c_str());
    for (const Case& c : explorer::cases()) {
        const explorer::Result result = run(c);
        if (is_finding(result.kind))
            std::printf("    %-44s %s\n", c.name.c_str(), result.message.c_str());
    }
    std::fflush(stdout);
}

bool is_found(const std::string& name, const std::string& killer) {
    if (killer == "MISSING") {
        std::printf("WRONG %s: the source has no such text; see mutants/explorer.toml\n",
                    name.c_str());
        return false;
    }
    for (const Case& c : explorer::cases()) {
        if (c.name != killer) continue;
        const unsigned mutant = mutant_word;
        mutant_word = 0;
        const bool is_clean = run(c).ok();
        mutant_word = mutant;
        mutant_told = 0;
        const explorer::Result result = run(c);
        const bool is_reached = mutant_told != 0;
        const bool is_right = is_clean && is_reached && is_finding(result.kind);
        std::printf("%-5s %-40s %-44s %s at %llu\n", is_right ? "ok" : "WRONG", name.c_str(),
                    killer.c_str(),
                    !is_clean    ? "breaks without the defect"
                    : is_reached ? name_of(result.kind)
                                 : "does not reach the defect",
                    static_cast<unsigned long long>(result.found_at));
        std::fflush(stdout);
        return is_right;
    }
    std::printf("WRONG %s: no scenario is called %s\n", name.c_str(), killer.c_str());
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    std::ifstream list(argc > 1 ? argv[1] : "");
    const bool searches = argc > 2;
    unsigned count = 0, survivors = 0;
    std::string name, killer;
    while (list >> mutant_word >> name >> killer) {
        ++count;
        if (searches) {
            search(name);
        } else if (!is_found(name, killer)) {
            ++survivors;
        }
    }
    std::printf("%u defects, %u not found as the list says\n", count, survivors);
    return count == 0 || survivors != 0 ? 1 : 0;
}
