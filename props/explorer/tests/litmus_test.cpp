// litmus_test.cpp: which outcomes of the litmus programs of litmus_rows.hpp are seen and which
// races are found.
#include <algorithm>

#include "props/explorer/tests/axioms.hpp"
#include "props/explorer/tests/litmus_rows.hpp"
#include "props/explorer/tests/report.hpp"
#include "props/explorer/tests/run.hpp"

namespace {

using namespace litmus;

Answer in_axioms(const Row& row, const Program& program) {
    const Verdict verdict = judge(program);
    if (!row.outcome) return verdict.race ? yes : no;
    const std::vector<Fact> facts = parse_outcome(row.outcome);
    for (const State& state : verdict.outcomes)
        if (std::all_of(facts.begin(), facts.end(),
                        [&](const Fact& fact) { return state.holds(fact); }))
            return yes;
    return no;
}

Answer in_engine(const Row& row, const Program& program, explorer::Stores stores,
                 explorer::Orders orders) {
    explorer::Options options;
    options.stores = stores;
    options.orders = orders;
    options.explain = false;
    const Run found = run(program, options);
    if (!row.outcome && found.result.kind == explorer::Kind::data_race) return yes;
    report::holds(std::string(row.name) + ": explored to the end: " + found.result.message,
                  found.result.ok() && found.result.exhaustive);
    if (!row.outcome) return no;
    const std::vector<Fact> facts = parse_outcome(row.outcome);
    for (const State& state : found.outcomes)
        if (std::all_of(facts.begin(), facts.end(),
                        [&](const Fact& fact) { return state.holds(fact); }))
            return yes;
    return no;
}

}  // namespace

int main() {
    std::printf("%-26s rc11 insert append x86 sc\n", "Y: seen or racy");
    for (const Row& row : kRows) {
        const Program program = parse(row.program);
        using explorer::Orders, explorer::Stores;
        const Answer found[] = {in_axioms(row, program),
                                in_engine(row, program, Stores::insert, Orders::declared),
                                in_engine(row, program, Stores::append, Orders::declared),
                                in_engine(row, program, Stores::insert, Orders::x86),
                                in_engine(row, program, Stores::insert, Orders::sc)};
        std::printf("%-26s %c    %c      %c      %c   %c\n", row.name, found[0], found[1], found[2],
                    found[3], found[4]);
        const Answer wanted[] = {row.rc11, row.insert, row.append, row.x86, row.sc};
        const char* const columns[] = {"rc11", "insert", "append", "x86", "sc"};
        for (int i = 0; i < 5; ++i)
            report::equal(
                std::string(row.name) + " in column " + columns[i] + " (" + row.program + ")",
                char(found[i]), char(wanted[i]));
    }
    return report::finish("litmus", int(std::size(kRows)));
}
