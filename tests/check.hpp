// check.hpp: main() of a test program (check.h says what it understands), and its tests:
// TEST(name) { EXPECT(condition); EXPECT_EQUAL(a, b); }. A failed expectation is printed with its
// file and line, and the test goes on.
#pragma once

#include <cstdio>
#include <string>

#include "tests/check.h"

namespace check {

struct Test : check_test {
    static inline check_test* all = nullptr;
    Test(const char* test_name, void (*test_body)())
        : check_test{test_name, test_body, nullptr, all} {
        all = this;
    }
};

inline void report(bool holds, const char* file, int line, const char* text,
                   const char* detail = "") {
    if (holds) return;
    // One bad loop must not print a million lines.
    if (++check_failures <= 40)
        fprintf(stderr, "%s:%d: %s does not hold%s\n", file, line, text, detail);
}

template <class T>
std::string show(const T& value) {
    if constexpr (requires { std::to_string(value); })
        return std::to_string(value);
    else {
        char text[32];
        snprintf(text, sizeof text, "%p", static_cast<const void*>(value));
        return text;
    }
}

template <class A, class B>
void equal(const A& a, const B& b, const char* file, int line, const char* text) {
    if (a == static_cast<A>(b)) return;
    report(false, file, line, text,
           (" (" + show(a) + " and " + show(static_cast<A>(b)) + ")").c_str());
}

// All tests that TEST has registered; one that takes longer than these seconds is ended.
inline int run(char** argv, unsigned seconds = 300) {
    return check_main(argv, Test::all, CHECK_TOGETHER, seconds, nullptr);
}

}  // namespace check

#define TEST(name)                                             \
    static void test_##name();                                 \
    static check::Test test_record_##name(#name, test_##name); \
    static void test_##name()
#define EXPECT(condition) \
    check::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define EXPECT_EQUAL(a, b) check::equal((a), (b), __FILE__, __LINE__, #a " == " #b)
