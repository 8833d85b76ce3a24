// explain.cpp: an exploration as a whole, and what follows a failure: the shortest witness, under which orders it breaks, its trace.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ostream>

#include "props/explorer/engine.hpp"
#include "props/explorer/random.hpp"
#include "props/explorer/reduced.hpp"

namespace explorer {

namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A body that runs into a signal is a failure like others. The handler leaves for the main stack and never returns.
class CrashHandler {
public:
    CrashHandler() {
        stack_t stack{};
        stack.ss_sp = stack_;
        stack.ss_size = sizeof stack_;
        sigaltstack(&stack, &old_stack_);
        struct sigaction action {};
        action.sa_handler = on_signal;
        action.sa_flags = SA_ONSTACK | SA_NODEFER;
        for (unsigned i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &old_[i]);
    }
    ~CrashHandler() {
        for (unsigned i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &old_[i], nullptr);
        sigaltstack(&old_stack_, nullptr);
    }
    CrashHandler(const CrashHandler&) = delete;
    CrashHandler& operator=(const CrashHandler&) = delete;

private:
    static constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

    static void on_signal(int signal) {
        const Engine::Phase phase = Engine::instance->phase();
        if (phase != Engine::Phase::running && phase != Engine::Phase::finally) {
            std::signal(signal, SIG_DFL);
            return;  // the instruction is executed again, and ends the program
        }
        Engine::instance->fail(Kind::crash, "signal " + std::to_string(signal));
    }

    alignas(16) static inline char stack_[64 * 1024];
    stack_t old_stack_{};
    struct sigaction old_[std::size(kSignals)];
};

}  // namespace

Result Engine::explore(const Options& options, const std::function<void(Scenario&)>& body) {
    if (phase_ != Phase::idle) fail(Kind::limit, "an exploration within an exploration");
    options_ = options;
    if (options.mode == Mode::uniform || options.mode == Mode::pct || options.mode == Mode::pos) {
        // One execution is all there is: cutting it would waste it.
        options_.prune_retries = false;
        options_.resume_waits = true;
    }
    result_ = Result{};
    graphs_ = Graphs{};
    has_run_ = false;
    thread_count_ = acting_ = 0;
    situation_.forks = false;
    finally_ = nullptr;
    always_ = nullptr;
    footprints_.begin();
    memory_.begin();
    shadow_.begin();
    sites_.begin(options.mutant);
    phase_ = Phase::set_up;
    const double start = now();
    try {
        Scenario scenario(*this);
        body(scenario);
        if (!has_run_) throw SetUpFailure{Kind::check, "the scenario's body did not call run()"};
    } catch (const SetUpFailure& failure) {
        result_.kind = failure.kind;
        result_.message = failure.text;
    }
    phase_ = Phase::idle;
    memory_.end();
    for (Thread& t : threads_) t.body = nullptr;
    finally_ = nullptr;
    always_ = nullptr;
    result_.seconds = now() - start;
    result_.graphs = graphs_.distinct();
    result_.good_turing = graphs_.good_turing();
    if (options_.keep_graphs) result_.graph_hashes = graphs_.sorted();
    result_.sites = sites_.met();
    result_.mutant_met = sites_.mutant_met();
    return std::move(result_);
}

void Engine::run() {
    if (has_run_ || thread_count_ == 0) throw SetUpFailure{Kind::check, "run() needs threads, and is called once"};
    has_run_ = true;
    memory_.commit();
    shadow_.commit();
    const CrashHandler handler;
    learn_footprints();
    if (options_.has_replay) {
        replay(options_.replay);
    } else {
        Reduced reduced(options_);
        Canonical canonical(options_.mode == Mode::deviations ? options_.deviation_bound : Canonical::kNoBound);
        Random random(options_);
        const bool digits = options_.mode == Mode::deviations || (options_.mode == Mode::exhaustive && !options_.sleep_sets);
        Search& chosen = options_.mode == Mode::exhaustive && !digits ? static_cast<Search&>(reduced)
                         : digits                                     ? static_cast<Search&>(canonical)
                                                                      : static_cast<Search&>(random);
        result_.exhaustive = search(chosen, {options_.max_seconds, options_.max_executions}) && !canonical.was_bounded();
        if (failure_ == Kind::none && options_.mode == Mode::exhaustive && !result_.exhaustive) {
            result_.kind = Kind::budget;
            result_.message = "the budget is spent before every execution was covered";
        }
        if (failure_ != Kind::none) {
            result_.found_at = result_.executions;
            result_.kind = failure_;
            result_.message = failure_text_;
            result_.witness = witness_of(digits_);
            if (options_.explain && failure_ != Kind::limit) explain();
        }
    }
    memory_.restore();
    shadow_.restore();
}

void Engine::begin_counts() {
    result_.executions = result_.complete = result_.steps = result_.sleep_blocked = result_.spin_blocked = 0;
    graphs_ = Graphs{};
}

bool Engine::search(Search& search, Budget budget) {
    const double deadline = budget.seconds == 0 ? 0 : now() + budget.seconds;
    for (std::uint64_t n = 1;; ++n) {
        execute(search);
        if (outcome_ == Outcome::restart) {
            if (search.restart() && counts_) begin_counts();
            continue;
        }
        if (outcome_ == Outcome::failed) return false;
        if (!search.next()) return true;
        if (budget.executions != 0 && n >= budget.executions) return false;
        if (deadline != 0 && n % 64 == 0 && now() > deadline) return false;
    }
}

// A few random executions show which words are shared, so that the search seldom has to begin again. Their failures are found again.
void Engine::learn_footprints() {
    if (!options_.sleep_sets) return;
    constexpr std::uint64_t kExecutions = 32;
    const Options asked = options_;
    options_.mode = Mode::uniform;
    options_.seed = 1;
    options_.prune_retries = false;
    options_.resume_waits = true;
    Random random(options_);
    counts_ = false;
    for (std::uint64_t n = 0; n < kExecutions; ++n) {
        execute(random);
        random.next();
    }
    counts_ = true;
    options_ = asked;
    failure_ = Kind::none;
    footprints_.remember();
}

// The words that were learned to be shared since the search began, then the digits.
std::string Engine::witness_of(const Digits& digits) const {
    std::string text;
    for (const std::uint32_t flat : footprints_.late()) {
        char word[16];
        std::snprintf(word, sizeof word, "%s%x", text.empty() ? "" : ".", flat);
        text += word;
    }
    const std::string rest = to_text(digits);
    if (!text.empty()) return text + "-" + rest;
    return rest.empty() ? "0" : rest;
}

void Engine::explain() {
    const Kind kind = result_.kind;
    const std::string message = result_.message;
    counts_ = false;
    shrink();
    triage();
    replay(result_.witness);
    counts_ = true;
    if (result_.kind != kind) {
        result_.message = "the witness does not reproduce (" + std::string(name_of(result_.kind)) + "): is there state that is not reset? It was " +
                          name_of(kind) + ": " + message;
        result_.kind = Kind::replay;
    }
}

// The fewest deviations that break the same thing.
void Engine::shrink() {
    const double deadline = now() + options_.shrink_seconds;
    const auto deviations = [](const Digits& digits) {
        unsigned n = 0;
        for (const std::uint8_t digit : digits) n += digit != 0 ? 1 : 0;
        return n;
    };
    const unsigned found = deviations(digits_);
    for (unsigned bound = 0; bound < found; ++bound) {
        Canonical canonical(bound);
        for (bool more = true; more;) {
            const double left = deadline - now();
            if (left <= 0) return;
            search(canonical, {left, 0});
            if (outcome_ == Outcome::failed && failure_ == result_.kind) {
                result_.witness = witness_of(digits_);
                result_.message = failure_text_;
                return;
            }
            // Another failure on the way: go on behind it.
            more = outcome_ == Outcome::failed && canonical.next();
        }
    }
}

void Engine::triage() {
    if (options_.orders != Orders::declared) return;
    const auto under = [&](Orders orders) -> std::string {
        options_.orders = orders;
        Reduced reduced(options_);
        const bool all = search(reduced, {2, 200'000});
        if (outcome_ == Outcome::failed) return std::string("breaks (") + name_of(failure_) + ")";
        return all ? "holds" : "not found within the budget";
    };
    result_.triage = "declared orders: breaks; x86: " + under(Orders::x86);
    result_.triage += "; sequentially consistent: " + under(Orders::sc);
    options_.orders = Orders::declared;
}

void Engine::replay(const std::string& witness) {
    const std::size_t dash = witness.find('-');
    std::vector<std::uint32_t> shared;
    Digits digits;
    bool readable = parse_digits(dash == std::string::npos ? witness : witness.substr(dash + 1), digits);
    for (std::size_t at = 0; dash != std::string::npos && at < dash;) {
        const std::size_t end = std::min(witness.find('.', at), dash);
        const unsigned long flat = std::strtoul(witness.substr(at, end - at).c_str(), nullptr, 16);
        readable = readable && flat < Memory::kFlatBytes;
        if (readable) shared.push_back(static_cast<std::uint32_t>(flat));
        at = end + 1;
    }
    if (!readable) {
        result_.kind = Kind::replay;
        result_.message = "the witness cannot be read";
        return;
    }
    footprints_.recall(shared);
    Canonical canonical(digits);
    tracing_ = true;
    search(canonical, {0, 1});
    complete_trace();
    tracing_ = false;
    result_.kind = failure_;
    result_.message = failure_ == Kind::none ? "" : failure_text_;
    result_.witness = witness;
    result_.trace_hash = trace_.hash();
    if (failure_ != Kind::none || options_.trace) result_.trace = trace_.render(thread_names());
}

std::vector<std::string> Engine::thread_names() const {
    std::vector<std::string> names;
    for (unsigned i = 0; i < thread_count_; ++i) names.push_back(threads_[i].name);
    return names;
}

const char* name_of(Kind kind) {
    constexpr const char* kNames[] = {"none",  "data_race",    "lifetime", "check",  "liveness", "step_bound",
                                      "crash", "unregistered", "limit",    "budget", "replay"};
    return kNames[static_cast<unsigned>(kind)];
}

std::ostream& operator<<(std::ostream& out, const Result& r) {
    out << (r.ok() ? "ok" : name_of(r.kind)) << ": " << r.executions << " executions, " << r.graphs << " graphs, " << r.sleep_blocked
        << " covered, " << r.spin_blocked << " waiting, " << r.steps << " steps, " << r.seconds << " s" << (r.exhaustive ? ", exhaustive" : "");
    if (r.ok()) return out;
    out << "\n  " << r.message << "\n  witness " << (r.witness.empty() ? "0" : r.witness) << "\n";
    if (!r.triage.empty()) out << "  " << r.triage << "\n";
    return out << r.trace;
}

}  // namespace explorer
