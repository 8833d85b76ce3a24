// guards.hpp: the bytes around a block, and those that fill it before and after its life.
//
//   base                    client                                     base + usable
//   | front gap | guard 16  | bytes                    | guard 16..128 | rest |
#pragma once

#include <cstddef>
#include <cstring>

#include "base/types.hpp"

namespace hak {

// The values that Microsoft's debug heap made known.
inline constexpr unsigned char kGuardByte = 0xfd;  // beside a block
inline constexpr unsigned char kFreshByte = 0xcd;  // not written by the client yet
inline constexpr unsigned char kFreedByte = 0xdd;  // given back

inline constexpr std::size_t kFrontGuard = 16;
inline constexpr std::size_t kTailGuardMin = 16, kTailGuardMax = 128;
// Blocks above this are filled and checked up to here: a large block's pages would otherwise all
// become resident.
inline constexpr std::size_t kFillMax = std::size_t{256} * 1024;

inline void fill(Address at, std::size_t bytes, unsigned char with) {
    std::memset(pointer_to<void>(at), with, bytes);
}

// Offset of the first byte that is not `want`; `bytes` if there is none.
inline std::size_t first_other(Address at, std::size_t bytes, unsigned char want) {
    const auto* const p = pointer_to<const unsigned char>(at);
    if (bytes == 0 || (p[0] == want && std::memcmp(p, p + 1, bytes - 1) == 0)) return bytes;
    std::size_t i = 0;
    while (i < bytes && p[i] == want) ++i;
    return i;
}

// A block that is live or in the quarantine.
struct Guarded {
    Address base, client;
    std::size_t bytes;   // that the client asked for
    std::size_t usable;  // from the base

    std::size_t tail_guard() const {
        const std::size_t rest = base + usable - (client + bytes);
        return rest < kTailGuardMax ? rest : kTailGuardMax;
    }
    std::size_t filled() const { return bytes < kFillMax ? bytes : kFillMax; }

    void set_guards() const {
        fill(client - kFrontGuard, kFrontGuard, kGuardByte);
        fill(client + bytes, tail_guard(), kGuardByte);
    }
    void fill_freed() const { fill(client, filled(), kFreedByte); }
};

// The offset from the client's address of the first byte that should not have been written.
struct Damage {
    bool is_found = false;
    std::ptrdiff_t offset = 0;
};

inline Damage damage_in_guards(const Guarded& h) {
    const std::size_t tail = h.tail_guard(),
                      behind = first_other(h.client + h.bytes, tail, kGuardByte);
    if (behind != tail) return {true, static_cast<std::ptrdiff_t>(h.bytes + behind)};
    const std::size_t before = first_other(h.client - kFrontGuard, kFrontGuard, kGuardByte);
    if (before != kFrontGuard)
        return {true,
                static_cast<std::ptrdiff_t>(before) - static_cast<std::ptrdiff_t>(kFrontGuard)};
    return {};
}

// Of a block whose client's bytes were filled when it was freed.
inline Damage damage_in_freed(const Guarded& h) {
    const std::size_t at = first_other(h.client, h.filled(), kFreedByte);
    return at == h.filled() ? Damage{} : Damage{true, static_cast<std::ptrdiff_t>(at)};
}

}  // namespace hak
