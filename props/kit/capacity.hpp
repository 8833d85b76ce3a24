// capacity.hpp: what a window has room for, read from the superslab table without the pool's own
// lists: the judge of a null.
#pragma once

#include <algorithm>

#include "props/kit/worlds.hpp"

namespace kit {

// Visits each slot of units and each run; returns the top. Slots behind it were never part of
// a run.
template <hak::World W, class Visit>
std::size_t each_slot(Visit visit) {
    std::size_t i = 0;
    while (i < hak::window<W>.slots_ready()) {
        const auto& s = hak::window<W>.superslab(i);
        const std::size_t length = s.kind.get() == hak::SlotKind::units ? 1 : s.run_slots.get();
        if (length == 0) break;
        visit(i, length);
        i += length;
    }
    return i;
}

// Slots of the run at i and, if that is cached, of those behind it that are: the pool joins them
// before it looks.
template <hak::World W>
std::size_t joined_length(std::size_t i) {
    const auto is_cached = [](std::size_t slot) {
        return hak::window<W>.superslab(slot).kind.get() == hak::SlotKind::cached;
    };
    std::size_t end = i + hak::window<W>.superslab(i).run_slots.get();
    while (is_cached(i) && end < hak::window<W>.slots_ready() && is_cached(end))
        end += hak::window<W>.superslab(end).run_slots.get();
    return end - i;
}

// Whether some free run of one kind has room for `count` slots. What was reserved again before the
// top is one run with what lies behind.
template <hak::World W>
bool has_slots(std::size_t count, std::size_t alignment) {
    bool found = false;
    const auto fits = [&](std::size_t first, std::size_t length) {
        const hak::Address begin = hak::window<W>.slot_address(first);
        const hak::Address start =
            hak::align_up(begin, std::max(alignment, kTinyConfig.superslab_bytes()));
        return (start - begin) / kTinyConfig.superslab_bytes() + count <= length;
    };
    std::size_t open = SIZE_MAX;
    const std::size_t top = each_slot<W>([&](std::size_t i, std::size_t) {
        const auto kind = hak::window<W>.superslab(i).kind.get();
        if (kind == hak::SlotKind::reserved || kind == hak::SlotKind::cached)
            found |= fits(i, joined_length<W>(i));
        open = kind == hak::SlotKind::reserved ? i : SIZE_MAX;
    });
    open = std::min(open, top);
    return found || fits(open, hak::window<W>.slot_count() - open);
}

template <hak::World W>
bool has_units(unsigned units) {
    bool found = has_slots<W>(1, 1);
    each_slot<W>([&](std::size_t i, std::size_t) {
        const auto& s = hak::window<W>.superslab(i);
        found |= s.kind.get() == hak::SlotKind::units && hak::longest_run(s.free_units()) >= units;
    });
    return found;
}

template <hak::World W>
bool has_room_above_small(std::size_t n, std::size_t alignment) {
    if (n > hak::window<W>.bytes()) return false;
    if (n <= kTinyConfig.large_bytes_max() && alignment <= kTinyConfig.unit_bytes) {
        const std::size_t room =
            std::min(n + kTinyConfig.page_bytes, kTinyConfig.large_bytes_max());
        return has_units<W>(
            static_cast<unsigned>(hak::divide_up(std::max(room, n), kTinyConfig.unit_bytes)));
    }
    return has_slots<W>(n == 0 ? 1 : hak::divide_up(n, kTinyConfig.superslab_bytes()), alignment);
}

}  // namespace kit
