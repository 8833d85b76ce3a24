// machine.hpp: the memory model as a machine that can be run: RC11 with C++20's release sequences,
// in its operational form with views.
//
// A word's stores are messages in modification order. Each thread keeps, per word, the newest
// message that it must not read behind (`current`), what an acquire fence would add to that
// (`acquired`) and what its last release fence published (`released`), each with the clock that
// goes with it. `sc` is the view that seq_cst accesses share. Reading picks any message that is not
// behind; storing picks a place in modification order behind `current`, but never between a message
// and the read-modify-write that took it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "props/explorer/clock.hpp"
#include "props/explorer/options.hpp"

namespace explorer {

using Order = std::memory_order;

constexpr bool acquires(Order o) {
    return o == Order::acquire || o == Order::acq_rel || o == Order::seq_cst || o == Order::consume;
}
constexpr bool releases(Order o) {
    return o == Order::release || o == Order::acq_rel || o == Order::seq_cst;
}

inline constexpr unsigned kMessagesPerWord = 250, kMessagesMax = 4096, kWordsMax = 2048;

// An operation that a thread is about to execute.
struct Op {
    enum class Kind : std::uint8_t { none, load, store, update, cas, fence, fork };

    Kind kind = Kind::none;
    bool weak = false;
    bool sc = false;          // takes part in the order of seq_cst operations
    bool full_fence = false;  // a seq_cst fence stands before and behind the access
    std::uint16_t word = 0;
    Order order = Order::relaxed, failure = Order::relaxed;
    std::uint64_t expected = 0;

    bool accesses() const {
        return kind == Kind::load || kind == Kind::store || kind == Kind::update ||
               kind == Kind::cas;
    }
    bool reads() const { return kind == Kind::load || kind == Kind::update || kind == Kind::cas; }
    bool writes() const { return kind == Kind::store || kind == Kind::update || kind == Kind::cas; }
    bool is_fence() const { return kind == Kind::fence || full_fence; }
};

// Positions in a word's modification order, newest first, with the messages that lie there. A
// message keeps its number when others are inserted before it.
struct Candidates {
    unsigned count = 0;
    std::array<std::uint8_t, kMessagesPerWord> position;
    std::array<std::uint8_t, kMessagesPerWord> message;

    void add(unsigned at, unsigned id) {
        position[count] = static_cast<std::uint8_t>(at);
        message[count++] = static_cast<std::uint8_t>(id);
    }
};

class Machine {
  public:
    struct Message {
        std::uint64_t value;
        Clock clock;
        View view;
        std::uint16_t event;  // the writer's how many-th operation stored it
        std::uint8_t writer;
        std::uint8_t parts;
        bool taken;  // a read-modify-write reads it
    };
    struct Word {
        static constexpr std::uint16_t kNoColumn = UINT16_MAX;
        std::uint64_t initial;   // message 0: the value when the word began
        std::uint64_t identity;  // the same in every execution that has this word
        std::uint16_t column;
        std::uint8_t count;
        bool initial_taken;
        std::array<std::uint8_t, kMessagesPerWord> order;     // position -> message
        std::array<std::uint16_t, kMessagesPerWord> message;  // message -> pool, from 1
    };
    struct Thread {
        View current, acquired, released;
        Clock clock, acquired_clock, released_clock;
        std::uint16_t events = 0;
        std::uint8_t spurious_left = 0;
    };

    void begin(const Options& options, unsigned threads);

    unsigned new_word(std::uint64_t initial, std::uint64_t identity);
    unsigned words() const { return words_used_; }
    const Word& word(unsigned w) const { return words_[w]; }
    Thread& thread(unsigned t) { return threads_[t]; }
    std::uint64_t value(unsigned w, unsigned message) const {
        return message == 0 ? words_[w].initial : pool_[words_[w].message[message]].value;
    }
    const Message& message(unsigned w, unsigned message) const {
        return pool_[words_[w].message[message]];
    }
    unsigned newest(unsigned w) const { return words_[w].order[words_[w].count - 1u]; }

    // The messages that a reading operation may read.
    void candidates(unsigned thread, const Op& op, Candidates& out) const;
    // The messages directly behind which a store may land.
    void places(unsigned thread, const Op& op, Candidates& out) const;
    bool is_taken(unsigned w, unsigned message) const {
        return message == 0 ? words_[w].initial_taken : pool_[words_[w].message[message]].taken;
    }
    bool can_update(unsigned w, unsigned position) const {
        return !is_taken(w, words_[w].order[position]) &&
               (inserts_ || position + 1u == words_[w].count);
    }

    // Whether a cas that reads what it expects there may succeed, and whether a cas may fail there.
    // Either has its own order.
    bool can_succeed(unsigned thread, const Op& op, unsigned position) const {
        return can_update(op.word, position) && position >= floor(thread, op, op.order);
    }
    bool can_fail(unsigned thread, const Op& op, unsigned position) const {
        if (value(op.word, words_[op.word].order[position]) == op.expected &&
            (!op.weak || threads_[thread].spurious_left == 0))
            return false;
        return position >= floor(thread, op, op.failure);
    }

    void read(unsigned thread, unsigned w, unsigned position, Order order);
    // Stores behind the message at `after`; `updates` if the operation has read that message.
    void write(unsigned thread, unsigned w, unsigned after, std::uint64_t value, Order order,
               bool updates);
    void fence(unsigned thread, Order order);

    // The thread continues in a copy of the process: it sees the latest value of every word.
    void see_latest(unsigned thread);

    // The word's stores in order, as a number.
    std::uint64_t hash_of_order(unsigned w) const;

  private:
    unsigned floor(unsigned thread, const Op& op, Order order) const;
    unsigned parts() const {
        return (columns_ + View::kColumnsPerPart - 1) / View::kColumnsPerPart;
    }
    void make_place(unsigned w, unsigned position);
    void end_epoch(Thread& t, unsigned thread);

    bool sequential_ = false, inserts_ = true;
    unsigned thread_count_ = 0, words_used_ = 0, columns_ = 0, messages_ = 0;
    std::array<Thread, kThreadsMax> threads_;
    View sc_;
    std::array<Word, kWordsMax> words_;
    std::array<Message, kMessagesMax> pool_;
};

// Depends on the order of its arguments, and has no arguments of which it returns one: hashes of
// short histories must differ.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t x = (a + 0x632be59bd9b4e019u) * 0x9e3779b97f4a7c15u + b;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 29;
}

}  // namespace explorer
