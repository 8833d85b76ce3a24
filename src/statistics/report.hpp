// report.hpp: hak_stats as text and as JSON, and what a timing build adds to both.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/text.hpp"
#include "sys/world.hpp"

#include "hakmem/hakmem.h"            // IWYU pragma: export
#include "statistics/statistics.hpp"  // IWYU pragma: export
#if HAKMEM_DEBUG_TIMING
#    include "timing/timing_report.hpp"
#endif

namespace hak {

// As snprintf: at most `bytes`, the ending zero included; returns the length of the whole text.
template <World W>
std::size_t write_json(char* out, std::size_t bytes, const char* version) {
    const struct hak_stats s = collect_stats<W>();
    Bounded json(out, bytes);
    json << "{\"version\":\"" << version << "\",\"stats\":{";
    for (const Statistic<W>& row : kStatistics<W>)
        json.name(row.name, &row == kStatistics<W>) << s.*row.field;
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

// For malloc_stats: the line above, a line for each statistic, and what a timing build has
// measured.
template <World W>
void print_report() {
    const struct hak_stats s = collect_stats<W>();
    describe(s).print();
    for (const Statistic<W>& row : kStatistics<W>) {
        Text text;
        text << "hakmem: " << row.name << " " << s.*row.field << ": " << row.says << "\n";
        text.print();
    }
#if HAKMEM_DEBUG_TIMING
    print_timing();
#endif
}

}  // namespace hak
