// The calls that exist only as the process's own: mallopt, mallinfo and their kin, and C23's sized
// frees where the library has them.
#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <fcntl.h>
#include <fstream>
#include <malloc.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"
#include "tiers.hpp"

// glibc 2.36 has neither of the two.
extern "C" [[gnu::weak]] void free_sized(void* p, size_t n);
extern "C" [[gnu::weak]] void free_aligned_sized(void* p, size_t align, size_t n);

TEST(mallopt_accepts_the_documented_parameters) {
    EXPECT_EQUAL(mallopt(M_TRIM_THRESHOLD, 128 * 1024), 1);
    EXPECT_EQUAL(mallopt(M_TOP_PAD, 0), 1);
    EXPECT_EQUAL(mallopt(M_MMAP_THRESHOLD, 128 * 1024), 1);
    EXPECT_EQUAL(mallopt(M_MMAP_MAX, 65536), 1);
    EXPECT_EQUAL(mallopt(M_ARENA_MAX, 8), 1);
    void* p = subject::malloc(300'000);
    EXPECT(p != nullptr);
    subject::free(p);
}

TEST(mallinfo_counts_live_bytes) {
    constexpr size_t kBytes = 50'000'000;
    const struct mallinfo2 before = mallinfo2();
    void* p = subject::malloc(kBytes);
    EXPECT(p != nullptr);
    const struct mallinfo2 during = mallinfo2();
    // A large block is counted either as mapped (hblkhd) or as in use (uordblks).
    EXPECT(during.uordblks + during.hblkhd >= before.uordblks + before.hblkhd + kBytes);
    subject::free(p);
    const struct mallinfo2 after = mallinfo2();
    EXPECT(after.uordblks + after.hblkhd < during.uordblks + during.hblkhd);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    const struct mallinfo old = mallinfo();
#pragma GCC diagnostic pop
    EXPECT(old.arena >= 0 && old.uordblks >= 0);
}

TEST(malloc_info_writes_xml) {
    char* text = nullptr;
    size_t length = 0;
    FILE* stream = open_memstream(&text, &length);
    errno = 0;
    EXPECT_EQUAL(malloc_info(0, stream), 0);
    fclose(stream);
    const std::string xml(text, length);
    subject::free(text);
    EXPECT(xml.rfind("<malloc", 0) == 0);
    EXPECT(xml.find("</malloc>") != std::string::npos);
    stream = fopen("/dev/null", "w");
    EXPECT_EQUAL(malloc_info(1, stream), EINVAL);
    fclose(stream);
}

TEST(malloc_stats_writes_to_stderr) {
    int ends[2];
    EXPECT_EQUAL(pipe(ends), 0);
    const int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    malloc_stats();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    char text[8192];
    const ssize_t n = read(ends[0], text, sizeof text);
    close(ends[0]);
    EXPECT(n > 0);
}

TEST(malloc_trim_returns_zero_or_one) {
    void* p = subject::malloc(30'000'000);
    memset(p, 1, 30'000'000);
    subject::free(p);
    errno = 77;
    const int released = malloc_trim(0);
    EXPECT(released == 0 || released == 1);
    EXPECT_EQUAL(errno, 77);
    EXPECT(malloc_trim(1u << 20) == 0 || malloc_trim(1u << 20) == 1);
}

// What gdb's gcore writes: each mapping whose flags do not have "dd", whether anybody ever touched
// it or not.
TEST(core_dumps_hold_what_is_in_use_and_little_else) {
    const size_t sizes[] = {100, 5000, 65'536, 3'000'000, 300'000'000};
    std::vector<char*> blocks;
    for (const size_t n : sizes) {
        blocks.push_back(static_cast<char*>(subject::malloc(n)));
        EXPECT(blocks.back() != nullptr);
        blocks.back()[0] = blocks.back()[n - 1] = 1;
    }
    size_t held = 0, dumped = 0;
    std::ifstream maps("/proc/self/smaps");
    uintptr_t begin = 0, end = 0;
    for (std::string line; std::getline(maps, line);) {
        if (uintptr_t first = 0, behind = 0;
            sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &first, &behind) == 2)
            begin = first, end = behind;
        if (line.rfind("VmFlags:", 0) != 0 || (line + " ").find(" dd ") != std::string::npos)
            continue;
        dumped += end - begin;
        for (size_t i = 0; i < blocks.size(); ++i) {
            const uintptr_t first = reinterpret_cast<uintptr_t>(blocks[i]);
            const uintptr_t from = std::max(first, begin), to = std::min(first + sizes[i], end);
            if (from < to) held += to - from;
        }
    }
    size_t in_use = 0;
    for (const size_t n : sizes) in_use += n;
    EXPECT_EQUAL(held, in_use);
    EXPECT(dumped < in_use + (size_t{192} << 20));
    for (char* const b : blocks) subject::free(b);
}

TEST(sized_frees) {
    for (const size_t n : kTierSamples) {
        if (free_sized != nullptr) {
            errno = 77;
            free_sized(subject::malloc(n), n);
            free_sized(subject::calloc(1, n), n);
            free_sized(subject::realloc(subject::malloc(n), n + 1), n + 1);
            free_sized(nullptr, n);
            EXPECT_EQUAL(errno, 77);
        }
        if (free_aligned_sized != nullptr) {
            for (const size_t align : {size_t{16}, size_t{64}, size_t{4096}, size_t{2} << 20})
                free_aligned_sized(subject::aligned_alloc(align, n), align, n);
            free_aligned_sized(nullptr, 64, n);
        }
    }
    if (free_sized != nullptr) free_sized(subject::malloc(0), 0);
}
