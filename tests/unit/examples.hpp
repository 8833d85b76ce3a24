// examples.hpp: main() of a unit test: examples that return, or throw what is wrong (kit::Broken).
#pragma once

#include <cstdio>
#include <iterator>

#include "props/kit/broken.hpp"
#include "tests/check.hpp"

namespace unit {

inline void call(const check_test* example) {
    try {
        example->body();
        std::printf("OK: %s\n", example->name);
        return;
    } catch (const kit::Broken& e) {
        std::fprintf(stderr, "FAILED: %s: %s\n", example->name, e.what());
    } catch (const kit::ClientFault& f) {
        std::fprintf(stderr, "FAILED: %s: a correct client was reported: %s\n", example->name,
                     hak::text_of(f.fault));
    }
    ++check_failures;
}

template <std::size_t N>
int run(char** argv, check_test (&examples)[N]) {
    return check_main(argv, check_chain(examples, N), CHECK_TOGETHER, 300, &call);
}

}  // namespace unit
