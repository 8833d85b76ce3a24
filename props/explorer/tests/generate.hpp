// generate.hpp: random litmus programs, and the smallest program that still shows something.
#pragma once

#include <cstddef>
#include <random>
#include <utility>

#include "props/explorer/tests/program.hpp"

namespace litmus {

// What programs have beside loads, stores, read-modify-writes and fences: nothing, a plain word,
// loops that retry and wait, or choices.
enum class Flavor { straight, plain, loops, choices };

// Two or three threads of a few operations on two atomic words: every kind of operation, in every
// order that it may have. The same seed gives the same program everywhere.
class Generator {
  public:
    Generator(std::uint64_t seed, Flavor flavor) : random_(seed), flavor_(flavor) {}

    Program program() {
        const unsigned threads = 2 + below(2);
        Program program(threads);
        for (Thread& thread : program) {
            own_register_ = -1;
            const unsigned length = 1 + below(threads == 2 ? 4 : 3);
            while (thread.size() < length) thread.push_back(op());
        }
        return program;
    }

  private:
    Op op() {
        Op op;
        if (own_register_ >= 0 && below(6) == 0)
            op.guard = {char('a' + own_register_), below(2) == 0, 0, int(below(3))};
        op.value = 1 + int(below(3));
        op.location = std::int8_t(below(2));
        switch (below(flavor_ == Flavor::straight ? 11 : 14)) {
            case 0:
            case 1:
            case 2:
                op.kind = Kind::load;
                op.order = one_of(Order::relaxed, Order::acquire, Order::seq_cst);
                break;
            case 3:
            case 4:
            case 5:
                op.kind = Kind::store;
                op.order = one_of(Order::relaxed, Order::release, Order::seq_cst);
                break;
            case 6:
                op.kind = Kind::add;
                op.order = kOrders[below(5)];
                break;
            case 7:
                op.kind = Kind::exchange;
                op.order = kOrders[below(5)];
                break;
            case 8:
                op.kind = Kind::cas;
                break;
            case 9:
                op.kind = Kind::weak_cas;
                break;
            case 10:
                op = Op{};
                op.order = kOrders[1 + below(4)];
                return op;
            default:
                if (flavor_ == Flavor::loops) {
                    op.kind = below(3) ? Kind::await : Kind::cas_loop;
                    op.order = op.kind == Kind::await
                                   ? one_of(Order::relaxed, Order::acquire, Order::seq_cst)
                                   : kOrders[below(5)];
                    op.failure = op.kind == Kind::await
                                     ? Order::relaxed
                                     : one_of(Order::relaxed, Order::acquire, Order::seq_cst);
                    break;
                }
                if (flavor_ == Flavor::choices && registers_ < kRegisters) {
                    op.kind = Kind::choose;
                    op.location = -1;
                    op.value = 2 + int(below(2));
                    break;
                }
                op.kind = below(2) ? Kind::plain_read : Kind::plain_write;
                op.location = kAtomics;
                break;
        }
        if (is_cas(op)) {
            op.expected = int(below(3));
            op.order = kOrders[below(5)];
            op.failure = one_of(Order::relaxed, Order::acquire, Order::seq_cst);
        }
        const bool stores = op.kind == Kind::store || op.kind == Kind::plain_write;
        if (stores && own_register_ >= 0 && below(6) == 0) {
            op.operand = std::int8_t(own_register_);
            op.value = 0;
        }
        if (!stores && registers_ < kRegisters) op.into = std::int8_t(own_register_ = registers_++);
        if (op.kind == Kind::load || op.kind == Kind::plain_read) op.value = 0;
        return op;
    }

    // Modulo is the same on every platform; a distribution of the standard library is not.
    unsigned below(unsigned n) { return unsigned(random_() % n); }
    Order one_of(Order a, Order b, Order c) { return std::array{a, b, c}[below(3)]; }

    std::mt19937_64 random_;
    Flavor flavor_;
    int own_register_ = -1;  // the register that this thread read into last
    int registers_ = 0;
};

// Drops threads and operations for as long as `shows` holds of what is left.
template <class Shows>
Program smallest(Program program, Shows shows) {
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (std::size_t t = 0; t < program.size() && !smaller; ++t)
            for (std::size_t i = 0; i < program[t].size() && !smaller; ++i) {
                Program less = program;
                less[t].erase(less[t].begin() + std::ptrdiff_t(i));
                if (less[t].empty()) less.erase(less.begin() + std::ptrdiff_t(t));
                if (less.empty() || !shows(less)) continue;
                program = std::move(less);
                smaller = true;
            }
    }
    return program;
}

}  // namespace litmus
