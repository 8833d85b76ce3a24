// timing_report.hpp: what a timing build has counted, as part of hak_stats_json and as lines for
// people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sys/text.hpp"

#include "timing/timing.hpp"

namespace hak {

inline void add_timing(Bounded& json) {
    const Timings::Sums s = Timings::sums();
    json << ",\"timing\":{\"on\":" << (Timings::is_on() ? "true" : "false") << ",\"activities\":{";
    for (unsigned a = 0; a < kActivities; ++a) {
        json.name(kActivityNames[a], a == 0)
            << "{\"calls\":" << s.calls[a] << ",\"cycles\":" << s.cycles[a]
            << ",\"self\":" << s.self[a] << "}";
    }
    json << "},\"events\":{";
    for (unsigned e = 0; e < kEvents; ++e) json.name(kEventNames[e], e == 0) << s.events[e];
    json << "}}";
}

// A line for each activity that happened; its share is of all time that was spent in the allocator.
inline void print_timing() {
    const Timings::Sums s = Timings::sums();
    const auto column = [](Text& text, const char* word, std::size_t width) {
        for (std::size_t n = std::strlen(word); n < width; ++n) text << " ";
        text << word;
    };
    const auto number = [&](Text& text, std::uint64_t value, std::size_t width) {
        char digits[24];
        Bounded(digits, sizeof digits).operator<<(value).end();
        column(text, digits, width);
    };
    std::uint64_t all = 0;
    for (const std::uint64_t self : s.self) all += self;
    const auto row = [&](const char* name) {
        Text text;
        text << "hakmem: " << name;
        for (std::size_t n = std::strlen(name); n < 14; ++n) text << " ";
        return text;
    };
    Text head = row("activity");
    for (const char* word : {"calls", "cycles", "cycles/call", "own cycles", "share"})
        column(head, word, 16);
    (head << "\n").print();
    for (unsigned a = 0; a < kActivities; ++a) {
        if (s.calls[a] == 0) continue;
        Text text = row(kActivityNames[a]);
        number(text, s.calls[a], 16);
        number(text, s.cycles[a], 16);
        number(text, s.cycles[a] / s.calls[a], 16);
        number(text, s.self[a], 16);
        number(text, all == 0 ? 0 : s.self[a] * 100 / all, 15);
        (text << "%\n").print();
    }
    Text events = row("served");
    for (unsigned e = 0; e < kEvents; ++e)
        events << (e == 0 ? "" : ", ") << kEventNames[e] << " " << s.events[e];
    (events << "\n").print();
}

}  // namespace hak
