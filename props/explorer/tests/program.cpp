// program.cpp: the text of litmus programs is read and written.
#include "props/explorer/tests/program.hpp"

#include <cctype>
#include <stdexcept>

namespace litmus {

namespace {

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
            if (accept("?")) {
                op.kind = Kind::choose;
                op.value = number();
                return op;
            }
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
        } else if (accept(":=")) {
            op.kind = Kind::cas_loop;
            value(op);
        } else if (accept("==")) {
            op.kind = Kind::await;
            op.value = number();
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
        if (has_failure(op)) {
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
        while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])))
            n = n * 10 + (text_[at_++] - '0');
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
        throw std::invalid_argument("at column " + std::to_string(at_ + 1) + " of \"" +
                                    std::string(text_) + "\": expected " + std::string(wanted));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

std::string to_text(const Op& op) {
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
    if (op.kind == Kind::choose) return text + "?" + std::to_string(op.value);
    text += kLocationNames[std::size_t(op.location)];
    std::string value =
        op.operand >= 0 ? std::string(1, char('a' + op.operand)) : std::to_string(op.value);
    switch (op.kind) {
        case Kind::store:
        case Kind::plain_write:
            text += "=" + value;
            break;
        case Kind::add:
            text += "+=" + value;
            break;
        case Kind::exchange:
            text += "<>" + value;
            break;
        case Kind::cas:
            text += "?" + std::to_string(op.expected) + ":" + value;
            break;
        case Kind::cas_loop:
            text += ":=" + value;
            break;
        case Kind::await:
            text += "==" + value;
            break;
        case Kind::weak_cas:
            text += "~" + std::to_string(op.expected) + ":" + value;
            break;
        default:
            break;
    }
    if (!is_plain(op)) text += " " + name(op.order);
    if (has_failure(op)) text += "/" + name(op.failure);
    return text;
}

}  // namespace

Program parse(std::string_view text) {
    return Parser(text).program();
}
std::vector<Fact> parse_outcome(std::string_view text) {
    return Parser(text).outcome();
}

std::string to_text(const Program& program) {
    std::string text;
    for (const Thread& thread : program) {
        if (!text.empty()) text += " | ";
        for (std::size_t i = 0; i < thread.size(); ++i)
            text += (i ? "; " : "") + to_text(thread[i]);
    }
    return text;
}

}  // namespace litmus
