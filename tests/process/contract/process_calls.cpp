// The calls that exist only as the process's own: mallopt, mallinfo and their kin, and C23's sized
// frees where the library has them.
#include <cerrno>
#include <fcntl.h>
#include <malloc.h>
#include <string>
#include <unistd.h>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"
#include "tiers.hpp"

// glibc 2.36 has neither of the two.
extern "C" [[gnu::weak]] void free_sized(void* p, size_t n);
extern "C" [[gnu::weak]] void free_aligned_sized(void* p, size_t align, size_t n);

// Clause: glibc manual, Malloc Tunable Parameters, mallopt(3): 1 on success.
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

// Clause: glibc manual, Statistics for Memory Allocation with malloc, mallinfo(3): bytes in use,
// mapped ones included.
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

// Clause: malloc_info(3): XML on the stream; EINVAL for options that are not 0.
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

// Clause: malloc_stats(3): on standard error.
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

// Clause: malloc_trim(3): 1 if memory was released, else 0.
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

// Clause: C23 7.24.3.4 free_sized, 7.24.3.5 free_aligned_sized.
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
