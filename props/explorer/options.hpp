// options.hpp: what an exploration is asked for, and what it answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace explorer {

// exhaustive   every schedule and every allowed value, each execution graph about once (sleep sets)
// deviations   every execution with at most `deviation_bound` digits that are not zero, fewest
//              first
// uniform, pct, pos   random: a thread drawn at each step; priorities with `pct_depth` - 1 changes;
//                     priorities of operations,
//              drawn anew where operations race
enum class Mode : std::uint8_t { exhaustive, deviations, uniform, pct, pos };

// declared   as the source says (RC11 with C++20's release sequences)
// x86        loads acquire, stores release, read-modify-writes and seq_cst stores are full fences
// sc         every access sequentially consistent
enum class Orders : std::uint8_t { declared, x86, sc };

// Where a store may land in its word's modification order: anywhere that coherence allows, or at
// the end alone.
enum class Stores : std::uint8_t { insert, append };

enum class Kind : std::uint8_t {
    none,  // nothing broke
    // plain accesses, a construction or an unmapping that no happens-before orders against another
    // access
    data_race,
    // an access to, or an unmapping of, memory that is not mapped; a mapping of what is mapped
    lifetime,
    check,         // check(false, ...), fail(...) or a failed assertion
    liveness,      // every thread that is left waits for ever
    step_bound,    // more steps than the bound: livelock is suspected
    crash,         // the body ran into SIGSEGV, SIGBUS, SIGILL or SIGFPE
    unregistered,  // a shared word lies neither in the arena nor in a watched object
    limit,         // a fixed capacity of the explorer is too small
    budget,        // an exhaustive search ran out of executions or seconds
    replay,        // the digits do not fit the scenario
};
const char* name_of(Kind kind);

// Defects of the reduction for the test of the test: operations that do not commute are taken to
// commute.
enum class Defect : std::uint8_t {
    none,
    sc_rmw_commutes_with_sc_load,
    sc_fence_commutes_with_sc_load
};

// One atomic operation of the source as it was met: `what` is load, store, exchange, fetch_add,
// fetch_sub, cas_weak, cas_strong or fence.
struct Site {
    std::string file;  // from the project's root or, for sources beyond it, the last component
    unsigned line = 0;
    std::string what;
    std::memory_order order = std::memory_order_relaxed;
    std::memory_order failure = std::memory_order_relaxed;  // cas alone
    std::string id() const;                                 // "src/mem/remote_list.hpp:40:cas_weak"
};

// Gives one site another order: `site` is an id, to which ".failure" is appended for the failure
// order of a cas. A suffix of the file is enough.
struct OrderMutant {
    std::string site;
    std::memory_order order = std::memory_order_relaxed;
};

const char* name_of(std::memory_order order);
bool parse_order(const std::string& text, std::memory_order& order);

struct Options {
    Mode mode = Mode::exhaustive;
    Orders orders = Orders::declared;
    Stores stores = Stores::insert;
    bool sleep_sets = true;  // false: naive search, for the test of the reduction
    // Loop::retry() ends an execution whose failed iteration changed nothing
    bool prune_retries = true;
    // a thread in Loop::wait() goes on when what it read is stale; random modes do so, and follow
    // retries
    bool resume_waits = false;
    // how often each thread's weak cas may fail spuriously in one execution
    unsigned spurious = 1;
    std::uint64_t seed = 1;
    std::uint64_t max_executions = 0;  // 0: no bound
    double max_seconds = 10;           // of processor time; 0: no bound
    unsigned step_bound = 2000;        // of steps that others can see; 500 times as many of others
    unsigned deviation_bound = 3;
    unsigned pct_depth = 3;
    bool has_replay = false;  // run one execution: `replay` and zeros after it
    std::string replay{};
    OrderMutant mutant{};  // none if `site` is empty
    Defect defect = Defect::none;
    bool keep_graphs = false;  // fill Result::graph_hashes
    bool explain = true;       // after a failure: shrink, triage and trace
    bool trace = false;        // with a replay: the trace even where nothing broke
    double shrink_seconds = 3;
};

struct Result {
    Kind kind = Kind::none;
    std::string message;  // one line: what broke
    std::uint64_t executions = 0;
    std::uint64_t complete = 0;  // executions in which every thread ended
    std::uint64_t graphs = 0;    // distinct execution graphs among the complete ones
    std::uint64_t steps = 0;
    std::uint64_t sleep_blocked = 0;  // executions cut because another one covers them
    std::uint64_t spin_blocked = 0;   // executions cut in a loop that waits or retries
    bool exhaustive = false;          // every execution was covered
    double seconds = 0;
    // random modes: estimated probability that the next execution is a new graph
    double good_turing = 1;
    std::uint64_t found_at = 0;    // the execution that failed, from 1; before shrinking
    std::string witness;           // digits that reproduce the failure
    std::string trace;             // columns by thread
    std::uint64_t trace_hash = 0;  // of the witness's steps; the same whatever search found it
    std::string triage;            // whether it breaks under x86's and SC's orders as well
    std::vector<std::uint64_t> graph_hashes;  // sorted
    // the atomic operations that were executed, sorted by id
    std::vector<Site> sites;
    bool mutant_met = false;  // the mutated site was executed

    bool ok() const { return kind == Kind::none; }
};
std::ostream& operator<<(std::ostream& out, const Result& result);

}  // namespace explorer
