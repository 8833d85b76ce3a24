// relacy_run.hpp: a litmus program through relacy. A separate translation unit, because relacy's
// headers redefine `new` and the orders.
#pragma once

#include <set>

#include "props/explorer/tests/program.hpp"

namespace litmus {

struct RelacyRun {
    bool race = false;
    std::set<State> outcomes;
};

// Relacy's full search of a program with two to four threads.
RelacyRun run_in_relacy(const Program& program);

}  // namespace litmus
