// reduced.cpp: nodes, sleeping and waking.
#include "props/explorer/reduced.hpp"

#include "props/explorer/explore.hpp"

namespace explorer {

Reduced::Reduced(const Options& options)
    : orders_(options.orders),
      inserts_(options.stores == Stores::insert && options.orders != Orders::sc),
      defect_(options.defect) {
    path_.reserve(4096);
}

void Reduced::begin_execution() {
    depth_ = 0;
    asleep_ = {};
    covered_ = 0;
}

Reduced::Set Reduced::set_of(const Candidates& candidates) {
    Set set = 0;
    for (unsigned i = 0; i < candidates.count; ++i) {
        if (candidates.message[i] >= 63)
            fail("more messages of one word than a sleep set holds", Kind::limit);
        set |= Set{1} << candidates.message[i];
    }
    return set;
}

Reduced::Set Reduced::transitions(unsigned thread, const Situation& situation) {
    const Op& op = situation.next[thread];
    if (!op.reads()) return kEverything;
    if (situation.machine.word(op.word).count == 1) return 1;
    situation.machine.candidates(thread, op, scratch_);
    return set_of(scratch_);
}

// Whether executing `done` leaves the covered transitions of `asleep` as they were.
bool Reduced::commute(const Op& done, const Op& asleep) const {
    if (done.kind == Op::Kind::fork || asleep.kind == Op::Kind::fork) return false;
    if (done.sc && asleep.sc) {
        if (defect_ == Defect::sc_fence_commutes_with_sc_load) {
            if ((done.is_fence() && asleep.kind != Op::Kind::load) ||
                (asleep.is_fence() && done.kind != Op::Kind::load))
                return false;
        } else if (done.is_fence() || asleep.is_fence()) {
            return false;  // a fence reads and raises the shared view
        }
    }
    if (!done.accesses() || !asleep.accesses() || done.word != asleep.word) return true;
    const auto writes = [this](const Op& op) {
        return defect_ == Defect::sc_rmw_commutes_with_sc_load ? op.kind == Op::Kind::store
                                                               : op.writes();
    };
    if (orders_ == Orders::sc || (done.sc && asleep.sc)) return !writes(done) && !writes(asleep);
    // Where stores land at the end alone, their order is that of execution.
    return inserts_ || asleep.kind != Op::Kind::store || !done.writes();
}

void Reduced::take(const Node& node) {
    for (unsigned i = 0; i < node.current; ++i) asleep_[node.thread[i]] |= node.covers[i];
}

unsigned Reduced::run(unsigned thread) {
    covered_ = asleep_[thread];
    asleep_[thread] = 0;
    return thread;
}

unsigned Reduced::pick_thread(const Situation& s) {
    const unsigned count = s.count();
    if (inserts_ && !s.forks) {
        for (unsigned rank = 0; rank < count; ++rank) {
            const unsigned t = s.at_rank(rank);
            if (s.next[t].kind == Op::Kind::store && !s.next[t].sc && asleep_[t] == 0)
                return run(t);
        }
    }
    if (depth_ == path_.size()) {
        Node node;
        for (unsigned rank = 0; rank < count; ++rank) {
            const unsigned t = s.at_rank(rank);
            if (asleep_[t] == kEverything) continue;
            const Set all = transitions(t, s);
            if (asleep_[t] != 0 && (all & ~asleep_[t]) == 0) continue;
            node.thread[node.count] = static_cast<std::uint8_t>(t);
            node.covers[node.count++] = all;
        }
        if (node.count == 0) return kCut;
        path_.push_back(node);
    }
    const Node& node = path_[depth_++];
    take(node);
    return run(node.thread[node.current]);
}

unsigned Reduced::pick_message(const Candidates& candidates) {
    if (covered_ == 0) return pick(candidates.count, Choice::message);
    std::array<std::uint8_t, kMessagesPerWord> open;
    unsigned n = 0;
    for (unsigned i = 0; i < candidates.count; ++i) {
        if ((covered_ >> candidates.message[i] & 1) == 0) open[n++] = static_cast<std::uint8_t>(i);
    }
    return open[pick(n, Choice::message)];
}

unsigned Reduced::pick(unsigned n, Choice) {
    if (n <= 1) return 0;
    if (depth_ == path_.size()) {
        Node node;
        node.count = static_cast<std::uint8_t>(n);
        path_.push_back(node);
    }
    return path_[depth_++].current;
}

void Reduced::executed(unsigned thread, const Op& op, const Situation& s) {
    covered_ = 0;
    for (unsigned rest = s.enabled & ~(1u << thread); rest != 0; rest &= rest - 1) {
        const auto u = static_cast<unsigned>(std::countr_zero(rest));
        if (asleep_[u] != 0 && !commute(op, s.next[u])) asleep_[u] = 0;
    }
}

bool Reduced::next() {
    while (!path_.empty() && path_.back().current + 1 == path_.back().count) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().current;
    return true;
}

}  // namespace explorer
