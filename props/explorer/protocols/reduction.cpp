// reduction.cpp: the allocator's small scenarios without any reduction: every interleaving, and the
// same execution graphs as with it.
#include <cstdio>
#include <string>

#include "props/explorer/driver.hpp"

namespace {

// What ends in a second without reductions.
const char* const kSmall[] = {"remote.two_freers", "remote.freer_posts_twice",
                              "memory.large_freed_twice", "process.options_published",
                              "process.foreign_pointer_while_opening"};

bool is_same(const explorer::Case& c) {
    explorer::Options options = c.options;
    options.keep_graphs = true;
    const explorer::Result reduced = explorer::explore(options, c.body);
    options.sleep_sets = false;
    const explorer::Result naive = explorer::explore(options, c.body);
    const bool same = reduced.ok() && naive.ok() && !naive.graph_hashes.empty() &&
                      reduced.graph_hashes == naive.graph_hashes;
    std::printf("%-5s %-40s %8llu executions for %llu graphs, without reduction %8llu for %llu\n",
                same ? "ok" : "WRONG", c.name.c_str(),
                static_cast<unsigned long long>(reduced.executions),
                static_cast<unsigned long long>(reduced.graphs),
                static_cast<unsigned long long>(naive.executions),
                static_cast<unsigned long long>(naive.graphs));
    return same;
}

}  // namespace

int main() {
    unsigned found = 0, same = 0;
    for (const explorer::Case& c : explorer::cases()) {
        for (const std::string name : kSmall) {
            if (c.name != name) continue;
            ++found;
            same += is_same(c);
        }
    }
    return found == std::size(kSmall) && same == found ? 0 : 1;
}
