// A check header for conformance tests: TEST(name) { EXPECT(condition); EXPECT_EQUAL(a, b); }. A
// failed expectation is printed with its file and line and the test goes on; the program runs all
// its tests, or those whose names are given, or all but those given as -name, and exits with 1 if
// any failed.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

namespace check {

struct Test {
    const char* name;
    void (*body)();
    Test* next;
    static inline Test* all = nullptr;
    Test(const char* test_name, void (*test_body)()) : name(test_name), body(test_body), next(all) {
        all = this;
    }
};
inline const char* running = "";
inline unsigned failures = 0;
inline unsigned expectations = 0;

inline void report(bool holds, const char* file, int line, const char* text,
                   const char* detail = "") {
    expectations += 1;
    if (holds) return;
    // One bad loop must not print a million lines.
    if (++failures <= 40) fprintf(stderr, "%s:%d: %s does not hold%s\n", file, line, text, detail);
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
    const bool holds = a == static_cast<A>(b);
    if (holds) {
        expectations += 1;
        return;
    }
    report(false, file, line, text,
           (" (" + show(a) + " and " + show(static_cast<A>(b)) + ")").c_str());
}

inline int run(int argc, char** argv) {
    // An exception where none may pass ends the program; the line says in which test.
    std::set_terminate([] {
        fprintf(stderr, "FAIL %s: std::terminate was called\n", running);
        abort();
    });
    unsigned count = 0;
    for (Test* t = Test::all; t != nullptr; t = t->next) {
        bool wanted = argc == 1 || argv[1][0] == '-';
        for (int i = 1; i < argc; ++i) {
            if (strcmp(argv[i], t->name) == 0) wanted = true;
            if (argv[i][0] == '-' && strcmp(argv[i] + 1, t->name) == 0) wanted = false;
        }
        if (!wanted) continue;
        const unsigned before = failures;
        running = t->name;
        t->body();
        count += 1;
        if (failures != before)
            fprintf(stderr, "FAIL %s\nreproduce: %s %s\n", t->name, argv[0], t->name);
    }
    printf("%u tests, %u expectations, %u failures\n", count, expectations, failures);
    if (count == 0) fprintf(stderr, "no test has that name\n");
    return failures != 0 || count == 0;
}

}  // namespace check

#define TEST(name)                                             \
    static void test_##name();                                 \
    static check::Test test_record_##name(#name, test_##name); \
    static void test_##name()
#define EXPECT(condition) \
    check::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define EXPECT_EQUAL(a, b) check::equal((a), (b), __FILE__, __LINE__, #a " == " #b)
