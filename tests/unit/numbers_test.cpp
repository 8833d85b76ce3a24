// numbers_test.cpp: arithmetic and random numbers that do without libm and libc, and how a struct
// is given to a caller whose own is shorter.
#include <cerrno>
#include <cmath>

#include "base/arithmetic.hpp"
#include "base/give.hpp"
#include "base/random.hpp"

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;

bool is_near(double got, double wanted) {
    return std::fabs(got - wanted) <= 1e-12 * std::fabs(wanted);
}

void as_libm_says() {
    for (double x = -699.5; x < 700; x += 0.37)
        require(is_near(hak::exp_of(x), std::exp(x)), "exp of ", x);
    for (double x = 1e-300; x < 1e300; x *= 7.3) {
        require(std::fabs(hak::log_of(x) - std::log(x)) <= 1e-12 * std::fabs(std::log(x)) + 1e-12,
                "log of ", x);
    }
    for (double x = 1e-9; x < 1e9; x *= 3.1)
        require(is_near(hak::sqrt_of(x), std::sqrt(x)), "sqrt of ", x);
}

void ends_of_the_ranges() {
    require(hak::exp_of(1e9) == hak::exp_of(700), "exp above its range");
    require(hak::exp_of(-1e9) == hak::exp_of(-700), "exp below its range");
    require(hak::sqrt_of(0) == 0 && hak::sqrt_of(-1) == 0, "sqrt of nothing");
    for (std::uint64_t now = 5; now < 8; ++now)
        require(hak::elapsed(6, now) == (now == 7 ? 1u : 0u), "elapsed from 6 to ", now);
}

void random_numbers_stay_below() {
    hak::Random random(7), same(7);
    unsigned often = 0;
    for (int i = 0; i < 10000; ++i) {
        const unsigned got = random.below(10);
        require(got < 10 && got == same.below(10), "below 10, and the same from the same seed");
        often += random.chance(100);
        same.next();
    }
    require(often > 800 && often < 1200, "of 10000 chances of a tenth came ", often);
    require(!random.chance(0) && random.chance(1000), "never and always");
}

void a_struct_for_an_older_caller() {
    struct Pair {
        std::uint64_t first, second;
    };
    const Pair value{1, 2};
    Pair out{8, 9};
    require(hak::give(value, &out, sizeof value.first) == 0 && out.first == 1 && out.second == 9,
            "the first field alone");
    require(hak::give(value, &out, 100 * sizeof out) == 0 && out.second == 2, "no more than is");
    require(hak::give<Pair>(value, nullptr, sizeof value) == EINVAL, "nowhere");
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(as_libm_says),
        CHECK_TEST(ends_of_the_ranges),
        CHECK_TEST(random_numbers_stay_below),
        CHECK_TEST(a_struct_for_an_older_caller),
    };
    return unit::run(argv, examples);
}
