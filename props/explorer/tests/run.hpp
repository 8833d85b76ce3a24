// run.hpp: a litmus program through the explorer.
#pragma once

#include <set>

#include "props/explorer/explore.hpp"
#include "props/explorer/tests/program.hpp"

namespace litmus {

struct Run {
    explorer::Result result;
    std::set<State> outcomes;
};

// Searches the program; every complete execution adds its outcome.
Run run(const Program& program, const explorer::Options& options = {});

}  // namespace litmus
