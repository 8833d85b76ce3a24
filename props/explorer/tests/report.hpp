// report.hpp: how the tests of the explorer say what differs.
#pragma once

#include <cstdio>
#include <sstream>
#include <string>

namespace report {

inline int failures = 0;

template <class T>
std::string text_of(const T& value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

template <class A, class B>
bool equal(const std::string& what, const A& found, const B& wanted) {
    if (found == wanted) return true;
    ++failures;
    std::printf("FAILED %s: found %s, wanted %s\n", what.c_str(), text_of(found).c_str(),
                text_of(wanted).c_str());
    return false;
}

inline bool holds(const std::string& what, bool condition) {
    if (condition) return true;
    ++failures;
    std::printf("FAILED %s\n", what.c_str());
    return false;
}

// The exit status of the test.
inline int finish(const char* test, int checked) {
    std::printf("%s: %d checked, %d failed\n", test, checked, failures);
    return failures || checked == 0 ? 1 : 0;
}

}  // namespace report
