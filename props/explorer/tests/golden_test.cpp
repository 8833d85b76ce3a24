// golden_test.cpp: the number of executions of each program of goldens.hpp, by the axioms and by
// the engine, and that both see the same outcomes.
#include "props/explorer/tests/axioms.hpp"
#include "props/explorer/tests/goldens.hpp"
#include "props/explorer/tests/report.hpp"
#include "props/explorer/tests/run.hpp"

namespace {

using namespace litmus;

Run explored(const Program& program, explorer::Stores stores, explorer::Orders orders) {
    explorer::Options options;
    options.stores = stores;
    options.orders = orders;
    options.explain = false;
    return run(program, options);
}

void same(const std::string& name, const Run& run, const Verdict& verdict) {
    report::holds(name + ": explored to the end: " + run.result.message,
                  run.result.ok() && run.result.exhaustive);
    report::equal(name + ": graphs", run.result.graphs, verdict.graphs);
    report::holds(name + ": the outcomes of the axioms", run.outcomes == verdict.outcomes);
}

}  // namespace

int main() {
    using explorer::Orders, explorer::Stores;
    for (const Golden& golden : kGoldens) {
        const std::string name = golden.name;
        const Program program = parse(golden.program);
        const Verdict sequential = judge(program, {.sequential = true});
        report::equal(name + ": graphs as GenMC counts",
                      judge(program, {.sc_through_location = true}).graphs, golden.rc11);
        report::equal(name + ": graphs of RC11", judge(program).graphs,
                      golden.paper ? golden.paper : golden.rc11);
        if (golden.sc) report::equal(name + ": graphs of SC", sequential.graphs, golden.sc);

        const Run insert = explored(program, Stores::insert, Orders::declared);
        const Run append = explored(program, Stores::append, Orders::declared);
        const Run sc = explored(program, Stores::insert, Orders::sc);
        report::equal(name + ": graphs of the engine", insert.result.graphs,
                      golden.engine ? golden.engine : golden.rc11);
        same(name + ", insert", insert, judge(program, {.sc_follows_execution = true}));
        same(name + ", append", append,
             judge(program, {.sc_follows_execution = true, .mo_follows_execution = true}));
        same(name + ", SC", sc, sequential);
        std::printf("%-18s %4llu graphs in %4llu executions; SC %4llu\n", golden.name,
                    static_cast<unsigned long long>(insert.result.graphs),
                    static_cast<unsigned long long>(insert.result.executions),
                    static_cast<unsigned long long>(sc.result.graphs));
    }
    // Under C++11's rule, where a later store of the same thread continues a release sequence,
    // there would be four fewer.
    report::equal("relseq under C++11",
                  judge(parse("x=1 rlx; y=1 rel; y=2 rlx | y<>3 rlx | y rlx; F ar; x rlx"),
                        {.store_continues_release = true})
                      .graphs,
                  std::size_t{16});
    return report::finish("goldens", int(std::size(kGoldens)));
}
