// canonical.cpp: digit strings are read, written and enumerated.
#include "props/explorer/canonical.hpp"

#include "props/explorer/explore.hpp"

namespace explorer {

namespace {
constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr unsigned kMore = 35;
}  // namespace

std::string to_text(const Digits& digits) {
    std::string text;
    std::size_t size = digits.size();
    while (size != 0 && digits[size - 1] == 0) --size;
    for (std::size_t i = 0; i < size; ++i) {
        unsigned rest = digits[i];
        for (; rest >= kMore; rest -= kMore) text += kLetters[kMore];
        text += kLetters[rest];
    }
    return text;
}

bool parse_digits(std::string_view text, Digits& digits) {
    digits.clear();
    unsigned value = 0;
    for (const char c : text) {
        const std::size_t digit = kLetters.find(c);
        if (digit == std::string_view::npos) return false;
        value += static_cast<unsigned>(digit);
        if (digit == kMore) continue;
        if (value > UINT8_MAX) return false;
        digits.push_back(static_cast<std::uint8_t>(value));
        value = 0;
    }
    return value == 0;
}

Canonical::Canonical(const Digits& replay) : bound_(kNoBound), replays_(true) {
    for (const std::uint8_t digit : replay) path_.push_back({digit, 0});
}

void Canonical::begin_execution() {
    depth_ = 0;
}

unsigned Canonical::pick(unsigned n, Choice) {
    if (n <= 1) return 0;
    if (depth_ == path_.size()) path_.push_back({0, static_cast<std::uint8_t>(n)});
    Digit& digit = path_[depth_++];
    if (replays_ && digit.value >= n)
        fail("the digits do not fit: one of them chooses what is not there", Kind::replay);
    return digit.value;
}

bool Canonical::next() {
    if (replays_) return false;
    unsigned deviations = 0;
    for (const Digit& digit : path_) deviations += digit.value != 0 ? 1 : 0;
    while (!path_.empty()) {
        Digit& digit = path_.back();
        // Another value of this digit is a deviation as well; a zero that becomes one is a new one.
        const bool fits = digit.value != 0 || deviations < bound_;
        if (digit.value + 1 < digit.count && fits) {
            ++digit.value;
            return true;
        }
        if (digit.value + 1 < digit.count) was_bounded_ = true;
        deviations -= digit.value != 0 ? 1 : 0;
        path_.pop_back();
    }
    return false;
}

}  // namespace explorer
