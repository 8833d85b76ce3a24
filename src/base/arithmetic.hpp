// arithmetic.hpp: exp, log and sqrt of doubles, accurate to 1e-12. The library must not need libm,
// and the same seed must lead to the same decisions whatever libm a system has.
#pragma once

#include <bit>
#include <cstdint>

namespace hak {

// Of a clock that callers bring, each at its own time: one may be late.
constexpr std::uint64_t elapsed(std::uint64_t since_ns, std::uint64_t now_ns) {
    return now_ns > since_ns ? now_ns - since_ns : 0;
}

inline constexpr double kLn2 = 0.693147180559945309417;
inline constexpr double kLn10 = 2.302585092994045684018;

// 2^n for an exponent of normal numbers.
constexpr double power_of_two(int n) {
    return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

// e^x; x is cut to [-700, 700], where the result is a normal number.
constexpr double exp_of(double x) {
    if (x > 700) x = 700;
    if (x < -700) x = -700;
    const double quotient = x / kLn2;
    const int n = static_cast<int>(quotient < 0 ? quotient - 0.5 : quotient + 0.5);
    // at most half of ln 2: 13 terms of the series leave less than 1e-16
    const double r = x - n * kLn2;
    double sum = 1;
    for (int k = 13; k > 0; --k) sum = 1 + sum * r / k;
    return sum * power_of_two(n);
}

// Natural logarithm of a positive normal number.
constexpr double log_of(double x) {
    const auto bits = std::bit_cast<std::uint64_t>(x);
    int exponent = static_cast<int>(bits >> 52) - 1023;
    // in [1, 2)
    double m = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    if (m > 1.414213562373095) {
        m /= 2;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), and the argument is at most 0.172.
    const double t = (m - 1) / (m + 1), square = t * t;
    double sum = 0;
    for (int k = 23; k > 0; k -= 2) sum = sum * square + 1.0 / k;
    return exponent * kLn2 + 2 * t * sum;
}

constexpr double sqrt_of(double x) {
    return x <= 0 ? 0 : exp_of(log_of(x) / 2);
}

}  // namespace hak
