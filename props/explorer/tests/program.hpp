// program.hpp: litmus programs as one line of text, so that a table of them can be read and a
// failing one can be pasted.
//
//   x=1 rlx; y=1 rel | a=y acq; b=x rlx        threads are separated by `|`, operations by `;`
//
//   x=1 rel        atomic store (of a constant, or of a register: x=a rel)
//   a=x acq        atomic load into a register; `x acq` forgets the value
//   a=x+=1 ar      fetch_add; `a=` may be left out here and below
//   a=x<>3 ar      exchange
//   a=x?0:1 ar/rlx compare and swap: where x is 0 it becomes 1; the orders of success and of
//                   failure; a is the value read
//   a=x~0:1 ar/rlx the same, weak: it may fail although x is 0
//   x:=3 rel/rlx   a cas loop: loads x relaxed and retries until its cas from what it read to 3
//                  succeeds
//   x==1 acq       waits until a load finds 1
//   F sc           fence
//   a=?3           any of 0, 1, 2 into a register, as explorer::choose() gives it
//   p=1, a=p       plain write, plain read
//   [a=1] p=2      the operation happens only if register a holds 1; [a!=1] is the opposite
//
// x y z w are atomic, p q plain, a to h registers; all begin as 0. Orders: rlx acq rel ar sc.
// An outcome is a list of facts about the end, such as "a=1, b!=c, x=2".
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace litmus {

using Order = std::memory_order;

inline constexpr int kAtomics = 4;
inline constexpr int kLocations = 6;  // the atomic ones, then the plain ones
inline constexpr int kRegisters = 8;

enum class Kind : std::uint8_t {
    load,
    store,
    add,
    exchange,
    cas,
    weak_cas,
    cas_loop,
    await,
    fence,
    plain_read,
    plain_write,
    choose
};

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
    Order failure = Order::relaxed;  // of a cas or a cas loop
    int value = 0;
    int expected = 0;
    Fact guard;
};

using Thread = std::vector<Op>;
using Program = std::vector<Thread>;

inline bool is_plain(const Op& op) {
    return op.kind == Kind::plain_read || op.kind == Kind::plain_write;
}
inline bool is_cas(const Op& op) {
    return op.kind == Kind::cas || op.kind == Kind::weak_cas;
}
inline bool has_failure(const Op& op) {
    return is_cas(op) || op.kind == Kind::cas_loop;
}

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
inline constexpr std::array<Order, 5> kOrders = {Order::relaxed, Order::acquire, Order::release,
                                                 Order::acq_rel, Order::seq_cst};

inline int location_of(char name) {
    return int(kLocationNames.find(name));
}
inline bool is_register(char name) {
    return name >= 'a' && name < 'a' + kRegisters;
}
inline bool is_location(char name) {
    return kLocationNames.find(name) != kLocationNames.npos && name;
}

inline int State::of(char name) const {
    return is_register(name) ? registers[std::size_t(name - 'a')]
                             : locations[std::size_t(location_of(name))];
}

// Both throw std::invalid_argument, which says where the text is wrong.
Program parse(std::string_view text);
std::vector<Fact> parse_outcome(std::string_view text);
// The text that parse() takes.
std::string to_text(const Program& program);

}  // namespace litmus
