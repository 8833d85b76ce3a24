// axioms.hpp: RC11 as its authors state it (Lahav et al., PLDI 2017): an execution is a graph, and
// it may happen if no axiom forbids it. This shares no idea with the engine, which is a machine
// that runs: where both allow the same executions, both are believed.
//
// Every consistent graph is reached by adding one event after another, because the axioms are
// closed under prefixes of sb u rf. A graph is added to once, however many ways lead to it.
#pragma once

#include <set>

#include "program.hpp"

namespace litmus {

// What the axioms say in detail.
struct Model {
    bool sequential = false;  // sequential consistency instead of RC11
    // C++11: a later store of the same thread continues a release sequence; C++20: it does not
    bool store_continues_release = false;
    // the order of SC events agrees with sb u rf: the engine's known gap, as an axiom
    bool sc_follows_execution = false;
    // stores land at the end of modification order only: the engine's append mode, as an axiom
    bool mo_follows_execution = false;
    // happens-before orders SC events also where the paper exempts accesses of one location
    bool sc_through_location = false;
};

struct Verdict {
    std::size_t graphs = 0;
    std::set<State> outcomes;
    bool race = false;
    bool stuck = false;  // threads may be left that all wait for what the newest values do not have
};

// Everything that the model allows the program to do. At most seven threads, each of at most eight
// operations.
Verdict judge(const Program& program, const Model& model = {});

}  // namespace litmus
