// driver.hpp: the command line that every explorer program has: its scenarios by name, how to run,
// replay and mutate them.
//
//     const explorer::Registered posted{"post.two_freers", [](explorer::Scenario& s) { ... }};
//     int main(int argc, char** argv) { return explorer::drive(argc, argv); }
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "props/explorer/explore.hpp"

namespace explorer {

struct Case {
    std::string name;
    std::function<void(Scenario&)> body;
    // what this scenario needs beside the defaults; the command line overrides it
    Options options{};
    Kind expected = Kind::none;  // a scenario that must break, and how: a control of a detector
};

std::vector<Case>& cases();

struct Registered {
    Registered(std::string name, std::function<void(Scenario&)> body, Options options = {},
               Kind expected = Kind::none) {
        cases().push_back({std::move(name), std::move(body), std::move(options), expected});
    }
};

// Runs what the command line names and returns the exit status: 0 if every scenario ended as it was
// expected to.
int drive(int argc, char** argv);

}  // namespace explorer
