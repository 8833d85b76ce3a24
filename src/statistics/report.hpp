// report.hpp: hak_stats as text and as JSON, and what a timing build adds to both.
#pragma once

#include "statistics/statistics.hpp"
#if HAKMEM_DEBUG_TIMING
#    include "timing/timing_report.hpp"
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
