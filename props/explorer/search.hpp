// search.hpp: a search decides what an execution does wherever it could do several things, and
// remembers what is left to try.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "props/explorer/machine.hpp"

namespace explorer {

// What a search knows at a step: who may go on, with which operation.
struct Situation {
    const Machine& machine;
    std::array<Op, kThreadsMax> next;  // of each enabled thread
    unsigned enabled = 0;              // a bit per thread
    unsigned last = kThreadsMax;       // the thread that took the last step
    unsigned step = 0;                 // of this execution, from 1
    bool forks = false;                // the scenario uses fork()

    unsigned count() const { return count(enabled); }
    bool is_enabled(unsigned thread) const { return (enabled >> thread & 1) != 0; }
    // Enabled threads are numbered: the one that took the last step is 0, the others follow in
    // their order. So a number other than 0 is a preemption, or a choice where the last thread
    // cannot go on.
    unsigned rank(unsigned thread) const {
        if (thread == last) return 0;
        const bool shifted = last < kThreadsMax && is_enabled(last) && last > thread;
        return count(enabled & ((1u << thread) - 1)) + (shifted ? 1 : 0);
    }
    unsigned at_rank(unsigned rank) const {
        unsigned rest = enabled;
        if (last < kThreadsMax && is_enabled(last)) {
            if (rank == 0) return last;
            rest &= ~(1u << last);
            --rank;
        }
        while (rank-- != 0) rest &= rest - 1;
        return static_cast<unsigned>(std::countr_zero(rest));
    }

  private:
    // Faster than the library call that std::popcount is without special instructions.
    static unsigned count(unsigned set) {
        unsigned n = 0;
        for (; set != 0; set &= set - 1) ++n;
        return n;
    }
};

class Search {
  public:
    // Which of several things is decided; 0 is always the plain one: the newest message, the end of
    // the order, no spurious failure, the parent.
    enum class Choice : std::uint8_t { message, place, spurious, user, fork };
    static constexpr unsigned kCut = kThreadsMax;

    virtual ~Search() = default;
    virtual void begin_execution() = 0;
    // A thread of situation.enabled, or kCut if another execution covers this one.
    virtual unsigned pick_thread(const Situation& situation) = 0;
    // An index into the candidates, for the thread that was picked.
    virtual unsigned pick_message(const Candidates& candidates) = 0;
    virtual unsigned pick(unsigned n, Choice choice) = 0;
    // `thread` has executed `op`; the situation is the next one.
    virtual void executed(unsigned thread, const Op& op, const Situation& situation) = 0;
    // False if nothing is left to try.
    virtual bool next() = 0;
    // The last execution showed that branches were missing. True if everything begins again.
    virtual bool restart() = 0;
    // Whether it left something out on purpose.
    virtual bool was_bounded() const { return false; }
};

}  // namespace explorer
