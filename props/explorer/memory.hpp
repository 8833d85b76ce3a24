// memory.hpp: the memory that scenarios run in, and how it becomes again what it was. An arena at a
// fixed address holds what the scenario makes and what it reserves; objects outside join by
// watch(); ghosts lie apart and are not checked. The flat offset numbers every byte that is
// checked, in an order that does not depend on where the system put the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace explorer {

class Memory {
  public:
    static constexpr std::size_t kArenaBytes = std::size_t{4} << 20,
                                 kGhostBytes = std::size_t{1} << 18,
                                 kWatchedBytes = std::size_t{1} << 20;
    static constexpr std::size_t kFlatBytes = kArenaBytes + kWatchedBytes;
    static constexpr std::uint32_t kNowhere = UINT32_MAX;

    Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    // --- Set-up ---
    void begin();
    // fails the scenario if the arena is full
    void* allocate(std::size_t bytes, std::size_t alignment);
    void* allocate_ghost(std::size_t bytes, std::size_t alignment);
    void watch(void* p, std::size_t bytes);
    void label(const void* p, std::size_t bytes, std::string text);
    // What is there now is what restore() brings back.
    void commit();

    // --- Executions ---
    // Called before bytes of checked memory are overwritten.
    void save(void* p, std::size_t bytes) {
        if (bytes > sizeof(Saved::old)) return save_pieces(static_cast<char*>(p), bytes);
        Saved saved{p, 0, bytes};
        std::memcpy(&saved.old, p, bytes);
        journal_.push_back(saved);
    }
    void restore();
    // The exploration is over: watched objects become what they were at watch().
    void end();

    // --- Addresses ---
    std::uint32_t flat(const void* p) const {
        const std::size_t offset = static_cast<std::size_t>(static_cast<const char*>(p) - arena_);
        return offset < kArenaBytes ? static_cast<std::uint32_t>(offset) : flat_of_watched(p);
    }
    void* address(std::uint32_t flat) const {
        return flat < kArenaBytes ? arena_ + flat : address_of_watched(flat);
    }
    bool in_arena(const void* p) const {
        return static_cast<std::size_t>(static_cast<const char*>(p) - arena_) < kArenaBytes;
    }
    bool is_ghost(const void* p) const {
        return static_cast<std::size_t>(static_cast<const char*>(p) - ghosts_) < kGhostBytes;
    }
    std::string describe(const void* p) const;
    // Of a value that may be a pointer into here.
    std::string describe_value(std::uint64_t value) const;

  private:
    struct Watched {
        char* p;
        std::size_t bytes;
        std::uint32_t flat;
        std::vector<char> pristine, start;
    };
    struct Label {
        const char* p;
        std::size_t bytes;
        std::string text;
    };
    struct Saved {
        void* p;
        std::uint64_t old;
        std::size_t bytes;
    };

    std::uint32_t flat_of_watched(const void* p) const {
        for (const Watched& w : watched_) {
            const std::size_t offset = static_cast<std::size_t>(static_cast<const char*>(p) - w.p);
            if (offset < w.bytes) return w.flat + static_cast<std::uint32_t>(offset);
        }
        return kNowhere;
    }

    void* address_of_watched(std::uint32_t flat) const;
    void save_pieces(char* p, std::size_t bytes);

    char* arena_ = nullptr;
    char* ghosts_ = nullptr;
    std::size_t used_ = 0, used_at_start_ = 0, used_most_ = 0;
    std::size_t ghosts_used_ = 0, watched_used_ = 0;
    std::vector<char> ghosts_at_start_;
    std::vector<Watched> watched_;
    std::vector<Label> labels_;
    std::vector<Saved> journal_;
};

}  // namespace explorer
