// program.hpp: litmus programs as one line of text, so that a table of them can be read and a failing one can be pasted.
//
//   x=1 rlx; y=1 rel | a=y acq; b=x rlx        threads are separated by `|`, operations by `;`
//
//   x=1 rel        atomic store (of a constant, or of a register: x=a rel)
//   a=x acq        atomic load into a register; `x acq` forgets the value
//   a=x+=1 ar      fetch_add; `a=` may be left out here and below
//   a=x<>3 ar      exchange
//   a=x?0:1 ar/rlx compare and swap: where x is 0 it becomes 1; the orders of success and of failure; a is the value read
//   a=x~0:1 ar/rlx the same, weak: it may fail although x is 0
//   F sc           fence
//   p=1, a=p       plain write, plain read
//   [a=1] p=2      the operation happens only if register a holds 1; [a!=1] is the opposite
//
// x y z w are atomic, p q plain, a to h registers; all begin as 0. Orders: rlx acq rel ar sc.
// An outcome is a list of facts about the end, such as "a=1, b!=c, x=2".
#pragma once

#include <array>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace litmus {

using Order = std::memory_order;

inline constexpr int kAtomics = 4;
inline constexpr int kLocations = 6;  // the atomic ones, then the plain ones
inline constexpr int kRegisters = 8;

enum class Kind : std::uint8_t { load, store, add, exchange, cas, weak_cas, fence, plain_read, plain_write };

struct Fact {
    char left = 0;  // a register or a location; 0: no fact
    bool equal = true;
    char right = 0;  // a register or a location; 0: the constant
    int constant = 0;
};

struct Op {
    Kind kind = Kind::fence;
    std::int8_t location = -1;
    std::int8_t into = -1;     // register that takes the value read
    std::int8_t operand = -1;  // register that holds the value to write; -1: `value`
    Order order = Order::relaxed;
    Order failure = Order::relaxed;
    int value = 0;
    int expected = 0;
    Fact guard;
};

using Thread = std::vector<Op>;
using Program = std::vector<Thread>;

inline bool is_plain(const Op& op) { return op.kind == Kind::plain_read || op.kind == Kind::plain_write; }
inline bool is_cas(const Op& op) { return op.kind == Kind::cas || op.kind == Kind::weak_cas; }

// What registers and locations hold.
struct State {
    std::array<int, kRegisters> registers{};
    std::array<int, kLocations> locations{};

    int of(char name) const;
    bool holds(const Fact& fact) const {
        if (!fact.left) return true;
        return (of(fact.left) == (fact.right ? of(fact.right) : fact.constant)) == fact.equal;
    }
    auto operator<=>(const State&) const = default;
};

inline constexpr std::string_view kLocationNames = "xyzwpq";
inline constexpr std::array<std::string_view, 5> kOrderNames = {"rlx", "acq", "rel", "ar", "sc"};
inline constexpr std::array<Order, 5> kOrders = {Order::relaxed, Order::acquire, Order::release, Order::acq_rel,
                                                 Order::seq_cst};

inline int location_of(char name) { return int(kLocationNames.find(name)); }
inline bool is_register(char name) { return name >= 'a' && name < 'a' + kRegisters; }
inline bool is_location(char name) { return kLocationNames.find(name) != kLocationNames.npos && name; }

inline int State::of(char name) const {
    return is_register(name) ? registers[std::size_t(name - 'a')] : locations[std::size_t(location_of(name))];
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Program program() {
        Program threads(1);
        for (;;) {
            threads.back().push_back(op());
            if (accept("|"))
                threads.emplace_back();
            else if (!accept(";"))
                break;
        }
        end();
        return threads;
    }

    std::vector<Fact> outcome() {
        std::vector<Fact> facts;
        do facts.push_back(fact());
        while (accept(","));
        end();
        return facts;
    }

private:
    Op op() {
        Op op;
        if (accept("[")) {
            op.guard = fact();
            expect("]");
        }
        if (accept("F")) {
            op.order = order();
            return op;
        }
        if (is_register(peek())) {
            op.into = std::int8_t(take() - 'a');
            expect("=");
        }
        if (!is_location(peek())) fail("a location");
        op.location = std::int8_t(location_of(take()));
        bool plain = op.location >= kAtomics;
        if (accept("+=")) {
            op.kind = Kind::add;
            value(op);
        } else if (accept("<>")) {
            op.kind = Kind::exchange;
            value(op);
        } else if (accept("=")) {
            op.kind = plain ? Kind::plain_write : Kind::store;
            value(op);
        } else if (peek() == '?' || peek() == '~') {
            op.kind = take() == '?' ? Kind::cas : Kind::weak_cas;
            op.expected = number();
            expect(":");
            value(op);
        } else {
            op.kind = plain ? Kind::plain_read : Kind::load;
        }
        if (plain != is_plain(op)) fail("an operation that plain words have");
        if (plain) return op;
        op.order = order();
        if (is_cas(op)) {
            expect("/");
            op.failure = order();
        }
        return op;
    }

    Fact fact() {
        Fact fact;
        fact.left = take();
        fact.equal = !accept("!");
        expect("=");
        if (is_register(peek()) || is_location(peek()))
            fact.right = take();
        else
            fact.constant = number();
        if (!is_register(fact.left) && !is_location(fact.left)) fail("a register or a location");
        return fact;
    }

    void value(Op& op) {
        if (is_register(peek()))
            op.operand = std::int8_t(take() - 'a');
        else
            op.value = number();
    }

    int number() {
        bool negative = accept("-");
        if (!std::isdigit(static_cast<unsigned char>(peek()))) fail("a number");
        int n = 0;
        while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) n = n * 10 + (text_[at_++] - '0');
        return negative ? -n : n;
    }

    Order order() {
        for (std::size_t i = 0; i < kOrders.size(); ++i)
            if (accept(kOrderNames[i])) return kOrders[i];
        fail("an order");
    }

    char peek() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    char take() {
        char c = peek();
        if (c) ++at_;
        return c;
    }
    bool accept(std::string_view word) {
        peek();
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }
    void expect(std::string_view word) {
        if (!accept(word)) fail(word);
    }
    void end() {
        if (peek()) fail("the end");
    }
    [[noreturn]] void fail(std::string_view wanted) const {
        throw std::invalid_argument("at column " + std::to_string(at_ + 1) + " of \"" + std::string(text_) + "\": expected " +
                                    std::string(wanted));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

inline Program parse(std::string_view text) { return Parser(text).program(); }
inline std::vector<Fact> parse_outcome(std::string_view text) { return Parser(text).outcome(); }

inline std::string to_text(const Op& op) {
    auto name = [](Order o) {
        for (std::size_t i = 0; i < kOrders.size(); ++i)
            if (kOrders[i] == o) return std::string(kOrderNames[i]);
        return std::string("?");
    };
    std::string text;
    if (op.guard.left) {
        text = std::string("[") + op.guard.left + (op.guard.equal ? "=" : "!=");
        text += op.guard.right ? std::string(1, op.guard.right) : std::to_string(op.guard.constant);
        text += "] ";
    }
    if (op.kind == Kind::fence) return text + "F " + name(op.order);
    if (op.into >= 0) text += std::string(1, char('a' + op.into)) + "=";
    text += kLocationNames[std::size_t(op.location)];
    std::string value = op.operand >= 0 ? std::string(1, char('a' + op.operand)) : std::to_string(op.value);
    switch (op.kind) {
        case Kind::store:
        case Kind::plain_write: text += "=" + value; break;
        case Kind::add: text += "+=" + value; break;
        case Kind::exchange: text += "<>" + value; break;
        case Kind::cas: text += "?" + std::to_string(op.expected) + ":" + value; break;
        case Kind::weak_cas: text += "~" + std::to_string(op.expected) + ":" + value; break;
        default: break;
    }
    if (!is_plain(op)) text += " " + name(op.order);
    if (is_cas(op)) text += "/" + name(op.failure);
    return text;
}

inline std::string to_text(const Program& program) {
    std::string text;
    for (const Thread& thread : program) {
        if (!text.empty()) text += " | ";
        for (std::size_t i = 0; i < thread.size(); ++i) text += (i ? "; " : "") + to_text(thread[i]);
    }
    return text;
}

}  // namespace litmus
