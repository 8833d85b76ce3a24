// relacy_run.cpp: relacy takes a class with a fixed number of threads, and makes one object of it
// for each execution. It replaces operator new for as long as it runs, so that nothing that
// outlives an execution may be allocated meanwhile.
#include "props/explorer/tests/relacy_run.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>

// Last, because of its macros.
#include <relacy/relacy.hpp>

namespace litmus {

namespace {

const Program* current = nullptr;

// The outcomes seen, in place.
struct Seen {
    std::array<State, 1024> states;
    std::size_t count = 0;

    void add(const State& state) {
        if (std::find(states.begin(), states.begin() + count, state) != states.begin() + count)
            return;
        if (count == states.size()) std::abort();
        states[count++] = state;
    }
};
Seen seen;

rl::memory_order order_of(Order order) {
    switch (order) {
        case Order::acquire:
            return rl::mo_acquire;
        case Order::release:
            return rl::mo_release;
        case Order::acq_rel:
            return rl::mo_acq_rel;
        case Order::seq_cst:
            return rl::mo_seq_cst;
        default:
            return rl::mo_relaxed;
    }
}

template <unsigned kThreads>
struct Suite : rl::test_suite<Suite<kThreads>, kThreads> {
    rl::atomic<int> atomic[kAtomics];
    rl::var<int> plain[kLocations - kAtomics];
    State state;

    void before() {
        for (auto& word : atomic) word($).store(0, rl::mo_relaxed);
        for (auto& word : plain) word($).store(0);
    }
    void thread(unsigned index) {
        for (const Op& op : (*current)[index]) execute(op);
    }
    void after() {
        for (unsigned l = 0; l < kAtomics; ++l)
            state.locations[l] = atomic[l]($).load(rl::mo_relaxed);
        for (unsigned l = kAtomics; l < kLocations; ++l)
            state.locations[l] = plain[l - kAtomics]($).load();
        seen.add(state);
    }

    void execute(const Op& op) {
        if (!state.holds(op.guard)) return;
        const rl::memory_order order = order_of(op.order);
        if (op.kind == Kind::fence) return rl::atomic_thread_fence(order, $);
        const int value = op.operand >= 0 ? state.registers[std::size_t(op.operand)] : op.value;
        auto word = [&] { return atomic[op.location]($); };
        int read = op.expected;
        switch (op.kind) {
            case Kind::plain_write:
                return plain[op.location - kAtomics]($).store(value);
            case Kind::plain_read:
                read = plain[op.location - kAtomics]($).load();
                break;
            case Kind::store:
                return word().store(value, order);
            case Kind::load:
                read = word().load(order);
                break;
            case Kind::add:
                read = word().fetch_add(value, order);
                break;
            case Kind::exchange:
                read = word().exchange(value, order);
                break;
            case Kind::cas:
                word().compare_exchange_strong(read, value, order, order_of(op.failure));
                break;
            default:
                word().compare_exchange_weak(read, value, order, order_of(op.failure));
                break;
        }
        if (op.into >= 0) state.registers[std::size_t(op.into)] = read;
    }
};

template <unsigned kThreads>
void search(rl::test_params& params) {
    rl::simulate<Suite<kThreads>>(params);
}

}  // namespace

RelacyRun run_in_relacy(const Program& program) {
    RelacyRun run;
    current = &program;
    seen.count = 0;
    std::ofstream silent;  // not opened: what is written goes nowhere
    rl::test_params params;
    params.search_type = rl::sched_full;
    params.iteration_count = 1000000;
    params.output_stream = &silent;
    params.progress_stream = &silent;
    switch (program.size()) {
        case 2:
            search<2>(params);
            break;
        case 3:
            search<3>(params);
            break;
        case 4:
            search<4>(params);
            break;
        default:
            throw std::invalid_argument("relacy runs are for two to four threads");
    }
    run.race = params.test_result == rl::test_result_data_race;
    if (!run.race && params.test_result != rl::test_result_success)
        throw std::runtime_error(std::string("relacy: ") + rl::test_result_str(params.test_result));
    run.outcomes.insert(seen.states.begin(), seen.states.begin() + seen.count);
    return run;
}

}  // namespace litmus
