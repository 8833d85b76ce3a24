// engine.cpp: an execution from its first step to its verdict.
#include "props/explorer/engine.hpp"

#include <cstdio>
#include <cstdlib>

namespace explorer {

void Engine::add_thread(const char* name, std::function<void()> body) {
    if (thread_count_ == kThreadsMax)
        throw SetUpFailure{Kind::limit, "more threads than the explorer holds (kThreadsMax)"};
    unsigned same = 1;
    for (unsigned i = 0; i < thread_count_; ++i) same += threads_[i].called == name ? 1 : 0;
    Thread& t = threads_[thread_count_++];
    t.called = name;
    t.name = same == 1 ? t.called : t.called + std::to_string(same);
    t.body = std::move(body);
}

void Engine::fail(Kind kind, const std::string& text, const Where& where) {
    if (phase_ == Phase::idle) {
        std::fprintf(stderr, "explorer: a failure outside an exploration: %s\n", text.c_str());
        std::abort();
    }
    if (phase_ == Phase::set_up) throw SetUpFailure{kind, "in the set-up: " + text};
    if (tracing_ && phase_ == Phase::running)
        trace(where, Memory::kNowhere, "fails: " + text, static_cast<std::uint64_t>(kind));
    failure_ = kind;
    failure_text_ =
        phase_ == Phase::finally ? "finally: " + text : threads_[current_].name + ": " + text;
    end(Outcome::failed);
}

// The fiber that runs is abandoned.
void Engine::end(Outcome outcome) {
    outcome_ = outcome;
    Fiber::switch_to(*running_, main_);
    __builtin_unreachable();
}

void Engine::thread_entry() {
    instance->main_thread();
}

void Engine::main_thread() {
    Thread& t = threads_[current_];
    t.body();
    t.state = Thread::State::ended;
    leave_thread();
}

// The thread that runs will take no step any more.
void Engine::leave_thread() {
    situation_.enabled &= ~(1u << current_);
    go_on(pick());
    __builtin_unreachable();
}

void Engine::go_on(unsigned next) {
    if (next == current_) return;
    Fiber& from = threads_[current_].fiber;
    current_ = next;
    running_ = &threads_[next].fiber;
    Fiber::switch_to(from, *running_);
}

void Engine::stop_before(const Op& op) {
    situation_.next[current_] = op;
    go_on(pick());
    has_executed_ = true;
    ++machine_.thread(current_).events;
}

// Who goes on. At first every thread runs up to its first step.
unsigned Engine::pick() {
    if (started_ < thread_count_) return started_++;
    if (has_executed_) {
        has_executed_ = false;
        // The thread has stopped again since; what it executed is kept in last_op_.
        search_->executed(situation_.last, last_op_, situation_);
        if (always_) always_();
    }
    // A thread that waits goes on when something that it has read is newer by now.
    if (options_.resume_waits) {
        for (unsigned rest = waiting_; rest != 0; rest &= rest - 1) {
            const auto t = static_cast<unsigned>(std::countr_zero(rest));
            if (!is_stuck(threads_[t])) situation_.enabled |= 1u << t;
        }
    }
    if (situation_.enabled == 0) end(Outcome::ended);
    if (++situation_.step > options_.step_bound)
        fail(Kind::step_bound,
             "more than " + std::to_string(options_.step_bound) + " steps: livelock is suspected");
    const unsigned next = search_->pick_thread(situation_);
    if (next == Search::kCut) end(Outcome::covered);
    record(situation_.count(), situation_.rank(next));
    situation_.last = next;
    last_op_ = situation_.next[next];
    return next;
}

void Engine::record(unsigned n, unsigned digit) {
    if (n <= 1) return;
    if (digits_.size() == kDigitsMax)
        fail(Kind::limit, "more decisions than the explorer holds (kDigitsMax)");
    digits_.push_back(static_cast<std::uint8_t>(digit));
}

unsigned Engine::decide(unsigned n, Search::Choice choice) {
    if (n <= 1) return 0;
    const unsigned digit = search_->pick(n, choice);
    record(n, digit);
    return digit;
}

void Engine::execute(Search& search) {
    memory_.restore();
    shadow_.restore();
    machine_.begin(options_, thread_count_);
    search.begin_execution();
    search_ = &search;
    situation_.enabled = (1u << thread_count_) - 1;
    situation_.last = kThreadsMax;
    situation_.step = 0;
    started_ = 1;
    silent_steps_ = waiting_ = 0;
    has_executed_ = in_child_ = false;
    failure_ = Kind::none;
    digits_.clear();
    if (tracing_) {
        trace_.begin();
        last_set_ = Memory::kNowhere;
    }
    for (unsigned i = 0; i < thread_count_; ++i) {
        Thread& t = threads_[i];
        t.state = Thread::State::ready;
        t.hash = i;
        t.reads = t.writes = t.decisions = 0;
        t.fiber.prepare(thread_entry);
    }
    phase_ = Phase::running;
    current_ = 0;
    running_ = &threads_[0].fiber;
    Fiber::switch_to(main_, *running_);
    if (outcome_ == Outcome::ended) judge();
    phase_ = Phase::set_up;
    if (!counts_ || outcome_ == Outcome::restart) return;
    ++result_.executions;
    result_.steps += situation_.step;
    if (outcome_ == Outcome::covered) ++result_.sleep_blocked;
    if (outcome_ == Outcome::retried) ++result_.spin_blocked;
}

// The threads have ended, or are gone, or wait for ever: one that waits goes on, or its execution
// is cut, as soon as it would find more.
void Engine::judge() {
    for (unsigned i = 0; i < thread_count_; ++i) {
        if (threads_[i].state != Thread::State::waiting) continue;
        failure_ = Kind::liveness;
        failure_text_ = threads_[i].name + ": waits for ever";
        outcome_ = Outcome::failed;
        return;
    }
    if (counts_) {
        ++result_.complete;
        graphs_.add(graph_hash());
    }
    if (!finally_ || in_child_) return;
    shadow_.write_back();
    phase_ = Phase::finally;
    acting_ = 0;
    finally_fiber_.prepare(finally_entry);
    running_ = &finally_fiber_;
    Fiber::switch_to(main_, finally_fiber_);
}

void Engine::finally_entry() {
    instance->finally_();
    instance->end(Outcome::ended);
}

// Whether the last round of its loop read nothing but newest values, so that the next one would
// find the same. A round that decided something might decide otherwise.
bool Engine::is_stuck(const Thread& t) const {
    if (t.decisions != t.waits_since.decisions || t.reads > kReadsMax) return false;
    for (std::uint32_t i = t.waits_since.reads; i < t.reads; ++i) {
        if (machine_.newest(t.read[i] >> 8) != (t.read[i] & 0xff)) return false;
    }
    return true;
}

std::uint64_t Engine::graph_hash() const {
    std::uint64_t hash = in_child_ ? 2 : 1;
    for (unsigned i = 0; i < thread_count_; ++i) hash = mix(hash, threads_[i].hash);
    // Words are numbered as they are met, so their orders are added up.
    std::uint64_t orders = 0;
    for (unsigned w = 0; w < machine_.words(); ++w) {
        if (machine_.word(w).count > 1) orders += machine_.hash_of_order(w);
    }
    return mix(hash, orders);
}

}  // namespace explorer
