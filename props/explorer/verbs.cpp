// verbs.cpp: what a scenario does beside memory accesses: choices, address space, fork.
#include <cstring>

#include "props/explorer/engine.hpp"

namespace explorer {

unsigned Engine::choose(unsigned n, const char* what, const Where& where) {
    if (phase_ != Phase::running) return 0;
    if (n == 0 || n > kMessagesPerWord)
        fail(Kind::limit, "choose() among none, or among more than a digit holds");
    const unsigned chosen = decide(n, Search::Choice::user);
    Thread& t = threads_[current_];
    ++t.decisions;
    t.hash = mix(t.hash, chosen);
    if (tracing_) [[unlikely]] {
        const std::string name = *what == '\0' ? "" : std::string(": ") + what;
        trace(where, Memory::kNowhere,
              "chooses " + std::to_string(chosen) + " of " + std::to_string(n) + name, chosen);
    }
    return chosen;
}

void* Engine::reserve(std::size_t bytes, std::size_t alignment) {
    const std::size_t whole = (bytes + kGrain - 1) & ~(kGrain - 1);
    void* const p = memory_.allocate(whole, alignment < kGrain ? kGrain : alignment);
    shadow_.remap_alone(memory_.flat(p), whole, true, false);
    return p;
}

void Engine::remap(void* p, std::size_t bytes, bool before, bool after, const char* what) {
    const std::uint32_t flat = memory_.flat(p);
    if (flat == Memory::kNowhere || flat % kGrain != 0 || bytes % kGrain != 0) {
        fail(Kind::limit, std::string(what) + ": the range is not whole grains of the arena");
    }
    if (phase_ == Phase::running && !in_child_) {
        if (!shadow_.remap(flat, bytes, before, after, current_, what)) report_conflict(Where{});
        ++threads_[current_].writes;
        if (tracing_) [[unlikely]]
            trace(Where{}, flat, std::string(what) + " " + std::to_string(bytes), 5);
    } else if (!shadow_.remap_alone(flat, bytes, before, after)) {
        fail(Kind::lifetime, std::string(what) + ": " + memory_.describe(p) +
                                 (before ? " is not mapped" : " is mapped"));
    }
    if (!after) return;
    auto* const at = static_cast<char*>(p);
    for (std::size_t i = 0; i < bytes; i += sizeof(std::uint64_t)) {
        std::uint64_t old = 0;
        std::memcpy(&old, at + i, sizeof old);
        if (old == 0) continue;
        memory_.save(at + i, sizeof old);
        std::memset(at + i, 0, sizeof old);
    }
}

bool Engine::is_mapped(const void* p) const {
    const std::uint32_t flat = memory_.flat(p);
    return flat != Memory::kNowhere && shadow_.is_mapped(flat);
}

void Engine::fork(const std::function<void()>& prepare, const std::function<void()>& parent,
                  const std::function<void()>& child) {
    if (phase_ != Phase::running) fail(Kind::check, "fork() outside a thread");
    prepare();
    if (!situation_.forks) {
        // The child sees which stores are done, so that no store may be executed ahead of its turn:
        // begin again with that known.
        situation_.forks = true;
        end(Outcome::restart);
    }
    Op op;
    op.kind = Op::Kind::fork;
    stop_before(op);
    ++threads_[current_].writes;
    Thread& t = threads_[current_];
    const bool forked = decide(2, Search::Choice::fork) != 0;
    t.hash = mix(t.hash, forked ? 1 : 0);
    if (tracing_) [[unlikely]]
        trace(Where{}, Memory::kNowhere, forked ? "fork: the child" : "fork: the parent",
              forked ? 1 : 0);
    if (!forked) return parent();
    for (unsigned i = 0; i < thread_count_; ++i) {
        if (i != current_) threads_[i].state = Thread::State::gone;
    }
    situation_.enabled = 1u << current_;
    waiting_ = 0;
    in_child_ = true;
    machine_.see_latest(current_);
    child();
    t.state = Thread::State::ended;
    end(Outcome::ended);
}

}  // namespace explorer
