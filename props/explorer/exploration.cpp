// exploration.cpp: an exploration from the scenario's set-up to its result.
#include <csignal>
#include <ctime>
#include <memory>

#include "props/explorer/engine.hpp"
#include "props/explorer/random.hpp"
#include "props/explorer/reduced.hpp"

namespace explorer {

namespace {

// A body that runs into a signal is a failure like others. The handler leaves for the main stack
// and never returns.
class CrashHandler {
  public:
    CrashHandler() {
        stack_t stack{};
        stack.ss_sp = stack_;
        stack.ss_size = sizeof stack_;
        sigaltstack(&stack, &old_stack_);
        struct sigaction action{};
        action.sa_handler = on_signal;
        action.sa_flags = SA_ONSTACK | SA_NODEFER;
        for (unsigned i = 0; i < std::size(kSignals); ++i)
            sigaction(kSignals[i], &action, &old_[i]);
    }
    ~CrashHandler() {
        for (unsigned i = 0; i < std::size(kSignals); ++i)
            sigaction(kSignals[i], &old_[i], nullptr);
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

std::unique_ptr<Search> make_search(const Options& options) {
    if (options.mode == Mode::deviations)
        return std::make_unique<Canonical>(options.deviation_bound);
    if (options.mode != Mode::exhaustive) return std::make_unique<Random>(options);
    if (options.sleep_sets) return std::make_unique<Reduced>(options);
    return std::make_unique<Canonical>(Canonical::kNoBound);
}

}  // namespace

// Of this processor time, not of the day: a bound in seconds means the same on a busy machine.
double Engine::now() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

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
    if (has_run_ || thread_count_ == 0)
        throw SetUpFailure{Kind::check, "run() needs threads, and is called once"};
    has_run_ = true;
    memory_.commit();
    shadow_.commit();
    const CrashHandler handler;
    learn_footprints();
    if (options_.has_replay) {
        replay(options_.replay);
    } else {
        const std::unique_ptr<Search> chosen = make_search(options_);
        result_.exhaustive = search(*chosen, {options_.max_seconds, options_.max_executions}) &&
                             !chosen->was_bounded();
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
    result_.executions = result_.complete = result_.steps = result_.sleep_blocked =
        result_.spin_blocked = 0;
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

// Random executions show which words are shared, so that the search seldom has to begin again; they
// end when many of them in a row have shown nothing new. Their failures are found again.
void Engine::learn_footprints() {
    if (!options_.sleep_sets) return;
    constexpr unsigned kQuiet = 32;
    const Options asked = options_;
    options_.mode = Mode::uniform;
    options_.seed = 1;
    options_.prune_retries = false;
    options_.resume_waits = true;
    Random random(options_);
    counts_ = false;
    for (unsigned quiet = 0; quiet < kQuiet;) {
        execute(random);
        random.next();
        quiet = outcome_ == Outcome::restart ? 0 : quiet + 1;
    }
    counts_ = true;
    options_ = asked;
    failure_ = Kind::none;
    footprints_.remember();
}

}  // namespace explorer
