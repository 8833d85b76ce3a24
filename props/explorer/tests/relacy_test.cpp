// relacy_test.cpp: relacy, the engine and the axioms on the same programs. Relacy appends stores to
// modification order, so that it is compared with append mode: whether there is a data race and, if
// not, the set of outcomes.
#include <algorithm>
#include <cstring>

#include "props/explorer/tests/axioms.hpp"
#include "props/explorer/tests/litmus_rows.hpp"
#include "props/explorer/tests/relacy_run.hpp"
#include "props/explorer/tests/report.hpp"
#include "props/explorer/tests/run.hpp"

namespace {

using namespace litmus;

struct Exception {
    const char* name;
    const char* why;
};
constexpr Exception kExceptions[] = {
    {"own store breaks",
     "relacy follows C++11: a later store of the same thread continues a release sequence"},
    {"seen by a fence", "relacy's full search reads no value that is two stores old"},
    {"spurious failures", "relacy never fails both weak cas of one execution spuriously"},
};

const Exception* exception_for(const Row& row) {
    for (const Exception& exception : kExceptions)
        if (!std::strcmp(exception.name, row.name)) return &exception;
    return nullptr;
}

}  // namespace

int main() {
    int agreed = 0;
    for (const Row& row : kRows) {
        const Program program = parse(row.program);
        explorer::Options options;
        options.stores = explorer::Stores::append;
        options.explain = false;
        const Run engine = run(program, options);
        const RelacyRun relacy = run_in_relacy(program);
        const Verdict axioms =
            judge(program, {.sc_follows_execution = true, .mo_follows_execution = true});
        const bool race = engine.result.kind == explorer::Kind::data_race;
        report::holds(std::string(row.name) + ": the engine and the axioms",
                      race == axioms.race && (race || engine.outcomes == axioms.outcomes));
        const bool same = race == relacy.race && (race || engine.outcomes == relacy.outcomes);
        report::holds(
            std::string(row.name) + ": relacy shows nothing that the engine does not have",
            race || std::includes(engine.outcomes.begin(), engine.outcomes.end(),
                                  relacy.outcomes.begin(), relacy.outcomes.end()));
        const Exception* const exception = exception_for(row);
        if (exception) std::printf("%s: differs, because %s\n", row.name, exception->why);
        agreed += same;
        report::equal(std::string(row.name) + ": relacy and the engine agree (" + row.program + ")",
                      same, !exception);
    }
    std::printf("%d programs agree\n", agreed);
    return report::finish("relacy", int(std::size(kRows)));
}
