// reclaim_props.cpp: what is free goes back to the system, as far as the system takes it.
#include <cstdio>
#include <cstring>

#include "props/kit/worlds.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

// The system keeps the commit charge of what is free: its pages go back all the same, of every range.
void decommit_failures() {
    constexpr std::size_t kBlocks = 12;
    kit::reset_world<W>();
    kit::threads.current = 0;
    void* blocks[kBlocks];
    for (void*& p : blocks) {
        p = hak::allocate<W>(kit::heap_of<W>(0), 8000);
        require(p != nullptr, "no memory");
        std::memset(p, 0x5a, 8000);
    }
    auto tunables = hak::tunables<W>.get();
    tunables.cache_bytes_max = SIZE_MAX;  // nothing goes before it is asked for
    hak::tunables<W>.set(tunables);
    // First every second block, then those in between, which join their neighbours.
    for (const std::size_t parity : {std::size_t{0}, std::size_t{1}}) {
        for (std::size_t i = parity; i < kBlocks; i += 2) hak::deallocate<W>(kit::heap_of<W>(0), blocks[i]);
        const std::uint64_t decommits = hak::pool<W>.counters().decommits;
        kit::os.fail(kit::Call::decommit, 1, true);
        require(hak::trim<W>(true), "nothing was returned, although the system purges");
        kit::os.heal();
        require(hak::pool<W>.counters().decommits == decommits, "a decommit that failed is counted");
        require(hak::pool<W>.cached_dirty_slots() == 0, hak::pool<W>.cached_dirty_slots(), " free slots keep their pages");
        for (std::size_t i = parity; i < kBlocks; i += 2) {
            const auto* const bytes = static_cast<const unsigned char*>(blocks[i]);
            require(kit::os.is_committed(bytes, 8000), "a decommit that failed changed the mapping");
            for (std::size_t k = 0; k < 8000; ++k) require(bytes[k] == 0, "a page of a free block was kept");
        }
    }
    require(hak::trim<W>(true) && hak::pool<W>.counters().committed_slots == 0, "memory stays committed after the system gave again");
}

}  // namespace

int main() {
    try {
        decommit_failures();
    } catch (const kit::Broken& e) {
        std::fprintf(stderr, "FAILED: decommit fails: %s\nreproduce: props_reclaim\n", e.what());
        return 1;
    }
    std::printf("OK: decommit fails\n");
    return 0;
}
