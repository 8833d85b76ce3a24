// profile_calls.hpp: the functions of hakmem_profile.h. Included by library.cpp alone, at global
// scope.
#pragma once

#include <sys/uio.h>

#include "hakmem/hakmem_profile.h"

namespace hak::api {

#if !HAKMEM_DEBUG
inline profile::Profile<RealWorld>& the_profile = heap_profile<RealWorld>;

static_assert(HAK_SITE_BUCKETS == profile::kBuckets);

// Row 0 is there for what found no room, and is a site if anything did not.
inline std::uint32_t first_site() {
    return the_profile.site(0).totals.samples == 0 ? 1 : 0;
}
inline std::size_t site_count() {
    return the_profile.interval() == 0 ? 0 : the_profile.sites() - first_site();
}

HAK_COLD inline struct hak_site site_at(std::size_t index) {
    const profile::SiteRow row = the_profile.site(static_cast<std::uint32_t>(index) + first_site());
    struct hak_site s{};
    s.site = pointer_to<void>(row.site);
    s.samples = row.totals.samples;
    s.allocations = nearest(row.totals.allocations);
    s.bytes = nearest(row.totals.bytes);
    s.live_blocks = nearest(row.totals.live());
    s.live_bytes = nearest(row.totals.live_bytes());
    s.mean_lifetime_ms = row.totals.frees > 0 ? row.totals.lifetime_ms / row.totals.frees : 0;
    for (unsigned b = 0; b < profile::kBuckets; ++b) {
        s.sizes[b] = nearest(row.sizes[b]);
        s.lifetimes_ms[b] = nearest(row.lifetimes_ms[b]);
    }
    return s;
}

// The text of a HAK_CALLSITE, or the address. Any address may be a site, so the system reads it,
// and says no where nothing is mapped.
HAK_COLD inline void add_site(Text& text, const void* site) {
    char name[1024];
    const struct iovec here = {name, sizeof name},
                       there = {pointer_to<void>(address_of(site)), sizeof name};
    // The last one goes over the stack, where an int has no upper half.
    const long n = ::syscall(SYS_process_vm_readv, ::getpid(), &here, 1ul, &there, 1ul, 0ul);
    long length = 0, colon = -1;
    while (length < n && static_cast<unsigned char>(name[length]) >= ' ' && name[length] != 127) {
        if (name[length] == ':') colon = length;
        length += 1;
    }
    bool is_text = length < n && name[length] == '\0' && colon > 0 && colon + 1 < length;
    for (long i = colon + 1; i < length && is_text; ++i) is_text = name[i] >= '0' && name[i] <= '9';
    if (is_text) {
        text.add(name, static_cast<std::size_t>(length));
    } else {
        text << site;
    }
}

HAK_COLD inline void print_sites() {
    const std::size_t count = site_count();
    for (std::size_t i = 0; i < count; ++i) {
        const struct hak_site s = site_at(i);
        Text text;
        add_site(text << "hakmem: site ", s.site);
        text << ": " << s.allocations << " allocations, " << s.bytes << " bytes; live "
             << s.live_blocks << " blocks, " << s.live_bytes << " bytes; mean lifetime "
             << nearest(s.mean_lifetime_ms) << " ms; " << s.samples << " samples\n";
        text.print();
    }
}

HAK_COLD inline int profile_stats(struct hak_profile_stats* out, std::size_t bytes) {
    if (out == nullptr) return EINVAL;
    struct hak_profile_stats s{};
    s.interval = the_profile.interval();
    if (s.interval != 0) {
        const profile::Counters c = the_profile.counters();
        s.samples = c.samples;
        s.live_samples = c.live_samples;
        s.overflowed_blocks = c.overflowed_blocks;
        s.overflowed_stacks = c.overflowed_stacks;
        s.overflowed_sites = c.overflowed_sites;
    }
    std::memcpy(out, &s, bytes < sizeof s ? bytes : sizeof s);
    return 0;
}
HAK_COLD inline int get_site(std::size_t index, struct hak_site* out, std::size_t bytes) {
    if (out == nullptr || index >= site_count()) return EINVAL;
    const struct hak_site s = site_at(index);
    std::memcpy(out, &s, bytes < sizeof s ? bytes : sizeof s);
    return 0;
}
inline int dump(const char* path) {
    return path == nullptr ? EINVAL : dump_profile<RealWorld>(path);
}

HAK_COLD inline Address site_of_block(const void* p) {
    const Address said = hak::site_of<RealWorld>(p);
    return said != 0 || the_profile.interval() == 0 ? said : the_profile.site_of(address_of(p));
}
#else
inline std::size_t site_count() {
    return 0;
}
inline void print_sites() {}
inline int profile_stats(struct hak_profile_stats* out, std::size_t bytes) {
    if (out == nullptr) return EINVAL;
    std::memset(out, 0, bytes < sizeof *out ? bytes : sizeof *out);
    return 0;
}
inline int get_site(std::size_t, struct hak_site*, std::size_t) {
    return EINVAL;
}
inline int dump(const char* path) {
    return path == nullptr ? EINVAL : ENODATA;
}
inline Address site_of_block(const void*) {
    return 0;
}
#endif

}  // namespace hak::api

extern "C" {

HAK_EXPORT int hak_profile_dump(const char* path) {
    return hak::api::dump(path);
}
HAK_EXPORT int hak_profile_get_stats(struct hak_profile_stats* out, size_t bytes) {
    return hak::api::profile_stats(out, bytes);
}
HAK_EXPORT size_t hak_site_count(void) {
    return hak::api::site_count();
}
HAK_EXPORT int hak_site_get(size_t index, struct hak_site* out, size_t bytes) {
    return hak::api::get_site(index, out, bytes);
}
HAK_EXPORT void hak_site_print(void) {
    hak::api::print_sites();
}
HAK_EXPORT const void* hak_site_of(const void* block) {
    return hak::pointer_to<const void>(hak::api::site_of_block(block));
}

}  // extern "C"
