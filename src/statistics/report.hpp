// report.hpp: hak_stats as text and as JSON, and what a timing build adds to both.
#pragma once

#include "statistics/statistics.hpp"
#if HAKMEM_DEBUG_TIMING
#    include "timing/timing.hpp"
#endif

namespace hak {

// The fields of hak_stats under their names. size_t and uint64_t are one type where this runs.
struct StatField {
    const char* name;
    std::uint64_t hak_stats::* value;
};
#define HAK_FIELD(name) {#name, &hak_stats::name}
inline constexpr StatField kStatFields[] = {HAK_FIELD(window_bytes),   HAK_FIELD(committed_bytes),
                                            HAK_FIELD(units_bytes),    HAK_FIELD(used_units_bytes),
                                            HAK_FIELD(big_bytes),      HAK_FIELD(cached_bytes),
                                            HAK_FIELD(heaps),          HAK_FIELD(heaps_orphan),
                                            HAK_FIELD(heaps_frozen),   HAK_FIELD(slabs),
                                            HAK_FIELD(refills),        HAK_FIELD(slab_opens),
                                            HAK_FIELD(slab_releases),  HAK_FIELD(remote_drains),
                                            HAK_FIELD(slabs_tended),   HAK_FIELD(above_small),
                                            HAK_FIELD(commits),        HAK_FIELD(commit_failures),
                                            HAK_FIELD(decommits),      HAK_FIELD(purges),
                                            HAK_FIELD(purged_bytes),   HAK_FIELD(refills_own),
                                            HAK_FIELD(refills_others), HAK_FIELD(refills_opened),
                                            HAK_FIELD(refills_failed), HAK_FIELD(frees_local),
                                            HAK_FIELD(frees_remote)};
#undef HAK_FIELD
static_assert(sizeof(struct hak_stats) ==
                  sizeof kStatFields / sizeof *kStatFields * sizeof(std::uint64_t),
              "a field has no name here");

// Text into a buffer of the caller's: what does not fit is counted and left out.
class Bounded {
  public:
    Bounded(char* out, std::size_t bytes) : out_(out), bytes_(bytes) {}
    Bounded& operator<<(const char* s) {
        for (; *s != '\0'; ++s, ++length_) {
            if (length_ + 1 < bytes_) out_[length_] = *s;
        }
        return *this;
    }
    Bounded& operator<<(std::uint64_t value) {
        char digits[21] = {};
        char* at = digits + 20;
        do *--at = static_cast<char>('0' + value % 10);
        while ((value /= 10) != 0);
        return *this << static_cast<const char*>(at);
    }
    // `"name":`, after a comma unless it is the first.
    Bounded& name(const char* name, bool is_first) {
        return *this << (is_first ? "\"" : ",\"") << name << "\":";
    }
    // The length of the whole text, which is ended by a zero byte.
    std::size_t end() {
        if (bytes_ != 0) out_[length_ < bytes_ ? length_ : bytes_ - 1] = '\0';
        return length_;
    }

  private:
    char* out_;
    std::size_t bytes_, length_ = 0;
};

#if HAKMEM_DEBUG_TIMING
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
#endif

// As snprintf: at most `bytes`, the ending zero included; returns the length of the whole text.
template <World W>
std::size_t write_json(char* out, std::size_t bytes, const char* version) {
    const struct hak_stats s = collect_stats<W>();
    Bounded json(out, bytes);
    json << "{\"version\":\"" << version << "\",\"stats\":{";
    for (const StatField& field : kStatFields)
        json.name(field.name, &field == kStatFields) << s.*field.value;
    json << "}";
#if HAKMEM_DEBUG_TIMING
    add_timing(json);
#endif
    json << "}\n";
    return json.end();
}

inline Text describe(const struct hak_stats& s) {
    Text text;
    text << "hakmem: served " << s.refills << " refills of thread lists and " << s.above_small
         << " blocks above 32 KiB; " << static_cast<std::uint64_t>(s.heaps) << " heaps, "
         << static_cast<std::uint64_t>(s.slabs) << " slabs, "
         << static_cast<std::uint64_t>(s.committed_bytes >> 10) << " KiB committed, "
         << (s.purged_bytes >> 10) << " KiB purged\n";
    return text;
}

// For malloc_stats: the line above, how refills and frees beyond the lists were served, and what a
// timing build has measured.
inline void print_report(const struct hak_stats& s) {
    Text text = describe(s);
    text << "hakmem: refills " << s.refills << ": own slabs " << s.refills_own << ", others' "
         << s.refills_others << ", fresh " << s.refills_opened << ", no memory " << s.refills_failed
         << "; frees to own slabs " << s.frees_local << ", from other threads " << s.frees_remote
         << "\n";
    text.print();
#if HAKMEM_DEBUG_TIMING
    print_timing();
#endif
}

}  // namespace hak
