// profile_calls.hpp: what the functions of hakmem_profile.h do, in any world; api/library.cpp
// exports them. The checked build has no profile.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <sys/syscall.h>
#include <sys/uio.h>  // IWYU pragma: keep: struct iovec
#include <unistd.h>

#include "base/attrs.hpp"
#include "base/give.hpp"
#include "base/types.hpp"

#include "sys/text.hpp"
#include "sys/world.hpp"

#include "hakmem/hakmem_profile.h"  // IWYU pragma: export
#include "profile/profile.hpp"
#include "profile/tables.hpp"
#if !HAKMEM_DEBUG
#    include "profile/profile_dump.hpp"  // IWYU pragma: export
#endif

namespace hak::profile {

#if !HAKMEM_DEBUG
static_assert(HAK_SITE_BUCKETS == kBuckets);

template <World W>
struct Calls {
    // Row 0 is there for what found no room, and is a site if anything did not.
    static std::uint32_t first_site() {
        return heap_profile<W>.site(0).totals.samples == 0 ? 1 : 0;
    }
    static std::size_t site_count() {
        return heap_profile<W>.interval() == 0 ? 0 : heap_profile<W>.sites() - first_site();
    }

    static HAK_COLD struct hak_site site_at(std::size_t index) {
        const SiteRow row = heap_profile<W>.site(static_cast<std::uint32_t>(index) + first_site());
        struct hak_site s{};
        s.site = pointer_to<void>(row.site);
        s.samples = row.totals.samples;
        s.allocations = nearest(row.totals.allocations);
        s.bytes = nearest(row.totals.bytes);
        s.live_blocks = nearest(row.totals.live());
        s.live_bytes = nearest(row.totals.live_bytes());
        s.mean_lifetime_ms = row.totals.frees > 0 ? row.totals.lifetime_ms / row.totals.frees : 0;
        for (unsigned b = 0; b < kBuckets; ++b) {
            s.sizes[b] = nearest(row.sizes[b]);
            s.lifetimes_ms[b] = nearest(row.lifetimes_ms[b]);
        }
        return s;
    }

    // The text of a HAK_CALLSITE, or the address. Any address may be a site, so the system reads
    // it, and says no where nothing is mapped.
    static HAK_COLD void add_site(Text& text, const void* site) {
        char name[1024];
        const struct iovec here = {name, sizeof name},
                           there = {pointer_to<void>(address_of(site)), sizeof name};
        // The last one goes over the stack, where an int has no upper half.
        const long n = ::syscall(SYS_process_vm_readv, ::getpid(), &here, 1ul, &there, 1ul, 0ul);
        long length = 0, colon = -1;
        while (length < n && static_cast<unsigned char>(name[length]) >= ' ' &&
               name[length] != 127) {
            if (name[length] == ':') colon = length;
            length += 1;
        }
        bool is_text = length < n && name[length] == '\0' && colon > 0 && colon + 1 < length;
        for (long i = colon + 1; i < length && is_text; ++i)
            is_text = name[i] >= '0' && name[i] <= '9';
        if (is_text) {
            text.add(name, static_cast<std::size_t>(length));
        } else {
            text << site;
        }
    }

    static HAK_COLD void print_sites() {
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

    static HAK_COLD int profile_stats(struct hak_profile_stats* out, std::size_t bytes) {
        if (out == nullptr) return EINVAL;
        struct hak_profile_stats s{};
        s.interval = heap_profile<W>.interval();
        if (s.interval != 0) {
            const Counters c = heap_profile<W>.counters();
            s.samples = c.samples;
            s.live_samples = c.live_samples;
            s.overflowed_blocks = c.overflowed_blocks;
            s.overflowed_stacks = c.overflowed_stacks;
            s.overflowed_sites = c.overflowed_sites;
        }
        return give(s, out, bytes);
    }
    static HAK_COLD int get_site(std::size_t index, struct hak_site* out, std::size_t bytes) {
        if (out == nullptr || index >= site_count()) return EINVAL;
        const struct hak_site s = site_at(index);
        return give(s, out, bytes);
    }
    static int dump(const char* path) { return path == nullptr ? EINVAL : dump_profile<W>(path); }

    static HAK_COLD Address site_of_block(const void* p) {
        const Address said = site_of<W>(p);
        return said != 0 || heap_profile<W>.interval() == 0
                   ? said
                   : heap_profile<W>.site_of(address_of(p));
    }
};
#else
template <class>
struct Calls {
    static std::size_t site_count() { return 0; }
    static void print_sites() {}
    static int profile_stats(struct hak_profile_stats* out, std::size_t bytes) {
        return give({}, out, bytes);
    }
    static int get_site(std::size_t, struct hak_site*, std::size_t) { return EINVAL; }
    static int dump(const char* path) { return path == nullptr ? EINVAL : ENODATA; }
    static std::uintptr_t site_of_block(const void*) { return 0; }
};
#endif

}  // namespace hak::profile
