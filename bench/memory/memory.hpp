// Programs that bound the memory which an allocator keeps. Each scenario records figures and
// bounds; main prints them and fails when a bound breaks. Tables come from mmap and are subtracted,
// so that what is left is the allocator's.
#pragma once

#include <atomic>
#include <thread>

#include "../workloads/harness.hpp"

namespace hak::bench {

struct Block {
    unsigned char* data;
    std::uint32_t size;
    std::uint32_t tag;
};

// Allocates, writes every byte, so that every page counts, and puts a stamp on it.
inline Block make_block(std::uint32_t size, std::uint64_t key) {
    Block block{static_cast<unsigned char*>(must_malloc(size)), size,
                static_cast<std::uint32_t>(key)};
    std::memset(block.data, 0x5a, size);
    stamp(block.data, size, key);
    return block;
}

inline void free_block(Block& block) {
    if (static_cast<std::uint32_t>(read_stamp(block.data, block.size)) != block.tag)
        die("a block's contents changed");
    std::free(block.data);
    block.data = nullptr;
}

// Lets VmHWM start again from the present RSS.
inline void restart_peak() {
    const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1) die("cannot restart VmHWM through /proc/self/clear_refs");
    close(fd);
}

struct Settings {
    std::uint64_t seed = 1;
    unsigned rounds = 96;
};

// What a scenario has found out. Names are string literals.
class Findings {
  public:
    void figure(const char* name, double value) { add(name, value, -1); }
    void bound(const char* name, double value, double limit) { add(name, value, limit); }

    struct Line {
        const char* name;
        double value;
        double limit;  // negative: a figure without a bound
        bool broken() const { return limit >= 0 && value > limit; }
    };
    const Line* begin() const { return lines_; }
    const Line* end() const { return lines_ + count_; }

  private:
    void add(const char* name, double value, double limit) {
        if (count_ == sizeof lines_ / sizeof lines_[0]) die("too many findings");
        lines_[count_++] = Line{name, value, limit};
    }
    Line lines_[16] = {};
    std::size_t count_ = 0;
};

void survivor(const Settings& settings, Findings& findings);
void consumer(const Settings& settings, Findings& findings);
void freer(const Settings& settings, Findings& findings);
void sleeper(const Settings& settings, Findings& findings);
void many_mappings(const Settings& settings, Findings& findings);

}  // namespace hak::bench
