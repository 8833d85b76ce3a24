// run.cpp: operations of a litmus program as operations of the explorer.
#include "props/explorer/tests/run.hpp"

namespace litmus {

namespace {

struct Words {
    explorer::Sync::Atomic<int> atomic[kAtomics];
    explorer::Sync::Plain<int> plain[kLocations - kAtomics];
};

void execute(const Op& op, Words& words, State& state) {
    if (!state.holds(op.guard)) return;
    if (op.kind == Kind::fence) return explorer::Sync::fence(op.order);
    const int value = op.operand >= 0 ? state.registers[std::size_t(op.operand)] : op.value;
    int read = 0;
    if (op.kind == Kind::choose) {
        read = int(explorer::choose(unsigned(op.value)));
    } else if (is_plain(op)) {
        auto& word = words.plain[op.location - kAtomics];
        if (op.kind == Kind::plain_write) return word.set(value);
        read = word.get();
    } else {
        auto& word = words.atomic[op.location];
        switch (op.kind) {
            case Kind::store:
                return word.store(value, op.order);
            case Kind::load:
                read = word.load(op.order);
                break;
            case Kind::add:
                read = word.fetch_add(value, op.order);
                break;
            case Kind::exchange:
                read = word.exchange(value, op.order);
                break;
            case Kind::cas:
                read = op.expected;
                word.cas_strong(read, value, op.order, op.failure);
                break;
            case Kind::cas_loop: {
                explorer::Sync::Loop loop;
                read = word.load(Order::relaxed);
                while (!word.cas_strong(read, value, op.order, op.failure)) loop.retry();
                break;
            }
            case Kind::await:
                for (explorer::Sync::Loop loop; (read = word.load(op.order)) != value;) loop.wait();
                break;
            default:
                read = op.expected;
                word.cas_weak(read, value, op.order, op.failure);
                break;
        }
    }
    if (op.into >= 0) state.registers[std::size_t(op.into)] = read;
}

}  // namespace

Run run(const Program& program, const explorer::Options& options) {
    static constexpr const char* kNames[] = {"T0", "T1", "T2", "T3", "T4", "T5", "T6"};
    Run run;
    run.result = explorer::explore(options, [&](explorer::Scenario& scenario) {
        auto& words = scenario.make<Words>();
        auto& state = scenario.ghost<State>();
        for (std::size_t t = 0; t < program.size(); ++t)
            scenario.thread(kNames[t], [&, t] {
                for (const Op& op : program[t]) execute(op, words, state);
            });
        scenario.finally([&] {
            State end = state;
            for (std::size_t l = 0; l < kAtomics; ++l)
                end.locations[l] = words.atomic[l].load(Order::relaxed);
            for (std::size_t l = kAtomics; l < kLocations; ++l)
                end.locations[l] = words.plain[l - kAtomics].get();
            run.outcomes.insert(end);
        });
        scenario.run();
    });
    return run;
}

}  // namespace litmus
