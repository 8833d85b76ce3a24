// memory.cpp: the arena, the journal and names of addresses.
#include "props/explorer/memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#include "props/explorer/explore.hpp"

namespace explorer {

// Fixed, so that a witness shows the same pointers in every run; if something lies there already,
// any place will do.
Memory::Memory() {
    constexpr std::size_t kAlignment = std::size_t{1} << 21, kBytes = kArenaBytes + kGhostBytes;
    auto* const wish = reinterpret_cast<void*>(std::uintptr_t{1} << 37);
    void* p = mmap(wish, kBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED) {
        p = mmap(nullptr, kBytes + kAlignment, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
            std::perror("explorer: no address space for the arena");
            std::abort();
        }
    }
    const auto base = (reinterpret_cast<std::uintptr_t>(p) + kAlignment - 1) & ~(kAlignment - 1);
    arena_ = reinterpret_cast<char*>(base);
    ghosts_ = arena_ + kArenaBytes;
    journal_.reserve(std::size_t{1} << 16);
}

void Memory::begin() {
    std::memset(arena_, 0, used_most_);
    std::memset(ghosts_, 0, ghosts_used_);
    used_ = used_at_start_ = used_most_ = ghosts_used_ = watched_used_ = 0;
    watched_.clear();
    labels_.clear();
    journal_.clear();
}

void* Memory::allocate(std::size_t bytes, std::size_t alignment) {
    const std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (start > kArenaBytes || bytes > kArenaBytes - start)
        fail("the arena is full (Memory::kArenaBytes)", Kind::limit);
    used_ = start + bytes;
    used_most_ = std::max(used_most_, used_);
    return arena_ + start;
}

void* Memory::allocate_ghost(std::size_t bytes, std::size_t alignment) {
    const std::size_t start = (ghosts_used_ + alignment - 1) & ~(alignment - 1);
    if (start > kGhostBytes || bytes > kGhostBytes - start)
        fail("too many ghosts (Memory::kGhostBytes)", Kind::limit);
    ghosts_used_ = start + bytes;
    return ghosts_ + start;
}

void Memory::watch(void* p, std::size_t bytes) {
    // Cells do not cross from one object to the next.
    const std::size_t taken = (bytes + kGrain - 1) & ~(kGrain - 1);
    if (taken > kWatchedBytes - watched_used_)
        fail("too much memory is watched (Memory::kWatchedBytes)", Kind::limit);
    auto* const first = static_cast<char*>(p);
    watched_.push_back({first,
                        bytes,
                        static_cast<std::uint32_t>(kArenaBytes + watched_used_),
                        {first, first + bytes},
                        {}});
    watched_used_ += taken;
}

void Memory::label(const void* p, std::size_t bytes, std::string text) {
    labels_.push_back({static_cast<const char*>(p), bytes, std::move(text)});
}

void Memory::commit() {
    used_at_start_ = used_;
    ghosts_at_start_.assign(ghosts_, ghosts_ + ghosts_used_);
    for (Watched& w : watched_) w.start.assign(w.p, w.p + w.bytes);
    journal_.clear();
}

void Memory::save_pieces(char* p, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += sizeof(Saved::old))
        save(p + at, std::min(bytes - at, sizeof(Saved::old)));
}

void Memory::restore() {
    for (std::size_t i = journal_.size(); i != 0; --i)
        std::memcpy(journal_[i - 1].p, &journal_[i - 1].old, journal_[i - 1].bytes);
    journal_.clear();
    if (!ghosts_at_start_.empty())
        std::memcpy(ghosts_, ghosts_at_start_.data(), ghosts_at_start_.size());
    for (const Watched& w : watched_) std::memcpy(w.p, w.start.data(), w.bytes);
    used_ = used_at_start_;
}

void Memory::end() {
    for (const Watched& w : watched_) std::memcpy(w.p, w.pristine.data(), w.bytes);
}

void* Memory::address_of_watched(std::uint32_t flat) const {
    for (const Watched& w : watched_) {
        if (flat >= w.flat && flat - w.flat < w.bytes) return w.p + (flat - w.flat);
    }
    return nullptr;
}

std::string Memory::describe(const void* p) const {
    const auto* const at = static_cast<const char*>(p);
    char text[32];
    // The last label is the innermost.
    for (auto l = labels_.rbegin(); l != labels_.rend(); ++l) {
        const std::size_t offset = static_cast<std::size_t>(at - l->p);
        if (offset >= l->bytes) continue;
        if (offset == 0) return l->text;
        std::snprintf(text, sizeof text, "+%zu", offset);
        return l->text + text;
    }
    if (in_arena(p)) {
        std::snprintf(text, sizeof text, "arena+%#zx", static_cast<std::size_t>(at - arena_));
        return text;
    }
    if (const std::uint32_t place = flat(p); place != kNowhere) {
        std::snprintf(text, sizeof text, "watched+%#zx", place - kArenaBytes);
        return text;
    }
    std::snprintf(text, sizeof text, "%#zx", reinterpret_cast<std::size_t>(p));
    return text;
}

std::string Memory::describe_value(std::uint64_t value) const {
    if (value < 1024) return std::to_string(value);
    // A low bit may be a flag.
    const auto* const p =
        reinterpret_cast<const void*>(static_cast<std::uintptr_t>(value & ~std::uint64_t{1}));
    if (flat(p) != kNowhere) return (value & 1) != 0 ? describe(p) + "|1" : describe(p);
    char text[32];
    std::snprintf(text, sizeof text, "%#llx", static_cast<unsigned long long>(value));
    return text;
}

}  // namespace explorer
