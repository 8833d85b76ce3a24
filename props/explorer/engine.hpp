// engine.hpp: one exploration at a time: set-up, executions, what each step does, and the report.
//
// Control moves between fibers. The main stack runs the set-up and, between executions, the search;
// each thread runs on a fiber of its own and stops before each operation that others can see. The
// thread that has just stopped asks the search who goes on and switches there directly.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "props/explorer/canonical.hpp"
#include "props/explorer/fiber.hpp"
#include "props/explorer/footprints.hpp"
#include "props/explorer/graphs.hpp"
#include "props/explorer/machine.hpp"
#include "props/explorer/memory.hpp"
#include "props/explorer/search.hpp"
#include "props/explorer/shadow.hpp"
#include "props/explorer/sites.hpp"
#include "props/explorer/trace.hpp"

namespace explorer {

// What a failed check in the set-up throws; there is no fiber to leave.
struct SetUpFailure {
    Kind kind;
    std::string text;
};

class Engine {
  public:
    enum class Phase : std::uint8_t { idle, set_up, running, finally };

    // The engine, once somebody has explored; null before.
    static inline Engine* instance = nullptr;

    Engine() : shadow_(memory_, machine_) {}
    Result explore(const Options& options, const std::function<void(Scenario&)>& body);

    // --- The scenario ---
    const Options& options() const { return options_; }
    Memory& memory() { return memory_; }
    void add_thread(const char* name, std::function<void()> body);
    void set_finally(std::function<void()> body) { finally_ = std::move(body); }
    void set_always(std::function<void()> body) { always_ = std::move(body); }
    void run();

    // --- Verbs ---
    Phase phase() const { return phase_; }
    [[noreturn]] void fail(Kind kind, const std::string& text, const Where& where = {});
    unsigned choose(unsigned n, const char* what, const Where& where);
    unsigned self() const { return phase_ == Phase::running ? current_ : acting_; }
    void act_as(unsigned thread) { acting_ = thread; }
    void* reserve(std::size_t bytes, std::size_t alignment);
    void remap(void* p, std::size_t bytes, bool before, bool after, const char* what);
    bool is_mapped(const void* p) const;
    void fork(const std::function<void()>& prepare, const std::function<void()>& parent,
              const std::function<void()>& child);

    // --- Accesses; the flat offset is that of a checked word, while threads run ---
    // kNowhere: the address is the calling fiber's own or a ghost, and the access is not followed.
    std::uint32_t checked(const void* p, const Where& where);
    // Outside threads: fails the scenario if the word is not mapped, and keeps what `finally`
    // overwrites.
    void access_alone(const void* p, unsigned bytes, bool writes);
    std::uint64_t load(std::uint32_t flat, unsigned bytes, Order order, const Where& where);
    void store(std::uint32_t flat, unsigned bytes, std::uint64_t value, Order order,
               const Where& where);
    std::uint64_t update(std::uint32_t flat, unsigned bytes, word::Update kind,
                         std::uint64_t operand, Order order, const Where& where);
    bool cas(std::uint32_t flat, unsigned bytes, std::uint64_t& expected, std::uint64_t desired,
             Order success, Order failure, bool weak, const Where& where);
    void fence(Order order, const Where& where);
    void construct(std::uint32_t flat, unsigned bytes);
    void read_plain(std::uint32_t flat, unsigned bytes, const Where& where);
    void write_plain(std::uint32_t flat, unsigned bytes, const Where& where);
    void begin(word::Round& round);
    void retry(word::Round& round, const Where& where);
    void wait(word::Round& round, const Where& where);

  private:
    static constexpr unsigned kReadsMax = 4096, kDigitsMax = 1 << 16, kSilentPerStep = 500;

    struct Thread {
        enum class State : std::uint8_t { ready, ended, waiting, gone };
        Fiber fiber;
        // as the scenario says; numbered where several are called the same
        std::string called, name;
        std::function<void()> body;
        State state = State::ready;
        std::uint64_t hash = 0;  // of what it read
        // What it did since its start, for loops; a read is word << 8 | message.
        std::uint32_t reads = 0, writes = 0, decisions = 0;
        word::Round waits_since;
        std::array<std::uint32_t, kReadsMax> read;
    };
    enum class Outcome : std::uint8_t { ended, covered, retried, failed, restart };

    // engine.cpp: executions
    static void thread_entry();
    static void finally_entry();
    void main_thread();
    void execute(Search& search);
    void judge();
    bool is_stuck(const Thread& t) const;
    std::uint64_t graph_hash() const;
    [[noreturn]] void end(Outcome outcome);
    [[noreturn]] void leave_thread();
    void stop_before(const Op& op);
    void go_on(unsigned next);
    unsigned pick();
    unsigned decide(unsigned n, Search::Choice choice);
    void record(unsigned n, unsigned digit);

    // access.cpp: steps
    Op prepare(Op::Kind kind, std::uint32_t flat, unsigned bytes, Order& order, Order& failure,
               Sites::What what, const Where& where);
    unsigned pick_message(const Op& op);
    void cut_if_woken();
    void count_silent_step(const Where& where);
    void read(const Op& op, unsigned position, Order order);
    void write(const Op& op, unsigned after, std::uint64_t value, Order order, bool updates);
    // Until the thread may execute the operation.
    void reach(const Op& op, std::uint32_t flat, unsigned bytes, const Where& where);
    [[noreturn]] void report_conflict(const Where& where);
    std::string describe_source(const Op& op, unsigned message) const;
    void trace(const Where& where, std::uint32_t flat, std::string text, std::uint64_t what);
    void complete_trace();

    // exploration.cpp: the search
    struct Budget {
        double seconds;
        std::uint64_t executions;
    };
    // Until a failure, the end of the search or of the budget; true if everything was covered.
    bool search(Search& search, Budget budget);
    void begin_counts();
    void learn_footprints();
    static double now();

    // explain.cpp: what follows a failure
    std::string witness_of(const Digits& digits) const;
    void explain();
    void shrink();
    void triage();
    void replay(const std::string& witness);
    std::vector<std::string> thread_names() const;

    Options options_;
    Result result_;
    Phase phase_ = Phase::idle;
    bool has_run_ = false;
    Memory memory_;
    Machine machine_;
    Shadow shadow_;
    Sites sites_;
    Footprints footprints_;
    Graphs graphs_;
    Trace trace_;
    std::array<Thread, kThreadsMax> threads_;
    unsigned thread_count_ = 0, acting_ = 0;
    std::function<void()> finally_, always_;

    // The execution
    Fiber main_, finally_fiber_;
    Fiber* running_ = nullptr;
    Search* search_ = nullptr;
    Situation situation_{machine_, {}, 0, kThreadsMax, 0, false};
    unsigned current_ = 0, started_ = 0, silent_steps_ = 0, waiting_ = 0;
    // the plain write whose value the trace does not show yet
    std::uint32_t last_set_ = Memory::kNowhere, last_set_bytes_ = 0;
    bool in_child_ = false, has_executed_ = false, tracing_ = false, counts_ = true;
    Outcome outcome_ = Outcome::ended;
    Kind failure_ = Kind::none;
    std::string failure_text_;
    Op last_op_;  // of the last step
    Digits digits_;
    Candidates candidates_;
};

}  // namespace explorer
