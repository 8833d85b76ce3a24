// machine.cpp: what each operation does to views, clocks and modification orders.
#include "props/explorer/machine.hpp"

#include <algorithm>

#include "props/explorer/explore.hpp"

namespace explorer {

void Machine::begin(const Options& options, unsigned threads) {
    sequential_ = options.orders == Orders::sc;
    inserts_ = options.stores == Stores::insert && !sequential_;
    const unsigned used = parts();
    // What the last execution left, of all of its threads: the next one may have fewer, and the one
    // after that more.
    for (unsigned i = 0; i < thread_count_; ++i) {
        threads_[i].current.clear(used);
        threads_[i].acquired.clear(used);
        threads_[i].released.clear(used);
    }
    thread_count_ = threads;
    for (unsigned i = 0; i < threads; ++i) {
        Thread& t = threads_[i];
        t.clock = t.acquired_clock = t.released_clock = Clock{};
        // Epoch 0 is the set-up, which happens before everything.
        t.clock.set(i, 1);
        t.acquired_clock.set(i, 1);
        t.events = 0;
        t.spurious_left = static_cast<std::uint8_t>(options.spurious);
    }
    sc_.clear(used);
    words_used_ = columns_ = messages_ = 0;
}

unsigned Machine::new_word(std::uint64_t initial, std::uint64_t identity) {
    if (words_used_ == kWordsMax)
        fail("more atomic words than the explorer holds (kWordsMax)", Kind::limit);
    Word& w = words_[words_used_];
    w.initial = initial;
    w.identity = identity;
    w.column = Word::kNoColumn;
    w.count = 1;
    w.initial_taken = false;
    w.order[0] = 0;
    return words_used_++;
}

// The oldest position that an operation may read, or store behind, if this is its order.
unsigned Machine::floor(unsigned thread, const Op& op, Order order) const {
    const Word& w = words_[op.word];
    if (sequential_) return w.count - 1u;
    if (w.column == Word::kNoColumn) return 0;
    const unsigned own = threads_[thread].current[w.column];
    return order == Order::seq_cst || op.full_fence ? std::max<unsigned>(own, sc_[w.column]) : own;
}

void Machine::candidates(unsigned thread, const Op& op, Candidates& out) const {
    const Word& w = words_[op.word];
    const bool cas = op.kind == Op::Kind::cas;
    unsigned lowest = floor(thread, op, op.order);
    if (cas) lowest = std::min(lowest, floor(thread, op, op.failure));
    out.count = 0;
    for (unsigned at = w.count; at-- > lowest;) {
        const unsigned id = w.order[at];
        if (op.kind == Op::Kind::update && !can_update(op.word, at)) continue;
        if (cas && !can_fail(thread, op, at) &&
            !(value(op.word, id) == op.expected && can_succeed(thread, op, at)))
            continue;
        out.add(at, id);
    }
}

void Machine::places(unsigned thread, const Op& op, Candidates& out) const {
    const Word& w = words_[op.word];
    const unsigned lowest = inserts_ ? floor(thread, op, op.order) : w.count - 1u;
    out.count = 0;
    for (unsigned at = w.count; at-- > lowest;) {
        if (!is_taken(op.word, w.order[at])) out.add(at, w.order[at]);
    }
}

void Machine::read(unsigned thread, unsigned w, unsigned position, Order order) {
    const Word& word = words_[w];
    // The beginning of a word happens before every access to it (shadow.hpp), so that reading it
    // brings nothing new.
    const unsigned id = word.order[position];
    if (id == 0) return;
    Thread& t = threads_[thread];
    const Message& m = pool_[word.message[id]];
    t.current.raise(word.column, static_cast<std::uint8_t>(position));
    t.acquired.join(m.view, m.parts);
    t.acquired_clock.join(m.clock);
    if (acquires(order) || sequential_) {
        t.current.join(m.view, m.parts);
        t.clock.join(m.clock);
    }
}

// Moves everything from `position` on one place further, in the word and in every view of it.
void Machine::make_place(unsigned w, unsigned position) {
    Word& word = words_[w];
    if (word.column == Word::kNoColumn) {
        if (columns_ == View::kColumns)
            fail("more words are stored to than a view holds (View::kColumns)", Kind::limit);
        // What lies beyond the parts in use is never cleared at the end of an execution, because it
        // was never written.
        word.column = static_cast<std::uint16_t>(columns_++);
    }
    if (word.count == kMessagesPerWord)
        fail("more stores to one word than the explorer holds: livelock is suspected",
             Kind::step_bound);
    if (position < word.count) {
        const auto at = static_cast<std::uint8_t>(position);
        for (unsigned i = 0; i < thread_count_; ++i) {
            threads_[i].current.shift(word.column, at);
            threads_[i].acquired.shift(word.column, at);
            threads_[i].released.shift(word.column, at);
        }
        sc_.shift(word.column, at);
        for (unsigned i = 0; i < messages_; ++i) {
            if (pool_[i].parts * View::kColumnsPerPart > word.column)
                pool_[i].view.shift(word.column, at);
        }
        for (unsigned i = word.count; i > position; --i) word.order[i] = word.order[i - 1];
    }
    ++word.count;
}

// What a thread does after a release is not covered by it, so it needs a new epoch.
void Machine::end_epoch(Thread& t, unsigned thread) {
    const auto next = static_cast<std::uint16_t>(t.clock[thread] + 1);
    if (next == UINT16_MAX) fail("more release operations than a clock counts", Kind::limit);
    t.clock.set(thread, next);
    t.acquired_clock.set(thread, next);
}

void Machine::write(unsigned thread, unsigned w, unsigned after, std::uint64_t value, Order order,
                    bool updates) {
    Thread& t = threads_[thread];
    Word& word = words_[w];
    const unsigned source = word.order[after];
    const unsigned position = after + 1;
    make_place(w, position);
    if (messages_ == kMessagesMax)
        fail("more stores than the explorer holds: livelock is suspected", Kind::step_bound);
    const unsigned slot = messages_++;
    const unsigned id = word.count - 1u;
    word.order[position] = static_cast<std::uint8_t>(id);
    word.message[id] = static_cast<std::uint16_t>(slot);

    const auto at = static_cast<std::uint8_t>(position);
    t.current.raise(word.column, at);
    Message& m = pool_[slot];
    m.value = value;
    m.event = t.events;
    m.writer = static_cast<std::uint8_t>(thread);
    m.parts = static_cast<std::uint8_t>(parts());
    m.taken = false;
    const bool release = releases(order) || sequential_;
    m.view.copy(release ? t.current : t.released, m.parts);
    m.clock = release ? t.clock : t.released_clock;
    m.view.set(word.column, at);
    if (updates) {
        // The release sequence goes on through read-modify-writes, and through nothing else.
        if (source == 0) {
            word.initial_taken = true;
        } else {
            Message& read = pool_[word.message[source]];
            read.taken = true;
            m.view.join(read.view, read.parts);
            m.clock.join(read.clock);
        }
    }
    if (order == Order::seq_cst || sequential_) sc_.raise(word.column, at);
    if (release) end_epoch(t, thread);
}

void Machine::fence(unsigned thread, Order order) {
    Thread& t = threads_[thread];
    const unsigned used = parts();
    if (acquires(order)) {
        t.current.join(t.acquired, used);
        t.clock.join(t.acquired_clock);
    }
    if (order == Order::seq_cst) {
        // The shared view orders what may be read; it carries no clock, because seq_cst fences
        // alone make nothing happen before.
        t.current.join(sc_, used);
        sc_.join(t.current, used);
    }
    if (releases(order)) {
        t.released.copy(t.current, used);
        t.released_clock = t.clock;
        end_epoch(t, thread);
    }
}

void Machine::see_latest(unsigned thread) {
    Thread& t = threads_[thread];
    for (unsigned w = 0; w < words_used_; ++w) {
        const Word& word = words_[w];
        if (word.column == Word::kNoColumn) continue;
        t.current.set(word.column, static_cast<std::uint8_t>(word.count - 1));
        t.acquired.set(word.column, static_cast<std::uint8_t>(word.count - 1));
    }
    sc_.join(t.current, parts());
}

std::uint64_t Machine::hash_of_order(unsigned w) const {
    const Word& word = words_[w];
    std::uint64_t hash = word.identity;
    for (unsigned at = 0; at < word.count; ++at) {
        if (word.order[at] == 0) continue;
        const Message& m = pool_[word.message[word.order[at]]];
        hash = mix(hash, std::uint64_t{m.writer} << 32 | m.event);
    }
    return hash;
}

}  // namespace explorer
