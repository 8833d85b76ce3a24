// kth_failure_test.cpp: in each scripted scenario the k-th call of each kind fails, for every k,
// once and from then on, and so does the k-th call and all later ones of any kind. Null is the only
// harm: nothing is lost, no lock stays held, and when the system gives again the same scenario runs
// without a null, unless it fills the window, and everything goes back. Afterwards every line of
// src/ that can fail has failed.
//
//   unit_kth_failure                              everything
//   unit_kth_failure SCENARIO KIND K once|lasting [eager]     one run; SCENARIO is a name or
//                                                  number, KIND a call or "any"
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "props/kit/machine.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

struct Scenario {
    const char* name;
    const char* text;
};
constexpr Scenario kScenarios[] = {
    {"first_call", "malloc t0 h0 n24\n"},
    {"small_blocks_of_two_threads",
     "fill t0 h0 x40 n32\nfill t1 h64 x40 n200\nsweep t1 h0 x40 s1\nsweep t0 h64 x40 s0\nexit "
     "t1\nfill t2 h128 x30 n200\nstart t1\nfill t1 h200 x20 n64\n"
     "trim t0 f1\nfill t3 h240 x40 n128\nexit t0\nexit t2\nexit t3\nfill t1 h300 x40 n128\n"},
    {"large_blocks",
     "malloc t0 h0 n1000\nmalloc t0 h1 n4000\ncalloc t1 h2 n3000\nrealloc t0 h0 n2000\nrealloc t0 "
     "h0 n4000\nfree t0 h1\nadvance m300\nfree t0 h2\nadvance m300\n"
     "calloc t0 h3 n4000\ntrim t0 f0\ncalloc t0 h4 n4000\nrealloc t0 h0 n300\n"},
    {"big_blocks",
     "malloc t0 h0 n9000\nmalloc t0 h1 n20000\nrealloc t0 h1 n40000\nfree t0 h0\nadvance "
     "m300\nmalloc t0 h2 n8192\naligned t1 h3 a15 n9000\nrealloc t0 h1 n9000\n"
     "trim t0 f1\nadvance m400\nrealloc t0 h1 n60000\ncalloc t0 h5 n16384\nfree t0 h1\nadvance "
     "m500\nfree t0 h2\nadvance m500\nfree t0 h3\ncalloc t2 h6 n30000\n"},
    {"growing_and_shrinking",
     "malloc t0 h0 n16\nrealloc t0 h0 n100\nrealloc t0 h0 n1000\nrealloc t0 h0 n5000\nrealloc t0 "
     "h0 n20000\nrealloc t0 h0 n100000\nrealloc t0 h0 n5000\nrealloc t0 h0 n10\n"},
    // into what was never used, into what is cached, into what was decommitted, and where there is
    // no room
    {"growing_in_place",
     "malloc t0 h0 n9000\nrealloc t0 h0 n16384\nrealloc t0 h0 n40000\nmalloc t0 h1 n20000\nrealloc "
     "t0 h0 n8192\nrealloc t0 h0 n24000\nrealloc t0 h0 n8192\n"
     "trim t0 f1\nrealloc t0 h0 n24000\nrealloc t0 h1 n60000\nrealloc t0 h0 n60000\nmalloc t0 h2 "
     "n1025\nrealloc t0 h2 n4096\nrealloc t0 h2 n1025\nrealloc t0 h2 n3000\n"},
    {"aligned_blocks",
     "aligned t0 h0 a5 n48\naligned t0 h1 a8 n200\naligned t0 h2 a10 n200\naligned t0 h3 a10 "
     "n3000\naligned t0 h4 a13 n100\naligned t0 h5 a13 n9000\naligned t0 h6 a16 n9000\n"
     "realloc t0 h3 n9000\nrealloc t0 h5 n30000\nfree t0 h6\ntrim t0 f1\naligned t0 h7 a16 "
     "n20000\naligned t1 h8 a14 n17000\nfree t1 h4\nrealloc t1 h7 n64\n"},
    // births, exits, adoptions, blocks freed by others, heaps visited by those that refill
    {"threads_that_come_and_go",
     "fill t0 h0 x30 n48\nfill t1 h64 x30 n48\nfill t2 h128 x30 n48\nfill t3 h192 x30 n48\nsweep "
     "t0 h64 x30 s0\nsweep t1 h128 x30 s1\nexit t1\nexit t2\n"
     "fill t0 h256 x60 n48\nstart t1\nfill t1 h64 x60 n48\nfill t3 h320 x60 n48\nsweep t3 h0 x30 "
     "s0\nexit t0\nstart t2\nfill t2 h400 x60 n200\nfill t2 h460 x50 n48\n"
     "sweep t2 h192 x60 s0\nexit t3\nstart t0\nfill t0 h0 x40 n200\nstart t3\nfill t3 h192 x40 "
     "n24\ntrim t3 f1\nfill t2 h64 x60 n128\n"},
    {"threads_that_end_borrow_and_fork",
     "hook t1 f0\nmalloc t1 h0 n48\nmalloc t0 h1 n48\nexit t0\nmalloc t0 h2 n48\nfree t0 h1\nfill "
     "t2 h10 x20 n48\nfork t2 f1 f1\nfree t2 h0\nfill t0 h40 x20 n48\nfork t0 f0 f1\n"
     "malloc t3 h70 n2000\ntrim t3 f1\n"},
    // posted blocks that nobody pushed, memory of vanished threads, a child that forks and trims
    {"children_of_busy_parents",
     "fill t0 h0 x30 n48\nfill t1 h64 x30 n48\nmalloc t1 h100 n9000\nmalloc t2 h101 n3000\npost t2 "
     "h0\npost t1 h1\nfork t0 f1 f1\nfill t0 h128 x40 n48\nsweep t0 h64 x30 s0\n"
     "free t0 h100\nfree t0 h101\ntrim t0 f1\nmalloc t1 h100 n9000\nfill t1 h200 x40 n200\nfork t1 "
     "f1 f0\nfill t1 h300 x40 n200\nfree t1 h100\nfill t0 h0 x20 n64\ntrim t1 f1\n"},
    // purged when it is due, decommitted when it is due, used again in between; calloc of what was
    // purged
    {"memory_that_ages",
     "fill t0 h0 x60 n200\nsweep t0 h0 x60 s0\nmalloc t0 h100 n9000\nmalloc t0 h101 n20000\nmalloc "
     "t0 h102 n4000\nfree t0 h100\nadvance m50\nfree t0 h101\nadvance m60\nfree t0 h102\n"
     "calloc t0 h103 n4000\nadvance m110\nfree t0 h103\ncalloc t0 h100 n9000\nadvance m110\nfree "
     "t0 h100\nadvance m110\nmalloc t0 h104 n2000\nfree t0 h104\nadvance m310\n"
     "malloc t0 h105 n3000\nfree t0 h105\nadvance m400\ncalloc t0 h106 n20000\nfree t0 h106\nfill "
     "t0 h0 x60 n200\nsweep t0 h0 x60 s0\nadvance m900\nmalloc t0 h107 n4000\nfree t0 h107\n"},
    // more committed runs than there may be, so that some stay purged and committed
    {"committed_runs",
     "fill t0 h0 x16 n9000\nsweep t0 h0 x16 s1\ntrim t0 f1\nfill t0 h20 x6 n8192\nsweep t0 h1 x16 "
     "s1\nadvance m200\nmalloc t0 h30 n9000\nfree t0 h30\nadvance m400\nmalloc t0 h31 n9000\n"
     "free t0 h31\ntrim t0 f1\ncalloc t0 h32 n40000\n"},
    {"a_full_window",  // nulls without any failure, and room again afterwards
     "fill t0 h0 x32 n9000\nmalloc t0 h40 n24\nmalloc t1 h41 n4000\nsweep t0 h0 x32 s3\nmalloc t1 "
     "h42 n4000\nfill t1 h64 x30 n200\nrealloc t0 h1 n20000\nmalloc t0 h43 n100000\n"
     "sweep t1 h0 x32 s0\ntrim t1 f1\nmalloc t0 h43 n100000\nmalloc t1 h44 n600000\nfill t2 h200 "
     "x20 n16384\n"},
};

struct Failure {
    unsigned kind;  // kit::kCalls: of any kind
    std::uint64_t k;
    bool lasting, eager;
};
constexpr unsigned kAny = kit::kCalls;
const char* name_of(unsigned kind) {
    return kind < kAny ? kit::kCallNames[kind] : "any";
}
std::uint64_t calls_of(unsigned kind) {
    return kind == kAny ? kit::os.calls() : kit::os.count(static_cast<kit::Call>(kind));
}

struct Outcome {
    std::uint64_t calls = 0, nulls = 0, nulls_again = 0;
};

void require_no_lock() {
    require(!hak::start_lock<W>.is_held() && !hak::heaps<W>.lock().is_held() &&
                !hak::reclaim<W>.lock().is_held() && !hak::pool<W>.lock().is_held(),
            "a lock stays held");
    require(hak::forking_thread<W>.load(hak::order::relaxed) == 0, "a fork stays under way");
}

// The scenario twice in one world, the first time with the failure. k == 0: without any. `eager`:
// nothing ages and nothing is kept; that is chosen after the first call, which is then no part of
// the series.
Outcome run(const kit::Commands& commands, const Failure& failure) {
    kit::Machine<W> machine;
    if (failure.eager) {
        machine.step(kit::Malloc{{0}, {kit::kHandles - 1}, {24}});
        hak::tunables<W>.set({.purge_delay_ms = 0,
                              .decommit_delay_ms = 0,
                              .cache_bytes_max = 0,
                              .huge_pages = true});
    }
    Outcome outcome;
    const std::uint64_t before = calls_of(failure.kind);
    if (failure.k != 0 && failure.kind == kAny) kit::os.fail_any(failure.k, failure.lasting);
    if (failure.k != 0 && failure.kind != kAny)
        kit::os.fail(static_cast<kit::Call>(failure.kind), failure.k, failure.lasting);
    for (const kit::Command& c : commands) {
        machine.step(c);
        require_no_lock();
    }
    outcome.calls = calls_of(failure.kind) - before;
    outcome.nulls = machine.nulls();
    require(failure.k == 0 || kit::os.failed() != 0, "no call failed");
    kit::os.heal();
    for (unsigned t = 0; t < kit::kThreads; ++t) machine.step(kit::Start{{t}});
    for (unsigned h = 0; h < kit::kHandles; h += 60)
        machine.step(kit::Sweep{{h % kit::kThreads}, {h}, {60}, {0}});
    for (unsigned t = 0; t < kit::kThreads; ++t) machine.step(kit::Trim{{t}, {1}});
    const std::uint64_t nulls = machine.nulls();
    for (const kit::Command& c : commands) machine.step(c);
    outcome.nulls_again = machine.nulls() - nulls;
    machine.finish();
    require_no_lock();
    return outcome;
}

// Every k of one kind. The number of calls is that of a run without a failure: up to the failure,
// both runs are the same.
std::uint64_t series(const kit::Commands& commands, Failure& failure) {
    failure.k = 0;
    const Outcome sound = run(commands, failure);
    for (failure.k = 1; failure.k <= sound.calls; ++failure.k) {
        const Outcome hurt = run(commands, failure);
        // Where the window is full, what has room in it depends on what came before, and the
        // machine judges each null by itself.
        if (sound.nulls == 0)
            require(hurt.nulls_again == 0, hurt.nulls_again, " nulls after the system gave again");
    }
    return sound.calls;
}

// Every call in the source that can fail, as many on a line as stand there, has failed.
void every_site_failed() {
    const std::regex call(
        R"((?:W::Pal::(reserve|expose|commit|decommit|purge)|W::(arm)_exit_hook)\()");
    std::map<std::pair<std::string, unsigned>, unsigned> written, failed;
    for (const char* const folder : {"mem", "heap"}) {
        for (const auto& entry :
             std::filesystem::directory_iterator(std::string(HAKMEM_SOURCE_FOLDER "/") + folder)) {
            std::ifstream file(entry.path());
            unsigned number = 0;
            for (std::string line; std::getline(file, line);) {
                ++number;
                const auto comment = std::min(line.find("//"), line.size());
                const std::string code = line.substr(0, comment);
                const auto matches = std::distance(
                    std::sregex_iterator(code.begin(), code.end(), call), std::sregex_iterator());
                if (matches != 0)
                    written[{entry.path().filename(), number}] = static_cast<unsigned>(matches);
            }
        }
    }
    require(written.size() >= 8, "only ", written.size(),
            " lines of the source make calls that can fail");
    for (const kit::Site& site : kit::os.failed_sites())
        failed[{std::filesystem::path(site.file).filename(), site.line}] += 1;
    for (const auto& [place, count] : written) {
        require(failed[place] == count, failed[place], " of ", count, " calls at ", place.first,
                ":", place.second, " have failed: a scenario is missing");
    }
    std::printf("OK: each of the %zu lines of the source that can fail has failed\n",
                written.size());
}

int replay(int argc, char** argv, const Scenario*& scenario, Failure& failure) {
    for (std::size_t i = 0; i < std::size(kScenarios); ++i) {
        if (argv[1] == std::to_string(i) || argv[1] == std::string(kScenarios[i].name))
            scenario = &kScenarios[i];
    }
    for (failure.kind = 0; failure.kind < kAny && argv[2] != std::string(name_of(failure.kind));)
        ++failure.kind;
    const std::string mode = argv[4];
    failure.k = std::strtoull(argv[3], nullptr, 10);
    failure.lasting = mode == "lasting";
    failure.eager = argc == 6;
    if (scenario == nullptr || argv[2] != std::string(name_of(failure.kind)) ||
        (mode != "once" && mode != "lasting") ||
        (failure.eager && argv[5] != std::string("eager"))) {
        std::fprintf(stderr, "usage: %s [SCENARIO KIND K once|lasting [eager]]\n", argv[0]);
        return 2;
    }
    const Outcome outcome = run(kit::parse<kit::Command>(scenario->text), failure);
    std::printf("%s: %llu calls, %llu nulls, then %llu\n", scenario->name,
                static_cast<unsigned long long>(outcome.calls),
                static_cast<unsigned long long>(outcome.nulls),
                static_cast<unsigned long long>(outcome.nulls_again));
    return 0;
}

const Scenario* scenario;
Failure failure{};
// How many scenarios have run: what they leave to see is judged when all have.
std::size_t scenarios_run = 0;

void run_scenario(const Scenario& s) {
    scenario = &s;
    const kit::Commands commands = kit::parse<kit::Command>(s.text);
    std::uint64_t calls[kAny + 1] = {};
    for (failure.kind = 0; failure.kind <= kAny; ++failure.kind) {
        for (const bool lasting : {false, true}) {
            if (failure.kind == kAny && !lasting) continue;  // the same as the k-th of its kind
            for (const bool eager : {false, true}) {
                failure.lasting = lasting;
                failure.eager = eager;
                const std::uint64_t n = series(commands, failure);
                if (!eager) calls[failure.kind] = n;
            }
        }
    }
    require(calls[kAny] > 3, "only ", calls[kAny], " calls could fail: the scenario shows nothing");
    std::printf("%s: each of %llu calls fails, once and for good (", s.name,
                static_cast<unsigned long long>(calls[kAny]));
    for (unsigned kind = 0; kind < kAny; ++kind)
        std::printf("%s%s %llu", kind == 0 ? "" : ", ", name_of(kind),
                    static_cast<unsigned long long>(calls[kind]));
    std::printf(")\n");
    ++scenarios_run;
}
void run_running() {
    for (const Scenario& s : kScenarios) {
        if (std::string_view(s.name) == check_running) run_scenario(s);
    }
}
void all_sites_failed() {
    if (scenarios_run != std::size(kScenarios)) {
        for (const Scenario& s : kScenarios) run_scenario(s);
    }
    every_site_failed();
}

// Says which call's failure it was, and how to see that one alone.
void call(const check_test* test) {
    const auto failed = [&](const std::string& what) {
        ++check_failures;
        if (scenario == nullptr) return void(std::fprintf(stderr, "FAILED: %s\n", what.c_str()));
        std::fprintf(
            stderr, "FAILED: %s: %s call %llu failing %s%s: %s\nthat one: %s %s %s %llu %s%s\n",
            scenario->name, name_of(failure.kind), static_cast<unsigned long long>(failure.k),
            failure.lasting ? "for good" : "once", failure.eager ? ", with eager options" : "",
            what.c_str(), check_path, scenario->name, name_of(failure.kind),
            static_cast<unsigned long long>(failure.k), failure.lasting ? "lasting" : "once",
            failure.eager ? " eager" : "");
    };
    try {
        test->body();
    } catch (const kit::Broken& e) {
        failed(e.what());
    } catch (const kit::ClientFault& f) {
        failed(std::string("a correct client was reported: ") + hak::text_of(f.fault));
    }
}

}  // namespace

// SCENARIO KIND K once|lasting [eager] runs one failure alone.
int main(int argc, char** argv) {
    check_test tests[std::size(kScenarios) + 1];
    for (std::size_t i = 0; i < std::size(kScenarios); ++i)
        tests[i] = {kScenarios[i].name, run_running, nullptr, nullptr};
    tests[std::size(kScenarios)] = {"every_site_failed", all_sites_failed, nullptr, nullptr};
    if ((argc == 5 || argc == 6) && argv[1][0] != '-') return replay(argc, argv, scenario, failure);
    return check_main(argv, check_chain(tests, std::size(tests)), CHECK_TOGETHER, 300, &call);
}
